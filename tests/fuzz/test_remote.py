"""Random projects with a shared store in the loop: each second command begins with an empty cache,
so that what it skips comes from what earlier ones have pushed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import SUDO, open_directory
from tests.fuzz.fuzzing import each, environment
from tests.fuzz.machine import Project, Tally
from tests.fuzz.test_fuzz import seed_of
from tests.fuzz.twins import Twins
from tests.lib.launch import Launcher
from tests.lib.machines import Machine

pytestmark = [pytest.mark.root, pytest.mark.system_files]

_FORGETFUL = """\
#!/bin/sh
# pcache, whose cache is emptied before each second command.
n=$(cat {count} 2>/dev/null || echo 0)
echo $((n + 1)) >{count}
case $n in
*[02468]) rm -rf {store}/pcache ;;
esac
exec {pcache} "$@"
"""


@contextmanager
def forgetful(pcache: str, base: Path, store: Path) -> Iterator[Path]:
    """A command like pcache."""
    script = base / "forgetful"
    script.write_text(_FORGETFUL.format(count=base / "count", store=store, pcache=pcache))
    script.chmod(0o755)
    yield script


def fuzz(pcache: str, number: int, examples: int) -> tuple[Tally, int]:
    """What the projects did, and how many objects the shared store has then."""
    with open_directory() as base:
        twins = Twins(base)
        with forgetful(pcache, base, twins.store) as script:
            launcher = Launcher(str(script), base, as_root=SUDO)
            shared = base / "shared"
            machine = Machine(Launcher(pcache, base), base, "one", f"file://{shared}")
            machine.configure([machine.new_key()], "always")
            tally = Tally()
            env = {**environment(twins), "HOME": str(machine.home)}
            each(number, examples, lambda: Project(twins, launcher, tally, env))
            print(tally)
            return tally, sum(len(files) for _, _, files in os.walk(shared))


def test_some_steps(pcache: str) -> None:
    tally, objects = fuzz(pcache, seed_of(22), 4)
    assert tally.steps.total() >= 40
    assert tally.root_hits
    assert objects > 40


@pytest.mark.slow
@pytest.mark.parametrize("tenth", range(10))
def test_two_thousand_steps(pcache: str, tenth: int) -> None:
    tally, objects = fuzz(pcache, seed_of(23) + tenth, 20)
    assert tally.steps.total() >= 200
    assert tally.root_hits > 10
    assert objects > 100
