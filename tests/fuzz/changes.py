"""Random edits: what happens to a project between two runs."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz.line import (
    BUILT,
    DIRECTORY_LINK,
    FILES,
    KEPT,
    LINK,
    NINJA,
    OUTPUTS,
    SOURCES,
    TOOL,
)
from tests.fuzz.twins import DATES
from tests.lib import edits
from tests.lib.edits import Edit

_CONTENTS = ("pear\napple\nfig\n", "apple\n", "kiwi 1\nlime 2\nplum 3\n", "", "no newline")
_FILES = st.sampled_from(FILES)
_directories = st.sampled_from(("d", "e"))
_PATHS = st.sampled_from((*FILES, *OUTPUTS))


@dataclass(frozen=True)
class Named:
    """An edit that can be told to people.  It does nothing where it is impossible."""

    title: str
    edit: Edit

    def __call__(self, root: Path) -> None:
        try:
            self.edit(root)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError):
            return  # the same in both trees
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise

    def __repr__(self) -> str:
        return self.title


def _replacing(path: str, edit: Edit) -> Edit:
    """With nothing of another type in the way."""

    def replace(root: Path) -> None:
        target = root / path
        if target.is_symlink() or target.is_dir():
            edits.delete(path)(root)
        edit(root)

    return replace


def _write(path: str, content: str) -> Named:
    return Named(f"write {path} {content!r}", _replacing(path, edits.write(path, content)))


def _renewed(path: str, content: str) -> Named:
    """Another file of that name, as editors save."""

    def edit(root: Path) -> None:
        (root / "new").write_text(content)
        (root / "new").replace(root / path)

    return Named(f"save {path} {content!r}", edit)


def _directory(path: str) -> Named:
    def edit(root: Path) -> None:
        edits.delete(path)(root)
        (root / path).mkdir()

    return Named(f"directory instead of {path}", edit)


def _link(path: str, target: str) -> Named:
    return Named(f"link {path} to {target}", edits.link(path, target))


def _dated(path: str, seconds: int) -> Named:
    """A time of long ago, with which edits leave it."""
    return Named(f"{path} of {seconds}", lambda root: os.utime(root / path, (seconds, seconds)))


def _attribute(path: str, value: bytes) -> Named:
    return Named(
        f"attribute of {path}: {value!r}", lambda root: os.setxattr(root / path, "user.k", value)
    )


def _permitting(path: str, who: int, name: str = "access") -> Named:
    """An access control list that names a user."""
    return Named(
        f"{name} list of {path}: {who}",
        lambda root: os.setxattr(root / path, f"system.posix_acl_{name}", edits.acl(who)),
    )


def _tool(directory: str, word: str) -> Named:
    text = f'#!/bin/sh\necho {word} "$@"\nwc -l <"$1"\n'
    return Named(f"{TOOL} in {directory}: {word}", edits.write(f"{directory}/{TOOL}", text, 0o755))


def _script(text: str) -> Named:
    return Named(f"sub.sh: {text!r}", edits.write("sub.sh", f"#!/bin/sh\n{text}\n", 0o755))


_HEADER = "#define WORD {word}\nint part(int);\n"
_SOURCES = {
    "s/main.c": (
        '#include <stdio.h>\n#include "part.h"\n'
        'int main(void) { printf("%d\\n", part(WORD)); return part(0); }\n',
        '#include "part.h"\nint main(void) { return part(WORD) > 3; }\n',
        "int main(void) { return not_there; }\n",
    ),
    "s/part.c": (
        '#include "part.h"\nint part(int n) { return n ? n + WORD : 0; }\n',
        '#include "part.h"\nint part(int n) { return n * 2; }\n',
        "int part(int n) { return n; }\n",
    ),
    "s/two/part.h": (_HEADER.format(word=1), _HEADER.format(word=2)),
    "s/one/part.h": (_HEADER.format(word=3), "#include_next <part.h>\n"),
    "s/Makefile": tuple(
        f"CFLAGS = -Ione -Itwo {flags}\nprog: main.o part.o\n\t$(CC) -o $@ $^\n"
        "main.o part.o: two/part.h\nclean:\n\trm -f prog main.o part.o\n"
        "sub:\n\t$(MAKE) part.o\nall: prog sub\n.PHONY: clean sub all\n"
        for flags in ("", "-DMORE", "-Os")
    ),
}
"""Contents of the C project; s/one/part.h is what is found first if it is there."""
_SOURCE_EDITS = st.one_of(
    *(st.builds(_write, st.just(path), st.sampled_from(of)) for path, of in _SOURCES.items()),
    *(
        st.builds(lambda p: Named(f"touch {p}", edits.touch(p)), st.sampled_from(paths))
        for paths in (SOURCES, BUILT)
    ),
    *(
        st.builds(lambda p: Named(f"delete {p}", edits.delete(p)), st.sampled_from(paths))
        for paths in ((*SOURCES, "s/one/part.h"), BUILT, BUILT)
    ),
    st.just(Named("rename a header", edits.rename("s/two/part.h", "s/one/part.h"))),
)

_NINJA_FILE = """\
rule upper
  command = tr a-z A-Z <$in >$out
rule keep
  command = cmp -s $in $out || cp $in $out
  restat = 1
