"""Where pcache runs, on the host or in a container, and the recorder's service there."""

from __future__ import annotations

import _socket
import errno
import os

from pcache.doctor.result import FAIL, OK, WARN, Result
from pcache.recorder import SERVICE

# The first namespaces of the machine, linux/proc_ns.h.
_FIRST = {"user": 0xEFFFFFFD, "pid": 0xEFFFFFFC, "uts": 0xEFFFFFFE, "ipc": 0xEFFFFFFF}
_MARKS = {"/.dockerenv": "docker", "/run/.containerenv": "podman", "/run/systemd/container": ""}
"""Files by which those who make containers mark them; empty: it says so itself."""

_PATIENCE_S = 5.0
"""For a service that takes nobody any more."""

SERVICE_FROM_OUTSIDE = (
    "on the host `sudo pcache service install`, and mount its socket into the container:"
    " -v /run/pcache:/run/pcache"
)


def is_first(namespace: str, proc: str = "/proc") -> bool:
    """Whether this process is in the namespace of that kind that the machine began with."""
    try:
        name = os.readlink(f"{proc}/self/ns/{namespace}")
    except OSError:
        return True  # a kernel without that kind
    return name == f"{namespace}:[{_FIRST[namespace]}]"


def place(proc: str = "/proc", root: str = "") -> Result:
    """On the host, or in what.  `root` is put before names that are looked for."""
    if not os.path.isdir(f"{proc}/self/ns"):
        return Result(
            FAIL, f"{proc} is not mounted: nothing can be known", f"mount -t proc proc {proc}"
        )
    others = [name for name in _FIRST if not is_first(name, proc)]
    kind = _container(root)
    where = "on the host"
    if kind or others:
        where = f"in a container ({kind})" if kind else "in a container"
        where += f" with namespaces of its own: {', '.join(others)}" if others else ""
        where += " that shares the host's namespaces" if not others else ""
    if "user" in others:
        return Result(
            WARN,
            f"{where}; who is root in it may not record",
            SERVICE_FROM_OUTSIDE,
        )
    if not os.path.isdir(f"{root}/sys/kernel"):
        return Result(WARN, f"{where}, without /sys", "mount -t sysfs sysfs /sys")
    return Result(OK, where)


def _container(root: str) -> str:
    for mark, kind in _MARKS.items():
        if os.path.exists(root + mark):
            if kind:
                return kind
            with open(root + mark) as file:
                return file.read().strip()
    return os.environ.get("container", "")  # noqa: SIM112  (systemd and podman set it)


def service(path: str = "") -> Result:
    """Whether the service is there that records without sudo."""
    path = path or os.environ.get("PCACHE_SOCKET") or SERVICE
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    socket.settimeout(_PATIENCE_S)
    try:
        socket.connect(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
            return Result(OK, "there is none: recording takes sudo")
        return Result(
            WARN, f"{path}: {error.strerror}", "sudo usermod -aG pcache $USER, and log in again"
        )
    finally:
        socket.close()
    return Result(OK, f"{path} may be used: recording takes no sudo")
