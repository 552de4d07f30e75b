"""What Java virtual machines have in /tmp about each other: what jps and jstat show.

Each has a file of its own number in /tmp/hsperfdata_USER, with what it counts, and before it makes
that removes those of machines that have ended: it lists them, locks each, and looks for the process
(os/posix/perfMemory_posix.cpp of OpenJDK).  That is no input and no output of the program that
it runs.  This, and looking for limits, is done between loading libjvm.so and libjava.so: from then
on whoever looks there is the program itself.
"""

from __future__ import annotations

from pcache.memo.questions import cgroups_value
from pcache.model import Kind
from pcache.observe.accesses.event import Event
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation
from pcache.pattern import Pattern

_KEPT = b"/tmp/hsperfdata_"
_CONTROL_GROUPS = Pattern(rb"/proc/(?:cgroups|(?:self|\d+)/mountinfo)$")
"""What it reads to find the limits of its control group, which it then reads
(os/linux/cgroupSubsystem_linux.cpp)."""


def follow(execution: Execution, name: bytes) -> bool:
    """Notes that a file is opened; returns whether that is when this time begins or ends."""
    if not name.endswith((b"/libjvm.so", b"/libjava.so")):
        return False
    execution.starts_jvm = name.endswith(b"/libjvm.so")
    return True


def keeps(execution: Execution, name: bytes) -> bool:
    """Whether what an execution does with this canonical name now is about that."""
    return execution.starts_jvm and name.startswith(_KEPT)


def observe(event: Event, path: bytes, name: bytes) -> bool:
    """Whether what it looks at while it starts is no input as it is: of control groups only where
    they are is one.  Raises OSError."""
    if keeps(event.execution, name):
        return True
    if not (path.startswith(b"/proc/") and _CONTROL_GROUPS.match(path)):
        return False
    seen = Observation(event.ts, b"", cgroups_value())
    event.execution.observe((Kind.CGROUPS, b"all"), seen)
    return True
