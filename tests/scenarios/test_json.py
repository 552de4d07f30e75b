"""What verbs say with --json: each document is of its form, and tells what the words tell."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TypeVar

import pytest

from pcache.cli.main import VERBS
from pcache.report import schema, schema_upkeep
from tests.lib.differential import Bench
from tests.scenarios.test_history import Told

pytestmark = [pytest.mark.root, pytest.mark.system_files]

Form = TypeVar("Form", bound=schema.Document)


@pytest.fixture
def told(bench: Bench) -> Iterator[Told]:
    made = Told(bench)
    made.write("head", random.Random(1).randbytes(20_000).hex())
    made.session()
    yield made


def asked(told: Told, form: type[Form], *words: str, status: int = 0) -> Form:
    return form.model_validate_json(told.ask(*words, status=status))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_it(verb: str) -> None:
    """`export` has forms of its own, one of which is this."""
    module = import_module(f"pcache.cli.{verb}")
    assert "--json" in module.OPTIONS or "json" in module.FORMATS


def test_explain(told: Told) -> None:
    found = asked(told, schema_upkeep.Explanation, "explain", "--json", "sh", "run.sh")
    assert found.command == ["sh", "run.sh"] and found.directory == str(told.bench.directory)
    hit = found.explained
    assert hit.hit and hit.restores and hit.restores.paths == 2
    told.write("text", "more\n")
    miss = asked(
        told, schema_upkeep.Explanation, "explain", "--json", "sh", "run.sh", status=1
    ).explained
    assert not miss.hit and miss.restores is None and miss.why == ""
    (compared,) = miss.compared
    assert str(told.bench.directory / "text") in {at.about for at in compared.changed}
    assert 0 < compared.differing < compared.facts
    other = asked(
        told, schema_upkeep.Explanation, "explain", "--json", "sh", "other.sh", status=1
    ).explained
    assert other.why == "unknown call" and other.nearest
    assert other.nearest[0][0].startswith("arguments: sh run.sh -> sh other.sh")


def test_verify(told: Told) -> None:
    found = asked(told, schema_upkeep.Verification, "verify", "--json")
    assert found.sound and found.records == 5 and found.damaged == [] and found.rerun is None
    found = asked(told, schema_upkeep.Verification, "verify", "--rerun", "100%", "--json")
    assert found.rerun and found.rerun.wanted == 5 and found.rerun.different == []
    assert found.rerun.equal + sum(at.records for at in found.rerun.passed) == 5
    for content in (told.store / "objects").glob("*/*"):
        content.unlink()
    found = asked(told, schema_upkeep.Verification, "verify", "--json", status=1)
    assert not found.sound and found.damaged


def test_removal(told: Told) -> None:
    would = asked(told, schema_upkeep.Collection, "gc", "--json", "--dry-run", "--max-size", "0")
    assert (would.dry_run, would.records) == (True, 5)
    some = asked(told, schema_upkeep.Removal, "rm", "--json", "sort")
    assert (some.records, some.contents) == (1, 0)
    asked(told, schema_upkeep.Removal, "rm", "--json", "sort", status=1)
    done = asked(told, schema_upkeep.Collection, "gc", "--json")
    assert (done.dry_run, done.records) == (False, 0)
    rest = asked(told, schema_upkeep.Removal, "clear", "--json", "--yes")
    assert rest.records == 4 and rest.contents > 0
    statistics = asked(told, schema.Statistics, "stats", "--json").statistics
    assert (statistics["records"], statistics["calls"], statistics["blobs"]) == (0, 0, 0)


def test_report(told: Told) -> None:
    found = asked(told, schema_upkeep.Report, "report", "--json")
    assert found.summary == told.sessions()[-1]
    assert {at.execution for at in found.slices} == set(range(5))
    assert found.critical_path[0].execution == 0
    assert found.seconds["ran"] > 0 and found.seconds["hit"] == 0
    assert str(told.bench.directory / "text") in {at.path for at in found.inputs}
    assert [day.sessions for day in found.days] == [1]
    path = told.bench.directory / "report.json"
    assert told.ask("report", "--json", "-o", str(path)) == ""
    assert schema_upkeep.Report.model_validate_json(path.read_text()) == found


def test_settings(told: Told) -> None:
    set_ = asked(
        told, schema_upkeep.Settings, "config", "--json", "set", "program.cc.strict", "true"
    )
    shown = asked(told, schema_upkeep.Settings, "config", "--json").settings
    mine = [at for at in shown if at.file]
    assert mine == set_.settings
    assert [(at.about, at.name, at.value) for at in mine] == [("cc", "strict", True)]
    assert {at.name for at in shown if not at.file} >= {"max_size", "never_cache", "deny"}
    assert all(at.because for at in shown if not at.file and at.name != "max_size")
    got = asked(told, schema_upkeep.Settings, "config", "get", "program.cc.strict", "--json")
    assert got == set_
    gone = asked(told, schema_upkeep.Settings, "config", "unset", "program.cc.strict", "--json")
    assert gone.settings == []
    asked(told, schema_upkeep.Settings, "config", "get", "max_size", "--json", status=1)


def test_machine(told: Told) -> None:
    found = asked(told, schema_upkeep.Checks, "doctor", "--json")
    assert found.failed == 0
    words = told.ask("doctor")
    for check in found.checks:
        assert f"{check.status:<4}  {check.name} " in words
    made = asked(told, schema_upkeep.Preparation, "doctor", "--prepare", "--json")
    assert made.problems == []
    socket = str(told.bench.directory / "nobody")
    status = asked(
        told, schema_upkeep.Service, "service", "status", "--json", "--socket", socket, status=1
    )
    assert status.answers is False and socket in status.said


def test_sharing(told: Told, tmp_path: Path) -> None:
    key = tmp_path / "signing.key"
    made = asked(told, schema_upkeep.PublicKey, "key", "--json", "new", str(key))
    assert asked(told, schema_upkeep.PublicKey, "key", "--json", "show", str(key)) == made
    (tmp_path / "shared").mkdir()
    for name, value in (
        ("url", f"file://{tmp_path}/shared"),
        ("key", str(key)),
        ("trust", json.dumps([made.public])),
    ):
        told.ask("config", "set", f"remote.{name}", value)
    would = asked(told, schema_upkeep.Push, "push", "--dry-run", "--json")
    assert would.dry_run and (would.records, would.manifests) == (5, 1)
    done = asked(told, schema_upkeep.Push, "push", "--json")
    assert (done.records, done.contents, done.known) == (would.records, would.contents, 0)
    assert [at.command for at in done.stays] == [at.command for at in would.stays]
    told.ask("clear", "--yes", "--quiet")
    pulled = asked(told, schema_upkeep.Pull, "pull", "--json", "sh", "run.sh")
    assert pulled.records == 5 and 0 < pulled.received <= pulled.bytes
