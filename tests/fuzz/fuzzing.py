"""Projects of one seed, one after the other in a directory of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.conftest import SUDO, open_directory
from tests.fuzz.machine import History, Project, Tally, histories
from tests.fuzz.twins import Twins
from tests.lib.launch import Launcher
from tests.scenarios.conftest import PLAIN_ENV

EVENTS = 8
"""What happens to a project; it is run one or two times after each."""


class Wrong(AssertionError):
    """A run was not as the plain one; the text has the history of the project."""


def fuzz(
    pcache: str,
    number: int,
    projects: int,
    *,
    lines: int = 9,
    directory: str = "/var/tmp",
    stopped: Callable[[], bool] = lambda: False,
) -> Tally:
    """So many projects with EVENTS events each; always the same ones for a seed.

    lines: how long a script may be at first.  directory: where projects and caches are made.
    stopped: asked before each project whether to leave out the rest.  Raises Wrong.
    """
    with open_directory(directory) as base:
        launcher = Launcher(pcache, base, as_root=SUDO)
        twins, tally = Twins(base), Tally()
        env = environment(twins)
        each(number, projects, lambda: Project(twins, launcher, tally, env), lines, stopped)
    return tally


def each(
    number: int,
    projects: int,
    make: Callable[[], Project],
    lines: int = 9,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Lets the seed's projects live until one goes wrong, which is raised."""
    wrong: list[Wrong] = []

    @seed(number)
    @settings(
        max_examples=projects,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(histories(EVENTS, lines))
    def live(history: History) -> None:
        if wrong or stopped():
            return
        project = make()
        try:
            project.live(history)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            # Raised here, it would be tried again: in vain if it is a matter of chance.
            wrong.append(Wrong(f"{error}\n\nhistory:\n{project}"))

    live()
    if wrong:
        raise wrong[0]


def environment(twins: Twins) -> dict[str, str]:
    """What projects are run with: tools of their own before those of the system."""
    return {
        **PLAIN_ENV,
        "XDG_CACHE_HOME": str(twins.store),
        "PATH": f"{twins.here}/bin1:{twins.here}/bin2:{PLAIN_ENV['PATH']}",
    }
