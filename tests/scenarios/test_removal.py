"""Listing what is recorded, and forgetting it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from pcache.report import schema
from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Stdio

pytestmark = [pytest.mark.root, pytest.mark.system_files]


class Store:
    """A store with records of `sh run.sh`, which starts `cat a` and `sort b`, and of `cat c`."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        for name in "abc":
            (bench.directory / name).write_text(f"{name}\n")
        (bench.directory / "run.sh").write_text("cat a\nsort b\ntrue\n")
        time.sleep(SETTLE_SECONDS)
        self.run("sh", "run.sh")
        self.run("cat", "c")

    def run(self, *command: str) -> bool:
        """Whether it came back as a whole."""
        bench = self.bench
        result = bench.launcher.run(command, bench.directory, bench.env, Stdio(), ())
        return "brought back as a whole" in result.own

    def ask(self, *words: str, status: int = 0) -> str:
        command = (self.bench.launcher.pcache, *words)
        done = self.bench.launcher.plain(command, self.bench.directory, self.bench.env, Stdio())
        assert done.status == status, done
        return (done.stdout or done.stderr).decode()

    def listed(self, *words: str) -> list[str]:
        text = self.ask("ls", "--json", *words)
        records = schema.Records.model_validate_json(text).records
        return [" ".join(at.command) for at in records if at.records]


@pytest.fixture
def store(bench: Bench) -> Iterator[Store]:
    yield Store(bench)


def test_list(store: Store) -> None:
    assert set(store.listed()) == {"sh run.sh", "cat a", "sort b", "cat c"}
    assert set(store.listed("cat")) == {"cat a", "cat c"}
    assert store.listed("cat", "c") == ["cat c"]
    assert store.listed("run.sh") == ["sh run.sh"]
    assert store.listed("nothing") == []
    assert "cat c" in store.ask("ls", "-n", "1")
    told = store.ask("ls", "no-such-command", status=1)
    assert told == "pcache: nothing is recorded of no-such-command\n"
    assert len(store.listed("-n", "2")) == 2


def test_of_a_command(store: Store) -> None:
    assert store.ask("rm", "cat", "c") == "1 record removed\n"
    assert not store.run("cat", "c")
    assert store.run("sh", "run.sh")
    assert store.ask("rm", "-q", "sh") == ""
    assert "sh run.sh" not in store.listed()
    assert store.ask("rm", "sh", status=1) == "0 records removed\n"


def test_of_an_execution(store: Store) -> None:
    detail = schema.SessionDetail.model_validate_json(store.ask("show", "1", "--json"))
    (number,) = (at.execution for at in detail.executions if at.command == ["sort", "b"])
    assert store.ask("rm", f"1.{number}") == "1 record removed\n"
    assert "sort b" not in store.listed()
    assert "not kept" in store.ask("rm", "9.0", status=125)


def test_of_a_file(store: Store) -> None:
    assert store.ask("rm", "--path", "a") == "2 records removed\n"  # cat, and the shell
    assert set(store.listed()) == {"sort b", "cat c"}


def test_of_a_session(store: Store) -> None:
    store.ask("rm", "--session", "1")
    assert store.listed() == ["cat c"]
    assert "its record is not in the store any more" in store.ask("show", "1.0")


def test_everything(store: Store) -> None:
    assert "pcache clear --yes" in store.ask("clear", status=2)
    assert store.listed()
    assert "records and" in store.ask("clear", "--yes")
    assert store.listed() == []
    assert schema.SessionList.model_validate_json(store.ask("log", "--json")).sessions == []
    assert not store.run("cat", "c") and store.run("cat", "c")


def test_everything_after_a_question(store: Store) -> None:
    for answer, left in (("n", True), ("y", False)):
        child = pexpect.spawn(
            store.bench.launcher.pcache, ["clear"], env=store.bench.env, encoding="utf-8"
        )
        child.expect_exact("[y/N] ")
        child.sendline(answer)
        child.expect(pexpect.EOF)
        assert bool(store.listed()) == left


@pytest.mark.parametrize(
    "words", [("rm",), ("rm", "--path", "a", "cat"), ("clear", "x"), ("rm", "--session", "1.2")]
)
def test_bad_use(store: Store, words: tuple[str, ...]) -> None:
    store.ask(*words, status=2)


def test_statistics(store: Store) -> None:
    store.run("python3", "-c", "import socket; socket.socket().bind(('127.0.0.1', 47812))")
    found = schema.Statistics.model_validate_json(store.ask("stats", "--json"))
    assert found.not_cacheable == {"network": 1}
    (day,) = found.days
    assert (day.sessions, day.hits) == (3, 0)
    text = store.ask("stats")
    assert "      1  network" in text and f"{day.day}  " in text


def test_where_base_dir_is(bench: Bench) -> None:
    (bench.directory / ".pcache.toml").write_text('base_dir = "."\n')
    store = Store(bench)
    assert set(store.listed("cat")) == {"cat a", "cat c"}
    assert store.ask("rm", "--path", str(Path(bench.directory, "c"))) == "1 record removed\n"
