"""Real projects from Debian's sources, built plainly, traced and replayed.

The sources are fetched once into $PCACHE_TEST_SOURCES (default: demo-work/sources in the
checkout), by apt with entries of its own.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from demo import source
from tests.conftest import CHECKOUT
from tests.lib.edits import Edit, append, delete, run, touch, write
from tests.lib.scenario import Expect, Scenario, Step, only, step

pytestmark = [pytest.mark.root, pytest.mark.system_files]

SOURCES = Path(os.environ.get("PCACHE_TEST_SOURCES", CHECKOUT / "demo-work" / "sources"))


def unpacked(package: str) -> Path:
    """The directory that a source package unpacks to; fetched if it is not there."""
    place = SOURCES / package
    if not place.exists():
        SOURCES.mkdir(parents=True, exist_ok=True)
        archive = source.fetch(package, SOURCES)
        with tempfile.TemporaryDirectory(dir=SOURCES) as fresh:
            subprocess.run(
                ["tar", "-x", "--no-same-owner", "-C", fresh, "-f", str(archive)], check=True
            )
            (tree,) = Path(fresh).iterdir()
            os.rename(tree, place)
    return place


def project(package: str) -> Edit:
    """The source, laid out as it was packed."""
    return run("cp", "-a", f"{unpacked(package)}/.", ".")


def lua(*steps: Step) -> Scenario:
    # -s: with two jobs the lines that make prints come in any order.
    return Scenario(
        "lua", ("make", "-s", "-j2", "linux"), (project("lua5.4"),), steps, retrace=False
    )


EDITED = step(
    "a source edited",
    append("src/lstrlib.c", "\nconst int edited = 1;\n"),
    expect=only(
        "make",
        "lstrlib",
        "as ",
        "ar ",
        "ranlib",
        "liblua",
        hit=("-o lvm.o", "-o lapi.o"),
    ),
    record=False,
)


def test_lua_as_an_ordinary_user(check_as_user: Callable[[Scenario], None]) -> None:
    check_as_user(lua(step("touched", touch("src/lua.h"), record=False), EDITED))


@pytest.mark.slow
def test_lua_in_detail(check: Callable[[Scenario], None]) -> None:
    check(
        lua(
            EDITED,
            step(
                "a header edited",
                append("src/lvm.h", "\n#define edited 1\n"),
                expect=Expect(root=False, hit=("-o lstrlib.o", "-o lauxlib.o")),
            ),
            step(
                "a header that shadows",
                write("src/stdlib.h", "#include_next <stdlib.h>\n"),
                expect=Expect(root=False, hit=("-o lapi.o",)),
            ),
            step("CPATH", env={"CPATH": "/usr/include"}, expect=Expect(root=False)),
            step("a source removed", delete("src/lutf8lib.c"), expect=Expect(root=False)),
            step("back and built", built=True, expect=Expect(root=False), record=False),
        )
    )


@pytest.mark.slow
def test_zlib_configure_and_make(check_as_user: Callable[[Scenario], None]) -> None:
    check_as_user(
        Scenario(
            "zlib",
            ("sh", "-c", "./configure >/dev/null && make -s -j2"),
            (project("zlib"),),
            (
                step("touched", touch("zlib.h"), record=False),
                step(
                    "a source edited",
                    append("inflate.c", "\nconst int edited = 1;\n"),
                    expect=Expect(root=False, hit=("-o deflate.o", "-o trees.o")),
                    record=False,
                ),
            ),
            retrace=False,
            # It tells of temporary files whose names hold the process's number.
            masks={"configure.log": ".*"},
        )
    )
