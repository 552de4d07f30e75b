"""Which records belong to one command: noted when it was recorded, for manifests."""

from __future__ import annotations

import os

from pcache.codec import DamagedRow, pack, unpack
from pcache.linux.files import make_private_directory, open_file, replace_private_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pcache.model import Digest

_DIRECTORY = b"/commands"


def note(directory: bytes, weak: Digest, records: Iterable[Digest]) -> None:
    """The strong fingerprints of a session, under the weak one of its command."""
    place = directory + _DIRECTORY
    make_private_directory(place)
    replace_private_file(b"%b/%b" % (place, weak.hex().encode()), pack((weak, *records)))


def noted(directory: bytes) -> Iterator[tuple[Digest, list[Digest]]]:
    """Weak fingerprint of each command, and the records of its last session."""
    place = directory + _DIRECTORY
    try:
        names = sorted(os.listdir(place))
    except OSError:
        return
    for name in names:
        try:
            with open(open_file(place + b"/" + name), "rb") as file:
                weak, *records = unpack(file.read())
        except (OSError, DamagedRow):
            continue
        yield weak, records
