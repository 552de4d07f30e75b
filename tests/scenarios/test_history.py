"""What is noted of sessions, and what the verbs tell that ask about them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from pcache.model import Reason
from pcache.report import schema
from pcache.report.cures import CURES
from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Result, Stdio
from tests.lib.terminals import printed_at_one

pytestmark = [pytest.mark.root, pytest.mark.system_files]

SCRIPT = "cat head text >whole\nsort whole >sorted\nwc -l <sorted\ncat other\n"


class Told:
    """A project, its sessions, and what is told of them."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.store = bench.store / "pcache"
        for name in ("head", "text", "other"):
            self.write(name, f"{name}\n")
        self.write("run.sh", SCRIPT)

    def write(self, name: str, content: str) -> None:
        (self.bench.directory / name).write_text(content)

    def session(
        self,
        verb: str = "run",
        *options: str,
        command: str = "sh run.sh",
        stdio: Stdio = Stdio(),  # noqa: B008
        env: dict[str, str] | None = None,
    ) -> Result:
        time.sleep(SETTLE_SECONDS)
        for name in ("whole", "sorted"):
            (self.bench.directory / name).unlink(missing_ok=True)
        start = getattr(self.bench.launcher, verb)
        variables = {**self.bench.env, **(env or {})}
        result = start(command.split(), self.bench.directory, variables, stdio, options)
        assert isinstance(result, Result)
        return result

    def ask(self, *words: str, status: int = 0, env: dict[str, str] | None = None) -> str:
        command = (self.bench.launcher.pcache, *words)
        variables = {**self.bench.env, **(env or {})}
        done = self.bench.launcher.plain(command, self.bench.directory, variables, Stdio())
        assert (done.status, done.stderr) == (status, b""), done
        return done.stdout.decode()

    def sessions(self) -> list[schema.Summary]:
        text = self.ask("log", "-n", "0", "--json")
        return schema.SessionList.model_validate_json(text).sessions

    def show(self, what: str) -> schema.SessionDetail:
        return schema.SessionDetail.model_validate_json(self.ask("show", "--json", what))

    def why(self, what: str = "last") -> schema.Causes:
        return schema.Causes.model_validate_json(self.ask("why", what, "--json"))

    def number(self, session: schema.SessionDetail, *command: str) -> int:
        (found,) = (at.execution for at in session.executions if at.command == list(command))
        return found


@pytest.fixture
def told(bench: Bench) -> Iterator[Told]:
    yield Told(bench)


def test_the_life_of_a_script(told: Told) -> None:
    first = told.session()
    assert "brought back; 5 ran (unknown call); recorded as a whole" in first.own
    assert "brought back as a whole, saved" in told.session().own
    told.write("text", "more\n")
    third = told.session()
    assert "2 of 5 programs brought back, saved" in third.own or "1 of 5" in third.own
    assert "(input changed: text)" in third.own

    one, two, three = told.sessions()
    assert [at.session for at in (one, two, three)] == [1, 2, 3]
    assert {at.verb for at in (one, two, three)} == {"run"}
    assert one.command == ["sh", "run.sh"] and one.directory == str(told.bench.directory)
    assert (one.programs, one.hits, one.ran, one.not_cacheable, one.status) == (5, 0, 5, 0, 0)
    assert (two.programs, two.hits, two.why) == (1, 1, "")
    assert two.saved_seconds > 0
    assert (three.programs, three.why) == (5, "input changed: text")

    session = told.show("3")
    root = session.executions[0]
    assert (root.verdict, root.parent, root.status) == ("stored", None, 0)
    assert root.changed == [str(told.bench.directory / "text")]
    verdicts = {" ".join(at.command): at.verdict for at in session.executions}
    assert verdicts["cat head text"] == "stored"
    assert verdicts["cat other"] == "hit"
    assert all(at.parent == 0 for at in session.executions[1:])
    assert all(at.seconds and at.start_seconds for at in session.executions)

    causes = told.why()
    (cause,) = causes.causes
    assert cause.path == str(told.bench.directory / "text")
    assert cause.written_by.startswith("by nobody that pcache saw; last modified")
    assert cause.ran == [0, told.number(session, "cat", "head", "text")]
    assert told.number(session, "sort", "whole") in cause.followed
    assert causes.not_cacheable == [] and causes.unknown == []


