"""A caller that closed some of the descriptors 0 to 2: so they are for the command."""

from __future__ import annotations

import subprocess
from itertools import combinations
from pathlib import Path

import pytest

from tests.lib.verbs import VERBS

pytestmark = pytest.mark.root

CLOSED = [some for count in (1, 2, 3) for some in combinations(range(3), count)]
LOOK = "for fd in 0 1 2; do [ -e /proc/$$/fd/$fd ] && echo $fd; done >>found; cat; echo $? >>found"


def found(directory: Path, closed: tuple[int, ...], *prefix: str) -> tuple[int, str]:
    """What a command finds, and how it ends."""
    closing = " ".join(f"{fd}<&-" for fd in closed)
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closing}', "sh", *prefix, "sh", "-c", LOOK],
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(directory / "cache")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    text = (directory / "found").read_text()
    (directory / "found").unlink()
    return done.returncode, text


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_closed(pcache: str, tmp_path: Path, verb: str, closed: tuple[int, ...]) -> None:
    plain = found(tmp_path, closed)
    for _ in range(2):
        assert found(tmp_path, closed, pcache, *VERBS[verb]) == plain
