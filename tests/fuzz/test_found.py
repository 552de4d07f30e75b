"""What fuzzing has found, each as a history of its own: every one was a difference once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import SUDO, open_directory
from tests.fuzz.changes import Named
from tests.fuzz.line import Line
from tests.fuzz.machine import Edited, History, Project, Tally
from tests.fuzz.twins import Twins
from tests.lib import edits
from tests.lib.launch import Launcher
from tests.scenarios.conftest import PLAIN_ENV

pytestmark = [pytest.mark.root, pytest.mark.system_files]


@dataclass(frozen=True)
class Found:
    """A script, and what follows: verbs to run it by, edits between them."""

    title: str
    script: str
    events: Sequence[str | Named]

    def history(self) -> History:
        happened: list[tuple[Edited, list[str], str]] = []
        for event in self.events:
            if isinstance(event, Named):
                happened.append((Edited([event]), [], "entry"))
            else:
                happened.append((Edited([]), [event], "entry"))
        return History([Line(self.script, reads=None)], [*happened])


def delete(path: str) -> Named:
    return Named(f"delete {path}", edits.delete(path))


def link(path: str, target: str) -> Named:
    return Named(f"link {path} to {target}", edits.link(path, target))


def write(path: str, content: str) -> Named:
    return Named(f"write {path}", edits.write(path, content))


def padded(path: str, *, hole: bool) -> Named:
    """64 kB, most of them zeros."""

    def edit(root: Path) -> None:
        (root / path).write_bytes(b"text\n" if hole else b"text\n".ljust(1 << 16, b"\0"))
        os.truncate(root / path, 1 << 16)

    return Named(f"{path} with {'a hole' if hole else 'zeros'}", edit)


FOUND = [
    *(
        Found(
            f"zeros instead of a hole: {command}",
            f"sh -c '{command}'",
            [
                *(padded("b", hole=True), "run", padded("b", hole=True), "run"),
                *(padded("b", hole=False), "replay", padded("b", hole=False), "run"),
            ],
        )
        for command in (
            "truncate -s 64K b; du -k b",
            "echo x >>b; du -k b",
            "wc -l b; du -k b",
            'python3 -ISc "print(len(open(chr(98)).read()))"; du -k b',
            "sort b; cat c >b",
        )
    ),
    Found(
        "opened to append, and nothing written: the time stays",
        'echo $COLOUR\npython3 -ISc \'open("b", "a").write(open("none").read())\'',
        ["trace", write("c", "c"), "replay", "run", "plain"],
    ),
    Found(
        "a symbolic link made anew: its time does not",
        "ln -sf none l\nmkdir e",
        ["run", "run", "replay", "replay"],
    ),
    Found(
        "dangling and looping links, made anew and removed",
        "ln -sf d/o l\nln -sfn k k\nrm -rf m",
        ["run", "run", "run", "replay", link("m", "k"), "run", link("l", "k"), "run", "replay"],
    ),
    Found(
        "ln -f of two names of one file: their time stays",
        "cat a\nln -f c b",
        ["run", "plain", write("a", "other\n"), "run", write("a", "more\n"), "replay", "replay"],
    ),
    *(
        Found(
            f"what a hit leaves where an execution had left something else: {script}",
            script,
            ["run", "run", "run", "replay"],
        )
        for script in (
            "sh -c 'cp a o && cat o'\nperl -pi -e s/e/E/ o",
            "echo x >o\ncp a o\nperl -pi -e s/e/E/ o",
            "stat -Lc %a:%F b >b\n"
            'python3 -ISc \'import os; print(os.path.getsize("b")); os.rename("b", "d/o")\'\n'
            "sh -c 'umask 077; cat l >d/o'",
            "cp a o\nmv o d/o\ncat d/o\ncp b d/o",
            "cp a o\ncat none o\nln -f a o\ncat o",
            "ln a o\ncat o\nsort -o o b\ncat o",
        )
    ),
    *(
        Found(
            f"a directory that is not empty, then it is: {command}",
            command,
            [
                Named("f/x", edits.write("f/x", "x")),
                Named("g/x", edits.write("g/x", "x")),
                "run",
                delete("f/x"),
                "replay",
            ],
        )
        for command in ("rmdir f", "mv -T g f", "rmdir f 2>&1 | cat")
    ),
    *(
        Found(
            f"a hole that leaves less than a block: {command}",
            command,
            ["run", delete("p"), "replay", write("p", "other\n"), "replay", "run"],
        )
        for command in (
            "dd if=a of=p bs=1 count=3 seek=5000 status=none",
            "truncate -s 100 p",
            "truncate -s 4097 p",
        )
    ),
    *(
        Found(
            f"away and back, what is in it keeps its time: {command}",
            f"sh -c '{command}'",
            [
                event
                for verb in ("run", "run", "run", "replay")
                for event in (link("d/o", "a"), Named("touch d/x", edits.touch("d/x")), verb)
            ],
        )
        for command in ("mv d d2 && cp c d2/n; mv d2 d; cat d/n", "mv d d2; mv d2 d; cat d/y")
    ),
    *(
        Found(
            f"no directory to make something in, then one: {command}",
            command,
            ["run", Named("mkdir f", edits.mkdir("f")), "replay"],
        )
        for command in (
            "touch f/o",
            "cp a f/o",
            "mkdir f/o",
            "mv a f/o",
            "ln a f/o",
            "ln -s a f/o",
            "mkfifo f/o",
            'python3 -ISc \'import os; os.rename("a", "f/o")\'',
        )
    ),
]


@pytest.mark.parametrize("found", FOUND, ids=lambda found: found.title)
def test_found(pcache: str, found: Found) -> None:
    with open_directory() as base:
        launcher = Launcher(pcache, base, as_root=SUDO)
        twins = Twins(base)
        env = {**PLAIN_ENV, "XDG_CACHE_HOME": str(twins.store)}
        Project(twins, launcher, Tally(), env).live(found.history())
