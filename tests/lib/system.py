"""What of the system the programs that tests run depend on, and whether somebody changes it.

An installation of packages, or an account that is made, changes inputs of nearly every program:
what was recorded before no longer holds, rightly.  A test with the mark `system_files` expects a
hit all the same; where it fails and the system has changed meanwhile, it is run once more.
"""

from __future__ import annotations

import os

import pytest
from _pytest.runner import runtestprotocol

PATHS = (
    *("/etc/ld.so.cache", "/etc/passwd", "/etc/group", "/etc", "/var/lib/dpkg/status"),
    *("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/include"),
    *("/usr/local/bin", "/usr/local/lib", "/usr/share", "/usr/lib/locale"),
)
"""dpkg(1) puts each file in place by rename, so the directories tell too."""

State = dict[str, tuple[int, int]]


def state() -> State:
    """Inode and time of change of each of PATHS that is there."""
    found = {}
    for path in PATHS:
        try:
            st = os.stat(path)
        except OSError:
            continue
        found[path] = (st.st_ino, st.st_ctime_ns)
    return found


def changed(before: State) -> list[str]:
    """What is not as it was."""
    now = state()
    return [path for path in PATHS if now.get(path) != before.get(path)]


def run(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Run one test, and once more if it may have failed because the system changed."""
    before = state()
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(report.failed for report in reports) and (what := changed(before)):
        because = f"run once more: somebody changed {', '.join(what)} while it ran"
        failure = "\n".join(report.longreprtext for report in reports if report.failed)
        item.warn(pytest.PytestWarning(f"{because}; it had failed with {failure[-500:]}"))
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        for report in reports:
            report.sections.append(("Second run", because))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
