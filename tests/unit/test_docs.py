"""The documents say what the code has, all of it and nothing else."""

from __future__ import annotations

import importlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from pcache import counters, errors, model, timing
from pcache.cli import main, sandbox
from pcache.report import cures, schema, schema_upkeep, why
from pcache.settings import schema as settings_schema
from pcache.store.index import Store
from pcache.store.inspect import statistics
from tests.conftest import CHECKOUT

MANUAL = "docs/manual.md"
HISTORY = "docs/history.md"
JSON = "docs/json.md"
REMOTE = "docs/remote.md"
SEMANTICS = "docs/semantics.md"
LINES = 440
"""A page that is longer is two."""

_OF_PYTHON_OR_BCC = {"LC_CTYPE", "BCC_KERNEL_SOURCE"}
"""Variables that the code touches and that no user sets for pcache: what Python adds in the C
locale is taken away again, and what BCC reads is set."""


@cache
def text(name: str) -> str:
    return (CHECKOUT / name).read_text()


@cache
def prose(name: str) -> str:
    """A page without what is fenced."""
    return re.sub(r"^```.*?^```$", "", text(name), flags=re.MULTILINE | re.DOTALL)


def pages() -> list[str]:
    """Every page of the repository."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
        text=True,
    )
    return listing.stdout.split()


def section(page: str, title: str) -> str:
    """What stands below a heading, up to the next one that is not deeper."""
    found = re.search(
        rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,3}} |\Z)", prose(page), re.MULTILINE | re.DOTALL
    )
    assert found, f"{page} has no section {title!r}"
    return found[2]


def first_cells(table: str) -> list[str]:
    """What is in backquotes in the first cell of each row."""
    cells = re.findall(r"^\| ((?:[^|\\]|\\.)*) \|", table, flags=re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def anchors(page: str) -> Iterator[str]:
    """Of the headings, as GitHub makes them."""
    for title in re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


# ---- the command line


class _Parsed(Exception):
    pass


def options_of(verb: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What a verb gives to the splitter of options."""
    module = importlib.import_module(f"pcache.cli.{verb}")
    seen: set[str] = set()

    def parse(_args: object, spec: Mapping[str, str]) -> None:
        seen.update(spec)
        raise _Parsed

    monkeypatch.setattr(module, "parse", parse)
    with pytest.raises(_Parsed):
        module.run([])
    return seen


def titles(page: str) -> list[str]:
    """The verbs that a page explains."""
    return re.findall(r"^### pcache (\S+)$", prose(page), flags=re.MULTILINE)


def page_of(verb: str) -> str:
    return next(page for page in (HISTORY, REMOTE, MANUAL) if verb in titles(page))


def test_verbs() -> None:
    assert sorted(titles(MANUAL) + titles(HISTORY) + titles(REMOTE)) == sorted(main.VERBS)


@pytest.mark.parametrize("verb", main.VERBS)
def test_options(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        name
        for name in first_cells(section(page_of(verb), f"pcache {verb}"))
        if re.fullmatch(r"--?[a-z][a-z-]*", name)
    }
    known = options_of(verb, monkeypatch)
    if sandbox.OPTIONS.keys() <= known:
        known -= sandbox.OPTIONS.keys()
        assert f"`{verb}`" in section(MANUAL, "Sandbox options").partition("|")[0]
    assert told == known


def test_sandbox_options() -> None:
    assert set(first_cells(section(MANUAL, "Sandbox options"))) >= set(sandbox.OPTIONS)
    told = re.findall(r"^\| `(--[a-z-]+)`", section(MANUAL, "Sandbox options"), flags=re.MULTILINE)
    assert set(told) == set(sandbox.OPTIONS)


def test_exit_statuses() -> None:
    helps = [main.EPILOG, *(importlib.import_module(f"pcache.cli.{v}").HELP for v in main.VERBS)]
    told_by_help = {
        number
        for help in helps
        for paragraph in re.findall(r"^exit status: (.*?)(?:\n\n|\Z)", help, re.M | re.S)
        for number in re.findall(r"\b(\d{1,3})\b(?!\+)", paragraph)
    }
    of_errors = {
        str(value.status)
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.PcacheError)
    }
    told = set(first_cells(section(MANUAL, "Exit status")))
    assert of_errors <= told_by_help
    assert told == told_by_help


# ---- settings and variables


def test_settings() -> None:
    known = set(settings_schema.Program.model_fields)
    known |= {f"sandbox.{name}" for name in settings_schema.Sandbox.model_fields}
    known |= set(settings_schema.File.model_fields) - {"sandbox", "program"}
    assert set(first_cells(section(MANUAL, "Settings"))) == known
    shared = set(first_cells(section(REMOTE, "Settings")))
    assert shared == set(settings_schema.Shared.model_fields)


