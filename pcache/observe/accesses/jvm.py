"""What Java virtual machines have in /tmp about each other: what jps and jstat show.

Each has a file of its own number in /tmp/hsperfdata_USER, with what it counts, and before it makes
that removes those of machines that have ended: it lists them, locks each, and looks for the process
(os/posix/perfMemory_posix.cpp of OpenJDK).  That is no input and no output of the program that
it runs.  It is done between loading libjvm.so and libjava.so: from then on whoever looks there is
the program itself.
"""

from __future__ import annotations

from pcache.observe.executions import Execution

_KEPT = b"/tmp/hsperfdata_"


def follow(execution: Execution, name: bytes) -> bool:
    """Notes that a file is opened; returns whether that is when this time begins or ends."""
    if not name.endswith((b"/libjvm.so", b"/libjava.so")):
        return False
    execution.starts_jvm = name.endswith(b"/libjvm.so")
    return True


def keeps(execution: Execution, name: bytes) -> bool:
    """Whether what an execution does with this canonical name now is about that."""
    return execution.starts_jvm and name.startswith(_KEPT)