def test_one_execution(told: Told) -> None:
    told.session()
    number = told.number(told.show("last"), "sort", "whole")
    text = told.ask("show", f"1.{number}", "--json")
    detail = schema.ExecutionDetail.model_validate_json(text)
    assert detail.call and detail.call.command == ["sort", "whole"]
    assert detail.call.environment["TZ"] == "UTC"
    assert detail.inputs and detail.outputs is not None and detail.streams
    assert str(told.bench.directory / "whole") in {at.path for at in detail.inputs}
    assert detail.streams[0].descriptor == 1
    plain = told.ask("show", f"last.{number}")
    assert f"execution 1.{number}: sort whole" in plain
    assert str(told.bench.directory / "whole") in plain


def test_who_wrote_what_had_changed(told: Told) -> None:
    told.session()
    told.session(command="cp head text")
    told.session()
    (cause,) = told.why().causes
    assert cause.written_by == "written by 2.0: cp head text"
    assert "written by 2.0: cp head text" in told.ask("why")


def test_what_is_not_cacheable_has_evidence_and_cure(told: Told) -> None:
    told.write(
        "run.sh",
        "cat other\npython3 -c 'import socket; socket.socket().bind((\"127.0.0.1\", 47811))'\n",
    )
    result = told.session("trace")
    assert "2 not cacheable (network); it cannot come back as a whole" in result.own
    (refusal,) = told.why().not_cacheable
    assert (refusal.reason, refusal.executions[0]) == (Reason.NETWORK, 0)
    assert "127.0.0.1:47811" in refusal.evidence[0]
    assert refusal.cure == CURES[Reason.NETWORK]
    plain = told.ask("why")
    assert "not cacheable: network" in plain and "cure: `--no-network`" in plain
    assert "docs/semantics.md#network" in plain
    assert told.ask("explain", "--last") == plain
    assert told.ask("explain", "--last", "--json", "1") == told.ask("why", "1", "--json")
    told.session()
    assert told.sessions()[-1].why == "not cacheable when it last ran: network"


def test_other_settings_are_the_cause(told: Told) -> None:
    told.session()
    told.ask("config", "set", "program.sort.strict", "true")
    explained = told.ask("explain", "sh", "run.sh", status=1)
    assert "miss: sh run.sh   unknown call\n" in explained
    assert "    settings of programs, or options of the sandbox\n" in explained
    assert "5 ran (recorded under other settings)" in told.session().own
    causes = told.why()
    assert causes.other == {"recorded under other settings": [0]}
    told.ask("config", "unset", "program.sort.strict")
    assert "brought back as a whole" in told.session().own


def test_what_is_different_about_a_call_is_the_cause(told: Told) -> None:
    told.session()
    nowhere = told.session(stdio=Stdio(stdout="null")).own
    different = "standard output: a file, pipe or terminal -> /dev/null"
    assert f"3 ran ({different}); recorded as a whole" in nowhere
    assert told.why().other == {different: [0]}
    assert "ran (environment COLOUR)" in told.session(env={"COLOUR": "red"}).own
    many = {"COLOUR": "red", "SHAPE": "round", "TASTE": "sweet"}
    told.session(env=many)
    assert "ran (unknown call)" in told.session(env={"A": "1", "B": "2", "C": "3"}).own


def test_what_is_never_cached_is_no_unknown_call(told: Told) -> None:
    told.write("run.sh", "cat other\ndate >stamp\n")
    told.session()
    causes = told.why()
    assert causes.other == {"never cached": [told.number(told.show("last"), "date")]}
    assert len(causes.unknown) == 2


def test_a_directory_has_changed_by_its_entries(told: Told) -> None:
    told.write("run.sh", "ls >/dev/null\n")
    told.session()
    told.write("new", "")
    assert f"(input changed: {told.bench.directory} (its entries)" in told.session().own
    assert f"changed: {told.bench.directory} (its entries)" in told.ask("why")


def test_a_replay_is_noted_too(told: Told) -> None:
    told.session("trace")
    told.write("text", "more\n")
    result = told.session("replay")
    assert "(input changed: text)" in result.own
    session = told.show("last")
    assert session.summary.verb == "replay"
    verdicts = {" ".join(at.command): at.verdict for at in session.executions}
    assert verdicts["cat other"] == "hit"
    assert verdicts["cat head text"] == verdicts["sh run.sh"] == "ran"
    assert session.executions[0].status == 0
    (cause,) = told.why().causes
    assert cause.path == str(told.bench.directory / "text")


