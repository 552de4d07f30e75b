"""The command line's frame: verbs, help, exit statuses and messages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib import import_module
from types import ModuleType

import pytest

from pcache import __version__
from pcache.cli import main as frame
from pcache.cli.topics import TOPICS
from pcache.errors import CommandNotFound, StoreError, UsageError


def run(pcache: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([pcache, *args], capture_output=True, text=True, check=False)


def verb_that(error: BaseException) -> ModuleType:
    module = ModuleType("verb")

    def fail(args: list[str]) -> int:
        raise error

    module.run = fail  # type: ignore[attr-defined]
    return module


def test_version(pcache: str) -> None:
    done = run(pcache, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"pcache {__version__}\n", "")
    assert run(pcache, "-V").stdout == done.stdout


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["help"], ["help", "help"]])
def test_help_names_every_verb(pcache: str, args: list[str]) -> None:
    done = run(pcache, *args)
    assert (done.returncode, done.stderr) == (0, "")
    for verb, summary in frame.VERBS.items():
        assert f"  {verb}" in done.stdout
        assert summary in done.stdout


@pytest.mark.parametrize("verb", frame.VERBS)
def test_verbs_keep_the_protocol(pcache: str, verb: str) -> None:
    module = import_module(f"pcache.cli.{verb}")
    assert frame.VERBS[verb] == module.SUMMARY
    assert module.HELP.removeprefix("usage: ").removeprefix("sudo ").startswith(f"pcache {verb} ")
    assert "exit status" in module.HELP
    for args in (["help", verb], [verb, "--help"], [verb, "-h"]):
        done = run(pcache, *args)
        assert (done.returncode, done.stdout, done.stderr) == (0, module.HELP, "")


@pytest.mark.parametrize("topic", TOPICS)
def test_topics(pcache: str, topic: str) -> None:
    done = run(pcache, "help", topic)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") > 3
    assert topic in run(pcache, "help").stdout


@pytest.mark.parametrize(
    ("args", "message", "remedy"),
    [
        ([], "no verb given", "`pcache help` lists the verbs"),
        (["tarce", "make"], "no verb 'tarce'", "did you mean `pcache trace`?"),
        (["hlep"], "no verb 'hlep'", "did you mean `pcache help`?"),
        (["sh"], "no verb 'sh'", "sudo pcache run sh"),
        (["xyzzy"], "no verb 'xyzzy'", "`pcache help` lists the verbs"),
        (["help", "xyzzy"], "no verb or topic 'xyzzy'", "`pcache help` lists the verbs"),
        (["help", "reason"], "no verb or topic 'reason'", "`pcache help reasons`"),
        (["-q", "trace"], "unknown option -q", "after the verb"),
        (["doctor", "--wrong"], "unknown option --wrong", "-h --help --json --prepare -q --quiet"),
        (["doctor", "--quiet=1"], "takes no value", "`pcache help doctor` explains its options"),
        (["doctor", "make"], "doctor takes no argument: 'make'", "`pcache help doctor`"),
    ],
)
def test_wrong_usage(pcache: str, args: list[str], message: str, remedy: str) -> None:
    done = run(pcache, *args)
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("pcache: ") and message in first
    assert second.startswith("pcache: ") and remedy in second


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (CommandNotFound("x: not found"), 127, "pcache: x: not found\n"),
        (StoreError("broken", "mend it"), 125, "pcache: broken\npcache: mend it\n"),
        (
            ZeroDivisionError("oops"),
            125,
            "pcache: internal error: ZeroDivisionError: oops\n"
            "pcache: PCACHE_DEBUG=1 shows where it happened\n",
        ),
    ],
)
def test_failures_are_one_message(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    status: int,
    text: str,
) -> None:
    monkeypatch.setattr(frame, "_load", lambda verb: verb_that(error))
    assert frame.main(["trace"]) == status
    assert capsys.readouterr() == ("", text)


def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PCACHE_DEBUG", "1")
    monkeypatch.setattr(frame, "_load", lambda verb: verb_that(ZeroDivisionError("oops")))
    assert frame.main(["trace"]) == 125
    assert "Traceback" in capsys.readouterr().err


def test_usage_error_keeps_its_own_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(frame, "_load", lambda verb: verb_that(UsageError("no", "like this")))
    assert frame.main(["trace"]) == 2
    assert capsys.readouterr().err == "pcache: no\npcache: like this\n"


def test_interrupt_ends_by_the_signal() -> None:
    program = (
        "import pcache.cli.main as m\n"
        "def fail(args): raise KeyboardInterrupt\n"
        "m._load = lambda verb: type('V', (), {'run': staticmethod(fail)})\n"
        "m.main(['trace'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


def test_reader_that_leaves_is_no_failure_of_ours(pcache: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([pcache, "help"], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_closed_descriptors_do_not_matter(pcache: str) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$0" --version >&- 2>&- <&-', pcache], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_python_variables_of_the_caller_do_not_reach_pcache(pcache: str, tmp_path: str) -> None:
    with open(os.path.join(tmp_path, "os.py"), "w") as file:
        file.write("raise SystemExit('hijacked')\n")
    done = subprocess.run(
        [pcache, "--version"],
        env={"PYTHONPATH": str(tmp_path), "PYTHONVERBOSE": "1"},
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pcache", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"pcache {__version__}\n")
