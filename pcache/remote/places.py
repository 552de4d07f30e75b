"""How what is of one machine is written for others: base_dir, and as far as settings allow (`map`)
the home directory, the user and the host.

What is mapped must not show: an execution that read or wrote the name of a home directory, user or
host depends on it (`Places.shown`).
"""

from __future__ import annotations

import os
import re

from pcache.model import Kind
from pcache.settings.base_dir import keyed, moved, valued
from pcache.settings.remote import HOME, HOST, USER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.linux.user import User
    from pcache.model import Key, Outcome
    from pcache.settings.rules import Policy

_SHORTEST = 3
"""Characters: shorter names are found everywhere, so that nothing is mapped."""
_NAMES = (b"USER", b"LOGNAME", b"USERNAME")
_HOST_NAMES = (b"HOSTNAME", b"HOST")
_HOST_FACTS = (
    (Kind.CONTENT, b"/proc/sys/kernel/hostname"),
    (Kind.LCONTENT, b"/proc/sys/kernel/hostname"),
)
_OWNED = re.compile(
    rb"((?:f|dm?)[0-7]+|l\d+):(\d+):(\d+)((?:\+\d+)?(?:~[0-9a-f]+)?(?:[>:].*)?)", re.DOTALL
)
_GROUPS = re.compile(rb"(?<=groups )\d+(?: \d+)*")
_BASE, _HOME, _USER, _HOST = b"\0b", b"\0h", b"\0u", b"\0m"
"""In texts, in place of what they stand for: neither arguments nor variables contain NUL."""


class Places:
    """Of one user on one machine."""

    def __init__(self, policy: Policy, user: User, mapped: tuple[bytes, ...]) -> None:
        name, host = os.fsencode(user.name), os.fsencode(os.uname().nodename)
        self.base = policy.base
        self.uid, self.gid = user.uid, user.gid
        self.home = user.home if HOME in mapped and len(user.home) > _SHORTEST else b""
        maps_user = USER in mapped and user.uid != 0 and len(name) >= _SHORTEST
        self.name = name if maps_user else b""
        """Empty: who the user is makes a difference (as it always does for root)."""
        self.host = host if HOST in mapped and len(host) >= _SHORTEST else b""
        self._below_home = self.home + b"/"

    # ---- calls

    def hide_text(self, text: bytes) -> bytes:
        """An argument or the like, the same everywhere."""
        if self.base is not None:
            text = text.replace(self.base.path, _BASE)
        return text.replace(self.home, _HOME) if self.home else text

    def hide_variable(self, entry: bytes) -> bytes:
        """An entry of the environment."""
        name, equals, value = entry.partition(b"=")
        if self.name and name in _NAMES and value == self.name:
            return name + equals + _USER
        if self.host and name in _HOST_NAMES and value == self.host:
            return name + equals + _HOST
        return self.hide_text(entry)

    def ids(self, uid: int, gid: int) -> bytes:
        """User and group of a call."""
        if self.name and (uid, gid) == (self.uid, self.gid):
            return b"u g"
        return b"%d %d" % (uid, gid)

    def hide_circumstances(self, digest: bytes) -> bytes:
        """`Policy.digest`, of which the groups are those of the user."""
        if not self.name:
            return digest
        return _GROUPS.sub(self._hide_groups, digest)

    def _hide_groups(self, found: re.Match[bytes]) -> bytes:
        own = b"%d" % self.gid
        return b" ".join(sorted(b"g" if group == own else group for group in found[0].split()))

    # ---- facts and outcomes

    def hide_path(self, path: bytes) -> bytes:
        """A path: `.` or `./...` where it is base_dir or below, `~` or `~/...` for the home."""
        if self.base is not None:
            path = self.base.hide(path)
        if self.home and (path == self.home or path.startswith(self._below_home)):
            return b"~" + path[len(self.home) :]
        return path

    def show_path(self, stored: bytes) -> bytes:
        """The path here that was given to `hide_path` somewhere.  Raises ValueError if there is no
        such place here."""
        if stored[:1] == b".":
            if self.base is None:
                raise ValueError("no base_dir is configured here")
            return self.base.show(stored)
        if stored[:1] == b"~":
            if not self.home:
                raise ValueError("the home directory is not mapped here")
            return self.home + stored[1:]
        return stored

    def hide_key(self, key: Key) -> Key:
        """What a fact is about."""
        return key if key[0] in _OF_NO_PATH else keyed(key, self.hide_path)

    def show_key(self, stored: Key) -> Key:
        """The key here.  Raises ValueError, also for one that is none."""
        if stored[0] in _OF_NO_PATH:
            return stored
        return keyed(stored, self.show_path)

    def hide_value(self, key: Key, value: bytes) -> bytes:
        """The value of a fact (with SHA-256 in it)."""
        if self.host and key in _HOST_FACTS:
            return b"host"
        value = valued(key[0], value, self.hide_path)
        if self.name and key[0] in _OWNED_KINDS and (found := _OWNED.fullmatch(value)):
            user = b"u" if int(found[2]) == self.uid else found[2]
            group = b"g" if int(found[3]) == self.gid else found[3]
            return b"%b:%b:%b%b" % (found[1], user, group, found[4])
        return value

    def hide_outcome(self, outcome: Outcome) -> Outcome:
        """What a hit restores."""
        return moved(outcome, self.hide_path)

    def show_outcome(self, stored: Outcome) -> Outcome:
        """The same here.  Raises ValueError."""
        return moved(stored, self.show_path)

    # ---- what must not show

    def needles(self) -> dict[bytes, bytes]:
        """What to look for in what was read and written, by what it would make depend on."""
        found = {HOME: self.home, USER: self.name, HOST: self.host}
        return {what: text for what, text in found.items() if text}

    def identity(self, what: bytes) -> bytes:
        """Value of the fact that an execution depends on HOME, USER or HOST (kind BASE)."""
        if what == HOME:
            return self.home
        if what == USER:
            return b"%b %d %d" % (self.name, self.uid, self.gid)
        if what == HOST:
            return self.host
        return b"" if self.base is None else self.base.path


_OF_NO_PATH = (
    *(Kind.FD, Kind.PIPE, Kind.INPUT, Kind.INPUT_TIMES, Kind.TRAIT, Kind.BASE),
    *(Kind.SOCKET, Kind.INTERFACES),
)
_OWNED_KINDS = (
    *(
        Kind.CONTENT,
        Kind.LCONTENT,
        Kind.EXISTS,
        Kind.LEXISTS,
        Kind.SIZE,
        Kind.LSIZE,
        Kind.REPLACEABLE,
        Kind.PLAIN,
        Kind.REMOVABLE,
        Kind.NOT_LINK,
    ),
    *(Kind.NOT_DIRECTORY, Kind.LNOT_DIRECTORY, Kind.LINK, Kind.PRESENT, Kind.RESOLVES),
    *(Kind.DIRECTORY, Kind.OVERWRITABLE),
)
"""Kinds whose value may tell an owner."""
