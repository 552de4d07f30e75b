"""Values of facts, and calls, in words, for people."""

from __future__ import annotations

from xxhash import xxh3_128_digest

from pcache.model import Call, Kind
from pcache.values import groups_of
from pcache.wording import text

_DIGEST = 16
"""Bytes of the shortest digest; an errno in place of one is shorter."""
_SHORT = 8
"""Hexadecimal digits of a digest that are shown."""

_OF_PERMISSION = (Kind.PERMISSION, Kind.READABLE, Kind.WRITABLE, Kind.EXECUTABLE)
_TYPES = {b"p": "fifo", b"s": "socket", b"c": "character device", b"b": "block device"}
_DESCRIPTORS = {
    b"closed": "closed",
    b"null": "/dev/null",
    b"tty": "a terminal",
    b"pipe": "a pipe",
    b"file": "a file",
    b"input": "open for reading only",
    b"stream": "a file, pipe or terminal",
    b"socket": "a socket",
    b"dir": "a directory",
    b"=1": "the same as standard output",
}
_OK = {
    Kind.PRESENT: "there",
    Kind.READABLE: "may be read",
    Kind.WRITABLE: "may be written to",
    Kind.EXECUTABLE: "may be executed or searched",
    Kind.STREAM: "its own output",
    Kind.NOT_LINK: "no symbolic link",
    Kind.NOT_NEWER: "none is newer",
    Kind.DIRECTORY: "a directory",
    Kind.NOT_DIRECTORY: "no directory",
    Kind.LNOT_DIRECTORY: "no directory",
    Kind.SOCKET: "it can",
}
"""What b"ok" says of other kinds than those of what is replaced."""


def call_text(call: Call) -> str:
    """The command line of a call."""
    return text(b" ".join(call.argv))


def value_text(kind: bytes, value: bytes) -> str:
    """The value of a fact (`pcache.values` has the forms)."""
    first, rest = value[:1], value[1:]
    if kind == Kind.FD:
        return _DESCRIPTORS.get(value, text(value))
    if kind in (Kind.TRAIT, Kind.BASE):
        return text(value)
    if kind in _OF_PERMISSION and value != b"ok":
        return text(rest)
    if kind == Kind.ONE:
        groups = [" = ".join(map(text, group)) for group in groups_of(value)]
        return "; ".join(groups) or "none"
    if first == b"X":
        return ", ".join(text(name) for name in rest.split(b"\0")[:-1]) or "none"
    if value == b"ok":
        return _OK.get(kind, "can be replaced")
    if first == b"-":
        return "not there"
    if first == b"!":
        return f"looking fails with errno {text(rest)}"
    if kind == Kind.NOT_NEWER:
        return f"the newest is of {int(rest) / 1e9:.9f}"
    if first == b"t":
        mtime, uid, gid, names = map(int, rest.split())
        return f"{mtime / 1e9:.9f}, owner {uid}:{gid}, {names} names"
    if first == b"m":
        return f"order {xxh3_128_digest(value).hex()[:_SHORT]}"
    if kind in (Kind.INTERFACES, Kind.CGROUPS) or first == b"C":
        return f"answer {rest.hex()[:_SHORT]}"
    if first == b"L":
        return f"entries {rest.hex()[:_SHORT]}"
    if kind == Kind.LINK and first == b"l":
        size, _, owner = rest.partition(b":")
        return f"link to a path of {text(size)} bytes{_owner(owner)}"
    if first == b"l":
        return f"link to {text(rest)}"
    if first == b"q":
        size, _, digest = rest.partition(b":")
        return f"{text(size)} bytes, {digest.hex()[:_SHORT]}"
    if first == b"i":
        offset, _, digest = rest.partition(b":")
        return f"content {digest.hex()[:_SHORT]} from byte {text(offset)} on"
    mode, _, more = rest.partition(b":")
    if first == b"d":
        what = "mount point" if mode[:1] == b"m" else "directory"
        return f"{what}, mode {text(mode.removeprefix(b'm'))}{_owner(more)}"
    if first == b"f":
        return _file_text(mode, more)
    return _special_text(_TYPES.get(first, "unknown"), mode, more)


def _special_text(what: str, mode: bytes, more: bytes) -> str:
    """A fifo, socket or device; `more` is what follows after its mode."""
    user, _, rest = more.partition(b":")
    group, _, number = rest.partition(b":")
    closed = ", which the mount lets nobody open" if mode[:1] == b"n" else ""
    which = f" {text(number)}" if number else ""
    shown = text(mode.removeprefix(b"n"))
    return f"{what}{which}, mode {shown}{_owner(user + b':' + group)}{closed}"


def _file_text(mode: bytes, more: bytes) -> str:
    """A regular file; `more` is what follows after its mode."""
    user, _, rest = more.partition(b":")
    shown, _, digest = rest.partition(b":")
    shown, hole, _ = shown.partition(b"~")
    group, _, names = shown.partition(b"+")
    owner = _owner(user + b":" + group)
    if digest.startswith(b"!") and len(digest) < _DIGEST:
        return f"file that may not be read, mode {text(mode)}{owner}"
    content = f", content {digest.hex()[:_SHORT]}" if digest else ""
    also = f", {text(names)} names" if names else ""
    return f"file, mode {text(mode)}{owner}{also}{', with holes' if hole else ''}{content}"


def _owner(pair: bytes) -> str:
    uid, _, gid = pair.partition(b":")
    return f", owner {text(uid)}, group {text(gid)}" if gid else ""