_READ = (
    r"\benv(?:iron)?(?:\.get\(|\[)b?\"([A-Z_]+)\"",
    r"\"([A-Z_]+)\" (?:not )?in (?:os\.environ|env)\b",
    r"\(env, b\"([A-Z_]+)\"\)",
)
"""How the code reads a variable."""
_SET = (r"(?m)^([A-Z_]+) \?=", r"\$\{([A-Z_]+):-")
"""How make and the shell give one a default."""


def variables_in_the_code() -> set[str]:
    sources = "".join(path.read_text() for path in (CHECKOUT / "pcache").rglob("*.py"))
    tools = "".join(
        map(text, ("Makefile", "tools/install", "tools/uninstall", "vagrant/stock-kernel"))
    )
    found = {name for pattern in _READ for name in re.findall(pattern, sources)}
    found |= {name for pattern in _SET for name in re.findall(pattern, tools)}
    return found - _OF_PYTHON_OR_BCC


def test_variables() -> None:
    assert set(first_cells(section(MANUAL, "Environment"))) == variables_in_the_code()


# ---- numbers


def test_counters() -> None:
    reasons = {f"uncacheable: {reason}" for reason in reasons_in_the_code()}
    told = first_cells(section(MANUAL, "Counters of --json"))
    assert len(told) == len(set(told))
    assert {name for name in told if name != "uncacheable: REASON"} == (
        counters.NAMES.keys() - reasons
    )
    assert "uncacheable: REASON" in told and reasons <= counters.NAMES.keys()


def test_numbers_of_stats(tmp_path: Path) -> None:
    with Store.open(str(tmp_path / "store")) as store:
        known = list(statistics(store))
    told = first_cells(section(MANUAL, "pcache stats"))
    assert [name for name in told if not name.startswith("--")] == known


def test_phases() -> None:
    assert first_cells(section("docs/bench.md", "Phases of --timing")) == list(timing.PHASES)


# ---- reasons


def reasons_in_the_code() -> list[str]:
    return [value for name, value in vars(model.Reason).items() if name.isupper()]


def test_reasons_have_cause_and_cure() -> None:
    after = prose(SEMANTICS).partition("\n## Reasons\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (.*)$", after, flags=re.MULTILINE) == reasons_in_the_code()
    for reason in reasons_in_the_code():
        told = section(SEMANTICS, reason)
        assert "Cure:" in told, reason
        assert "Cause:" in told or reason == model.Reason.NON_DETERMINISTIC, reason


def test_cures_are_those_of_the_page() -> None:
    assert cures.CURES.keys() == set(reasons_in_the_code())
    for reason, cure in cures.CURES.items():
        told = " ".join(section(SEMANTICS, reason).partition("Cure:")[2].split())
        assert cure == told, reason
        (anchor,) = (name for name in anchors(SEMANTICS) if name == why.anchor(reason))
        assert anchor


# ---- JSON


_AS_IN_THE_TEXT = {schema.Call, schema.Input, schema.Output, schema.Stream}
"""Parts of records, which are as `pcache show EXECUTION` prints them."""


def test_forms_of_json() -> None:
    """Every document and every field of it is explained."""
    documents = schema.Document.__subclasses__()
    assert schema_upkeep.Report in documents
    kinds = {form.model_fields["kind"].default for form in documents}
    assert set(first_cells(text(JSON).partition("| kind |")[2].partition("\n\n")[0])) == kinds
    (verdicts,) = re.findall(r"^\| verdict \|.*?(?=\n\n|\Z)", text(JSON), re.M | re.S)
    told = set(first_cells(verdicts))
    assert told == set(get_args(schema.Execution.model_fields["verdict"].annotation))
    words = set(re.findall(r"`(\w+)`", text(JSON)))
    parts = set(schema.Form.__subclasses__()) - _AS_IN_THE_TEXT
    for form in (*documents, *parts):
        assert form.model_fields.keys() - {"kind", "version"} <= words, form


# ---- pages


def test_links_lead_somewhere() -> None:
    broken = []
    for page in pages():
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            there = (CHECKOUT / page).parent / path if path else CHECKOUT / page
            if not there.exists():
                broken.append(f"{page}: {target}")
            elif anchor:
                name = str(there.resolve().relative_to(CHECKOUT))
                if anchor not in anchors(name):
                    broken.append(f"{page}: {target}")
    assert not broken


def test_paths_in_architecture_exist() -> None:
    named = re.findall(r"`([\w.-]+/[\w./-]*)`", prose("ARCHITECTURE.md"))
    assert len(named) > 40
    assert [path for path in named if not (CHECKOUT / path).exists()] == []


@pytest.mark.parametrize("name", [page for page in pages() if page.startswith("docs/")])
def test_pages_are_short(name: str) -> None:
    assert text(name).count("\n") <= LINES
