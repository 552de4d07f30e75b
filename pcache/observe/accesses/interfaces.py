"""What the kernel says of network interfaces, in whatever way it was asked."""

from __future__ import annotations

from pcache.linux.interfaces import interfaces_value
from pcache.model import Kind, Reason
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation


def depend_on_interfaces(ts: int, execution: Execution) -> None:
    """It is an input."""
    try:
        value = interfaces_value()
    except OSError as error:
        execution.problem_throughout(Reason.TRANSIENT, f"netlink: {error.strerror}")
        return
    execution.observe((Kind.INTERFACES, b"all"), Observation(ts, b"", value))
