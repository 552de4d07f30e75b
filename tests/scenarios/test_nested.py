"""pcache below pcache: the outer one sees every execution, the inner one stays out of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.lib.verbs import VERBS, aloud

pytestmark = pytest.mark.root

OUTER = ("replay", "run")
SCRIPT = "echo x >f; echo done"
NOTE = "pcache: already below another pcache: the command runs under that one alone\n"


class Nest:
    """An inner verb below an outer one, in one directory with one store."""

    def __init__(self, pcache: str, directory: Path) -> None:
        self._pcache = pcache
        self.directory = directory

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(self.directory / "cache")}
        return subprocess.run(
            words, cwd=self.directory, env=env, capture_output=True, text=True, check=False
        )

    def pcache(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self(self._pcache, *words)

    def nested(self, outer: list[str], inner: list[str]) -> subprocess.CompletedProcess[str]:
        return self.pcache(*outer, self._pcache, *inner, "sh", "-c", SCRIPT)


@pytest.fixture
def nest(pcache: str, tmp_path: Path) -> Nest:
    return Nest(pcache, tmp_path)


@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("inner", VERBS)
def test_what_the_outer_one_replaced_is_not_recorded(nest: Nest, outer: str, inner: str) -> None:
    """The inner recorder would see programs that did nothing and ended with the right status."""
    nest.pcache(*VERBS["trace"], "sh", "-c", SCRIPT)
    output = nest.directory / "f"
    for _ in range(2):
        output.unlink()
        assert nest.nested(VERBS[outer], aloud(inner)).stdout == "done\n"
        assert output.read_text() == "x\n"
    for verb in OUTER:
        output.unlink()
        assert nest.pcache(*VERBS[verb], "sh", "-c", SCRIPT).stdout == "done\n"
        assert output.read_text() == "x\n"


@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("inner", VERBS)
def test_it_is_said_once(nest: Nest, outer: str, inner: str) -> None:
    assert nest.nested(VERBS[outer], aloud(inner)).stderr == NOTE
    assert nest.nested(VERBS[outer], VERBS[inner]).stderr == ""


def test_below_sudo(pcache: str, as_user: Run) -> None:
    """The inner one is a set-user-ID program's, whose gate is root's when it is withdrawn."""
    inner = f"sudo {pcache} run echo done"
    done = as_user(["sudo", pcache, "run", "-q", "sh", "-c", inner])
    assert (done.returncode, done.stdout, done.stderr.decode()) == (0, b"done\n", NOTE)


@pytest.mark.parametrize("inner", ["replay", "run"])
def test_a_recorder_outside(nest: Nest, inner: str) -> None:
    """`trace` has no supervisor that answers; but it sees that its programs are under a filter."""
    nest.pcache(*VERBS["trace"], "sh", "-c", SCRIPT)
    output = nest.directory / "f"
    output.unlink()
    assert nest.nested(VERBS["trace"], VERBS[inner]).stdout == "done\n"
    output.unlink()
    assert nest.pcache("replay", "-q", "sh", "-c", f"{SCRIPT}; :").stdout == "done\n"
    assert output.read_text() == "x\n"
    output.unlink()
    assert nest.pcache("replay", "-q", "sh", "-c", SCRIPT).stdout == "done\n"
    assert output.read_text() == "x\n"
