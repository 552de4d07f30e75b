"""What people are shown: bytes on one line, what facts are about, which of them have changed."""

from __future__ import annotations

from pcache.model import PREFIXED, Kind
from pcache.values import not_newer_files, order_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pcache.model import Key

PRIVILEGED_EVIDENCE = "what it does is not for its user"
_BASES = {
    b"base": "where base_dir is",
    b"home": "where the home directory is",
    b"user": "who the user is",
    b"host": "the name of the host",
}
_ASPECTS = {
    Kind.LISTING: "its entries",
    Kind.OTHERS: "its other entries",
    Kind.NUMBERED: "the numbered directories beside it",
    Kind.NAMES: "its names",
    Kind.TIMES: "its modification time",
    Kind.LTIMES: "its modification time",
    Kind.VERSION: "its inode number or time of change",
    Kind.LVERSION: "its inode number or time of change",
    Kind.XATTRS: "its extended attributes",
    Kind.LXATTRS: "its extended attributes",
    Kind.READABLE: "whether it may be read",
    Kind.WRITABLE: "whether it may be written to",
    Kind.EXECUTABLE: "whether it may be executed",
    Kind.PERMISSION: "what is permitted there",
}


def counted(number: int, noun: str) -> str:
    """`1 record`, `2 records`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def text(data: bytes) -> str:
    """Bytes of a path, variable or argument, on one line."""
    return data.decode(errors="backslashreplace").replace("\n", "\\n")


STREAMS = ("standard input", "standard output", "standard error")


def subject(kind: bytes, path: bytes) -> str:
    """What a fact is about: a path, or something else that can change."""
    if kind == Kind.ORDER:
        return f"which of {len(order_files(path))} files are newer than which"
    if kind == Kind.NOT_NEWER:
        return f"how old {len(not_newer_files(path)[1])} files are"
    if kind in PREFIXED:
        path = path.partition(b":")[2]
    if kind == Kind.FD:
        return _descriptor(path)
    if kind in (Kind.INPUT, Kind.INPUT_TIMES):
        return f"descriptor {text(path)}"
    if kind == Kind.PIPE:
        return f"what comes from descriptor {text(path)}"
    if kind == Kind.BASE:
        return _BASES[path]
    if kind == Kind.ONE:
        return "which names lead to one file"
    if kind == Kind.SOCKET:
        return f"whether there can be a socket {text(path)}"
    if kind == Kind.CGROUPS:
        return "where control groups are mounted"
    if kind == Kind.INTERFACES:
        return "network interfaces and their addresses"
    if kind == Kind.LOADER:
        return f"libraries in {text(path)}"
    if kind == Kind.TRAIT:
        what, _, number = path.partition(b" ")
        if what == b"tty":
            return f"whether {_descriptor(number)} is a terminal"
        if what == b"one":
            return f"whether {_descriptor(number)} is one with {STREAMS[1]}"
        return f"the process's {text(path)}"
    return text(path)


def _descriptor(number: bytes) -> str:
    fd = int(number)
    return STREAMS[fd] if fd < len(STREAMS) else f"descriptor {fd}"


def aspect(kind: bytes) -> str:
    """What of its subject a fact is about; empty for what it is and contains."""
    return _ASPECTS.get(kind, "")


def fact_name(kind: bytes, path: bytes) -> str:
    """What a fact is about: subject and aspect."""
    return ", ".join(filter(None, (subject(kind, path), aspect(kind))))


def changed_text(keys: Iterable[Key]) -> str:
    """Inputs that have changed: the first, and how many more."""
    changed: dict[str, str] = {}
    for kind, path in keys:
        changed.setdefault(subject(kind, path), aspect(kind))
    if not changed:
        return "input changed"
    first, what = next(iter(changed.items()))
    told = f"{first} ({what})" if what else first
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return f"input changed: {told}{more}"