def test_differences(told: Told) -> None:
    told.session()
    told.session()
    told.write("text", "more\n")
    told.session()
    text = told.ask("diff", "1", "3", "--json", status=1)
    found = schema.Differences.model_validate_json(text).differences
    assert {at.what for at in found} >= {"input", "verdict", "output"}
    changed = [at for at in found if at.name.endswith(str(told.bench.directory / "text"))]
    assert changed and all(at.old != at.new for at in changed)
    assert told.ask("diff", "1", "1") == "nothing differs that is known\n"
    whole = schema.Differences.model_validate_json(told.ask("diff", "1", "2", "--json", status=1))
    # What was done within what came back as a whole is no difference.
    assert [(at.what, at.name) for at in whole.differences] == [("verdict", "sh run.sh")]
    number = told.number(told.show("1"), "sort", "whole")
    one = told.ask("diff", f"1.{number}", f"3.{number}", status=1)
    assert f"input  {told.bench.directory / 'whole'}" in one


def test_a_session_outlives_its_records(told: Told) -> None:
    told.session()
    told.ask("gc", "-q", "--max-size", "0")
    assert "its record is not in the store any more" in told.ask("show", "1.0")
    assert "unknown" in told.ask("show", "1")
    assert told.why().unknown


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("show", "9"), 125, "session 9 is not kept"),
        (("show", "1.99"), 125, "session 1 has no execution 99"),
        (("show", "x"), 2, "neither a session nor an execution"),
        (("show", "1", "2"), 2, "at most 1"),
        (("diff", "1"), 2, "diff compares two"),
        (("diff", "1", "1.0"), 2, "cannot be compared"),
        (("log", "-n", "x"), 2, "it is a number"),
    ],
)
def test_bad_use(told: Told, words: tuple[str, ...], status: int, message: str) -> None:
    told.session()
    command = (told.bench.launcher.pcache, *words)
    done = told.bench.launcher.plain(command, told.bench.directory, told.bench.env, Stdio())
    assert (done.status, done.stdout) == (status, b"")
    assert message in done.stderr.decode()


def test_nothing_is_kept_if_so_configured(told: Told) -> None:
    config = Path(told.bench.env["HOME"]) / ".config/pcache/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('history = "0d"\n')
    assert "recorded as a whole" in told.session().own
    assert not (told.store / "history").exists()
    config.write_text('history = "1h"\n')
    told.session()
    assert [at.session for at in told.sessions()] == [1]


def test_a_full_disk_costs_the_notes_alone(told: Told) -> None:
    told.session()
    shutil.rmtree(told.store / "history")
    (told.store / "history").write_text("in the way")
    told.write("text", "more\n")
    result = told.session()
    assert result.status == 0 and result.stdout.endswith(b"other\n")
    assert "this session cannot be noted" in result.own
    assert "recorded as a whole" in result.own


def test_colours_are_for_terminals(told: Told) -> None:
    told.session()
    asked = (told.ask(verb) for verb in ("log", "show", "why", "stats", "doctor", "ls"))
    assert "\x1b" not in "".join(asked)
    cases = (({"TERM": "xterm"}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False))
    for (verb, word), (variables, coloured) in product(
        (("show", b"sort whole"), ("stats", b"saved, by day"), ("doctor", b"store (")), cases
    ):
        env = {**told.bench.env, **variables}
        printed = printed_at_one((told.bench.launcher.pcache, verb), env)
        assert word in printed
        assert (b"\x1b[" in printed) == coloured


def test_of_a_user_by_sudo(user_bench: Bench) -> None:
    """The notes are the user's, as the store is."""
    told = Told(user_bench)
    user_bench.own()
    told.session()
    told.bench.own()
    (session,) = told.sessions()
    assert session.command == ["sh", "run.sh"]
    uid = user_bench.owner[0] if user_bench.owner else 0
    for path in (told.store / "history", *(told.store / "history").iterdir()):
        assert path.stat().st_uid == uid


def test_every_document_says_what_it_is(told: Told) -> None:
    told.session()
    for words in (("log",), ("show",), ("show", "1.0"), ("why",)):
        document = json.loads(told.ask(*words, "--json"))
        assert document["version"] == 1
        assert document["kind"]
