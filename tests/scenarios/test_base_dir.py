"""`base_dir`: what one checkout recorded holds in another, unless its place shows."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Result, Stdio
from tests.lib.tree import Snapshot

pytestmark = [pytest.mark.root, pytest.mark.system_files]

MAKEFILE = """\
objects = a.o b.o
prog: $(objects)
\t@cc -o $(CURDIR)/prog $(objects)
%.o: %.c include/h.h
\t@cc $(FLAGS) -I$(CURDIR)/include -c $(CURDIR)/$< -o $@
"""
BUILD = {
    ".pcache.toml": 'base_dir = "."\n',
    "Makefile": MAKEFILE,
    "include/h.h": "int b(void);\n",
    "a.c": "#include <h.h>\nint main(void) { return b(); }\n",
    "b.c": "#include <h.h>\nint b(void) { return 0; }\n",
}


class Checkouts:
    """Copies of one tree in directories with names of different lengths, and one store."""

    def __init__(self, bench: Bench, files: dict[str, str]) -> None:
        self.bench = bench
        self.files = files
        self.one = self.make("one")
        self.another = self.make("another")

    def make(self, name: str) -> Path:
        """A checkout made (anew)."""
        directory = self.bench.directory / name
        if directory.exists():
            shutil.rmtree(directory)
        for path, content in self.files.items():
            file = directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        time.sleep(SETTLE_SECONDS)
        return directory

    def run(self, verb: str, where: Path, *command: str) -> Result:
        time.sleep(SETTLE_SECONDS)
        launcher = self.bench.launcher
        if verb == "plain":
            return launcher.plain(command, where, self.bench.env, Stdio())
        start, tell = {
            "trace": (launcher.trace, "--explain"),
            "run": (launcher.run, "--explain"),
            "replay": (launcher.replay, "-v"),
        }[verb]
        return start(command, where, self.bench.env, Stdio(), ("-q", tell))

    def compare(
        self, *command: str, verb: str = "replay", edit: dict[str, str] | None = None
    ) -> Result:
        """Runs a command in another checkout, under pcache and plainly: what they leave must be
        the same.  Answers what the former said."""
        results = []
        began = time.time_ns() - 10**8
        for how in (verb, "plain"):
            self.make("another")
            for path, content in (edit or {}).items():
                (self.another / path).write_text(content)
            result = self.run(how, self.another, *command)
            results.append((result, Snapshot.take(self.another, began, began)))
        (result, tree), (plain, plainly) = results
        assert result.ended == plain.ended
        assert not plainly.difference(tree)
        return result


def hits(result: Result) -> list[str]:
    return [decision.command for decision in result.decisions if decision.hit]


@pytest.mark.parametrize("verb", ["replay", "run"])
def test_build_in_another_checkout(bench: Bench, verb: str) -> None:
    checkouts = Checkouts(bench, BUILD)
    checkouts.run("trace", checkouts.one, "make")
    result = checkouts.compare("make", verb=verb)
    assert hits(result) == ["make"], result.own
    edit = {"b.c": "#include <h.h>\nint b(void) { return 1; }\n"}
    edited = checkouts.compare("make", verb=verb, edit=edit)
    assert [command for command in hits(edited) if "/a.c" in command], edited.own
    assert not [command for command in hits(edited) if "/b.c" in command], edited.own
    # What another checkout does is nothing to the first one.
    checkouts.make("one")
    assert hits(checkouts.run("replay", checkouts.one, "make")) == ["make"]


def test_place_in_debugging_information(bench: Bench) -> None:
    """It is in what the compiler writes, so that compiling is not the same elsewhere."""
    checkouts = Checkouts(bench, BUILD)
    checkouts.run("trace", checkouts.one, "make", "FLAGS=-g")
    assert hits(checkouts.compare("make", "FLAGS=-g")) == []
    checkouts.make("one")
    result = checkouts.run("replay", checkouts.one, "make", "FLAGS=-g")
    assert hits(result) == ["make FLAGS=-g"], result.own


@pytest.mark.parametrize(
    "script",
    [
        "pwd",
        "pwd >where",
        "/bin/pwd >t; cksum <t >sum; rm t",
        "cat ONE/data",
        "cat ONE2/data",
        "echo more >ONE/new; cat data",
        "cat link",
        "echo more >ln; cat data",
        "ln -s $PWD/data l",
        "cat list | xargs cat",
        "readlink -f data",
    ],
)
def test_place_shows(bench: Bench, script: str) -> None:
    """What printed, wrote or read the path of its checkout does what it does there alone."""
    bench.directory.joinpath("one2").mkdir()
    bench.directory.joinpath("one2/data").write_text("sibling\n")
    one = str(bench.directory / "one")
    files = {
        ".pcache.toml": 'base_dir = "."\n',
        "run.sh": script.replace("ONE", one) + "\n",
        "data": "data\n",
        "list": f"{one}/data\n",
    }
    checkouts = Checkouts(bench, files)
    links = {"link": f"{one}/data", "ln": f"{one}/new"}

    def make(name: str) -> Path:
        directory = Checkouts.make(checkouts, name)
        for path, target in links.items():
            (directory / path).symlink_to(target)
        return directory

    checkouts.make = make  # type: ignore[method-assign]
    make("one")
    checkouts.run("trace", checkouts.one, "sh", "run.sh")
    (checkouts.one / "data").write_text("other data\n")
    (checkouts.one / "new").unlink(missing_ok=True)
    result = checkouts.compare("sh", "run.sh")
    assert "sh run.sh" not in hits(result), result.own
    make("one")
    again = checkouts.run("replay", checkouts.one, "sh", "run.sh")
    assert hits(again) == ["sh run.sh"], again.own


def test_paths_that_lead_out_and_in(bench: Bench) -> None:
    """`..`, links within, directories listed and made, moved files: all as in the first place."""
    script = (
        "mkdir -p out/deep; cd out/deep; cat ../../data ../../inner >joined\n"
        "echo ../../* >/dev/null\n"
        "cd -P ../../sub/..; ln -s data own; ln out/deep/joined hard; cp inner x; mv x moved\n"
        "test -e absent || cp data absent; cat $1/data\n"
    )
    files = {
        ".pcache.toml": 'base_dir = "."\n',
        "run.sh": script,
        "data": "data\n",
        "inner": "inner\n",
        "sub/x": "",
    }
    checkouts = Checkouts(bench, files)
    checkouts.run("trace", checkouts.one, "sh", "run.sh", str(checkouts.one))
    another = str(checkouts.another)
    result = checkouts.compare("sh", "run.sh", another)
    assert hits(result) == [f"sh run.sh {another}"], result.own
    result = checkouts.compare("sh", "run.sh", another, edit={"inner": "edited\n"})
    assert f"sh run.sh {another}" not in hits(result)


def test_not_configured(bench: Bench) -> None:
    """Without the setting, records are of one place."""
    checkouts = Checkouts(bench, {**BUILD, ".pcache.toml": ""})
    checkouts.run("trace", checkouts.one, "make")
    assert "make" not in hits(checkouts.compare("make"))
