"""What an execution was asked to do."""

from __future__ import annotations

from pcache.linux.signal_sets import TOLD
from pcache.model import Call
from pcache.observe import pseudo
from pcache.observe.executions import Execution

_environments: dict[bytes, tuple[bytes, ...]] = {}
"""The last environments: what a build starts has few different ones."""
_ENVIRONMENTS_LIMIT = 64
_FMODE_WRITE = 2  # include/linux/fs.h


def _environment(data: bytes) -> tuple[bytes, ...]:
    """The entries of an environment, each of which ends with NUL; equal ones are one object."""
    entries = _environments.get(data)
    if entries is None:
        if len(_environments) >= _ENVIRONMENTS_LIMIT:
            _environments.clear()
        entries = _environments[data] = tuple(data.split(b"\0")[:-1])
    return entries


def call_of(execution: Execution) -> Call:
    """What the execution was asked to do."""
    kinds = [b"closed", b"closed", b"closed"]
    for same in execution.descriptors.values():
        for descriptor in same:
            if descriptor.fd < len(kinds):
                stamp = descriptor.stamp
                unwritable = descriptor.fd and not stamp.f_mode & _FMODE_WRITE
                kinds[descriptor.fd] = b"input" if unwritable else pseudo.kind_of(stamp)
        if {1, 2} <= {descriptor.fd for descriptor in same}:
            kinds[2] = b"=1"
    return Call(
        execution.executable,
        tuple(execution.argv()),
        _environment(bytes(execution.arguments[execution.argv_size :])),
        execution.cwd or b"",
        execution.umask,
        execution.uid,
        execution.gid,
        tuple(kinds),
        execution.signals_ignored & TOLD,
        execution.told_filename,
    )
