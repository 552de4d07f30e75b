"""A line of a random shell script, with what a perfect oracle has to know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hypothesis import strategies as st

FILES = ("a", "b", "c", "d/x", "d/y")
OUTPUTS = ("o", "p", "d/o", "e/o")
LINK = "l"
DIRECTORY_LINK = "k"
UNREAD = "q"
"""What no line reads and no link leads to: for writers at the same time as readers, which would
make the plain runs differ, or never end (`tee -a FILE <FILE`)."""
SOURCES = ("s/main.c", "s/part.c", "s/two/part.h", "s/Makefile")
"""A C project: part.h is looked for in s/one first."""
BUILT = ("s/main.o", "s/part.o", "s/prog")
KEPT = ("v/1", "v/2", "v/sub/3")
"""What no line writes and no link leads to: files whose times are known, and those of their
directories."""
NINJA = ("n/in1", "n/in2", "n/out1", "n/out2", "n/all")
"""What n/build.ninja makes something of, and that; no line writes it otherwise."""
TOOL = "tool"
VARIABLE = "COLOUR"

READS = st.sampled_from((*FILES, *FILES, *OUTPUTS, LINK, f"{DIRECTORY_LINK}/x", "none"))
WRITES = st.sampled_from((*OUTPUTS, *OUTPUTS, *OUTPUTS, "b", "d/y", LINK))
DIRECTORIES = st.sampled_from(("d", "e", "f", DIRECTORY_LINK))


@dataclass(frozen=True)
class Line:
    """A line of a script.

    programs: what `pcache` will call the executions the line starts directly and that may be
    replayed; those that read from a pipe of the script may not.  reads: paths whose state decides
    what the line does; None stands for the whole tree.  redirected: the path that the shell itself
    makes empty for the line's output.  writes: paths whose state it may change otherwise.  timed:
    whether modification times of what it reads decide, too.  unknown: it depends on what no oracle
    knows, or is not to be recorded.
    """

    text: str
    programs: tuple[str, ...] = ()
    reads: tuple[str, ...] | None = ()
    redirected: str | None = None
    writes: tuple[str, ...] = ()
    timed: bool = False
    unknown: bool = False


def printing(program: str, *, quoted: str | None = None) -> st.SearchStrategy[Line]:
    """A program that reads files and prints; sometimes into a file."""

    def line(read: str, write: str | None) -> Line:
        text, argv = f"{quoted or program} {read}", f"{program} {read}"
        if write is None:
            return Line(text, (argv,), (read,))
        return Line(f"{text} >{write}", (argv,), (read,), write)

    return st.builds(line, READS, st.none() | WRITES)


def pair(program: str) -> st.SearchStrategy[Line]:
    """A program that reads two files and prints."""

    def line(one: str, two: str, write: str | None) -> Line:
        text = f"{program} {one} {two}"
        if write is None:
            return Line(text, (text,), (one, two))
        return Line(f"{text} >{write}", (text,), (one, two), write)

    return st.builds(line, READS, READS, st.none() | WRITES)


def one(make: Callable[[str], Line], names: st.SearchStrategy[str]) -> st.SearchStrategy[Line]:
    return st.builds(make, names)


def two(
    make: Callable[[str, str], Line],
    one: st.SearchStrategy[str] = READS,
    two: st.SearchStrategy[str] = WRITES,
) -> st.SearchStrategy[Line]:
    return st.builds(make, one, two)


def asking(text: str, read: str) -> Line:
    return Line(text, (text,), (read,))


def changing(text: str, reads: tuple[str, ...], writes: tuple[str, ...]) -> Line:
    """One program that changes files by itself; what was there before counts too."""
    return Line(text, (text,), (*reads, *writes), writes=writes)


def shell(inner: str, reads: tuple[str, ...] | None, writes: tuple[str, ...] = ()) -> Line:
    """A shell of its own, which holds both ends of its pipes."""
    known = None if reads is None else (*reads, *writes)
    return Line(f"sh -c '{inner}'", (f"sh -c {inner}",), known, writes=writes)


def python(body: str, reads: tuple[str, ...], writes: tuple[str, ...]) -> Line:
    """`python3 -Sc`, in single quotes."""
    return Line(
        f"python3 -ISc '{body}'", (f"python3 -ISc {body}",), (*reads, *writes), writes=writes
    )


def dated(
    text: str, reads: tuple[str, ...], writes: tuple[str, ...] = (), *, inner: bool = False
) -> Line:
    """A program, or a shell with an inner text, that passes modification times on or asks for them.

    What it reads should be among KEPT: times that a run gives differ with each run.
    """
    line = shell(text, reads, writes) if inner else changing(text, reads, writes)
    return replace(line, timed=True)


def opaque(inner: str) -> Line:
    """A shell whose doings no oracle can foresee."""
    return replace(shell(inner, None), unknown=True)
