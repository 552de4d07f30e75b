"""What an execution depended on, as it was seen."""

from __future__ import annotations

from pcache.model import Key, Kind
from pcache.observe.events import Stamp
from pcache.values import without_names

OF_THE_SYSTEM = (
    *(b"/etc/", b"/lib/", b"/lib64/", b"/usr/lib/", b"/usr/lib64/"),
    *(b"/usr/share/locale/", b"/usr/share/zoneinfo/"),
)
"""What the C library opens for every program: its times matter only if a program asks for them."""


TIMES_OF = {
    Kind.CONTENT: Kind.TIMES,
    Kind.EXISTS: Kind.TIMES,
    Kind.RESOLVES: Kind.TIMES,
    Kind.LCONTENT: Kind.LTIMES,
    Kind.LEXISTS: Kind.LTIMES,
    Kind.LINK: Kind.LTIMES,
    Kind.INPUT: Kind.INPUT_TIMES,
}
"""Kinds of what was looked at -> kinds of its times."""


class Observation:
    """The first time an execution depended on a key.

    Its value is known (`value`), or that of the file of version `stamp` (found at `place`), or
    looked up later (neither).  `entries` is a directory listing as it was.
    """

    __slots__ = ("entries", "looked", "name", "opened", "place", "stamp", "ts", "value")

    def __init__(
        self,
        ts: int,
        name: bytes,
        value: bytes | None = None,
        stamp: Stamp | None = None,
        opened: bool = False,
        entries: frozenset[tuple[bytes, int]] | None = None,
    ) -> None:
        self.ts = ts
        self.name = name
        """Canonical name of what was observed."""
        self.value = value
        self.stamp = stamp
        self.place = name
        self.opened = opened
        """Its content was read, not only its attributes."""
        self.entries = entries
        self.looked = 0
        """When the value was looked up, if it was not part of the event."""

    def covers(self, other: Observation) -> bool:
        """Whether the other one, made of the same key, adds nothing to this one."""
        return (
            self.stamp is other.stamp
            and self.value is other.value
            and self.opened is other.opened
            and self.ts <= other.ts
            and self.entries is None
            and other.entries is None
        )

    def differs(self, other: Observation) -> bool:
        """Whether both cannot be observations of the same, unchanged thing."""
        if self.value is not None and other.value is not None:
            # Their number is made up for where it is known what the tree did to it.
            return without_names(self.value) != without_names(other.value)
        if self.stamp is not None and other.stamp is not None:
            return not self.stamp.same_version(other.stamp, attributes_changed=False)
        value = self.value or other.value
        if value is not None and (self.stamp is not None or other.stamp is not None):
            return not value.startswith(b"f")  # a stamp is that of a regular file
        return False


Look = tuple[Key, bytes, bytes | None, Stamp | None, bool]
"""What an observation is made of, but for its time: key, name, value, stamp, opened."""


def times_may_matter(name: bytes, opened: bool) -> bool:
    """Whether the times of a file that was looked at may matter to those who go by times."""
    return not (opened and name.startswith(OF_THE_SYSTEM))