rule join
  command = cat $in >$out{more}
build out1: upper in1
build out2: keep in2
build all: join out1 out2
"""
_NINJA_FILES = tuple(_NINJA_FILE.format(more=more) for more in ("", " && echo . >>$out"))

_kept = st.sampled_from((*KEPT, *NINJA))
_KEPT_EDITS = st.one_of(
    st.builds(_write, _kept, st.sampled_from(_CONTENTS)),
    st.builds(lambda p: Named(f"touch {p}", edits.touch(p)), _kept),
    st.builds(lambda p: Named(f"delete {p}", edits.delete(p)), _kept),
    st.builds(_dated, st.sampled_from((*KEPT, *NINJA, "v", "v/sub")), st.sampled_from(DATES)),
    st.builds(
        lambda p, q: Named(f"rename {p} to {q}", edits.rename(p, q)),
        st.sampled_from(KEPT),
        st.sampled_from(KEPT),
    ),
    st.builds(_renewed, _kept, st.sampled_from(_CONTENTS)),
    st.builds(_write, st.just("n/build.ninja"), st.sampled_from(_NINJA_FILES)),
)

EDITS = st.one_of(
    _KEPT_EDITS,
    _KEPT_EDITS,
    _SOURCE_EDITS,
    _SOURCE_EDITS,
    st.builds(_write, _FILES, st.sampled_from(_CONTENTS)),
    st.builds(_write, _FILES, st.sampled_from(_CONTENTS)),
    st.builds(_write, _PATHS, st.sampled_from(_CONTENTS)),
    st.builds(_renewed, _PATHS, st.sampled_from(_CONTENTS)),
    st.builds(lambda p: Named(f"append to {p}", edits.append(p, "more\n")), _PATHS),
    st.builds(lambda p: Named(f"touch {p}", edits.touch(p)), _PATHS),
    st.builds(lambda p: Named(f"delete {p}", edits.delete(p)), _PATHS),
    st.builds(lambda p: Named(f"delete {p}", edits.delete(p)), st.sampled_from(OUTPUTS)),
    st.builds(lambda p, q: Named(f"rename {p} to {q}", edits.rename(p, q)), _PATHS, _PATHS),
    st.builds(
        lambda p, m: Named(f"chmod {m:o} {p}", edits.chmod(p, m)),
        _PATHS,
        st.sampled_from((0o644, 0o600, 0o755, 0o444)),
    ),
    st.builds(
        lambda p, q: Named(f"{q} another name of {p}", edits.hard_link(q, p)), _PATHS, _PATHS
    ),
    st.builds(lambda p: Named(f"holes in {p}", edits.truncate(p, 1 << 20)), _PATHS),
    st.builds(_dated, _PATHS, st.sampled_from(DATES)),
    st.builds(
        lambda p, g: Named(f"{p} of group {g}", edits.chgrp(p, g)),
        st.sampled_from((*FILES, *OUTPUTS, "d", "e")),
        st.sampled_from(("daemon", "root")),
    ),
    st.builds(
        lambda p, m: Named(f"chmod {m:o} {p}", edits.chmod(p, m)),
        _directories,
        st.sampled_from((0o2755, 0o755, 0o2775)),
    ),
    st.builds(_attribute, _PATHS | _directories, st.sampled_from((b"1", b"2"))),
    st.builds(_permitting, _PATHS, st.sampled_from((1, 2))),
    st.builds(_permitting, _directories, st.sampled_from((1, 2)), st.just("default")),
    st.builds(_link, st.just(LINK), st.sampled_from((*FILES, "o", "none"))),
    st.builds(_link, st.just(DIRECTORY_LINK), st.sampled_from(("d", "e", "none"))),
    st.builds(_directory, _PATHS),
    st.builds(_tool, st.sampled_from(("bin1", "bin2")), st.sampled_from(("one", "two"))),
    st.builds(_script, st.sampled_from(('cat "$1"', 'sort "$1" >o; cat o', 'exec head -n 1 "$1"'))),
    st.builds(
        lambda n: Named(f"file {n} added", edits.write(n, "extra\n")),
        st.sampled_from(("d/new", "extra", "e/new")),
    ),
)
"""A random edit."""

START = (
    _write("a", _CONTENTS[0]),
    _write("b", _CONTENTS[2]),
    _write("c", _CONTENTS[1]),
    _write("d/x", _CONTENTS[0]),
    _write("d/y", _CONTENTS[2]),
    Named("mkdir e", edits.mkdir("e")),
    Named("mkdir bin1", edits.mkdir("bin1")),
    _tool("bin2", "two"),
    _script('cat "$1"'),
    _link(LINK, "a"),
    _link(DIRECTORY_LINK, "d"),
    Named("mkdir s/one", edits.mkdir("s/one")),
    Named("mkdir s/two", edits.mkdir("s/two")),
    *(_write(path, _SOURCES[path][0]) for path in SOURCES),
    *(_write(path, content) for path, content in zip(KEPT, _CONTENTS, strict=False)),
    *(_write(path, _CONTENTS[0]) for path in ("n/in1", "n/in2")),
    _write("n/build.ninja", _NINJA_FILES[0]),
)
"""What every project begins with."""
