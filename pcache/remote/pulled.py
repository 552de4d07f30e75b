"""Manifests that `pcache pull` has brought, for when the shared store cannot be reached."""

from __future__ import annotations

import os

from pcache.linux.files import make_private_directory, open_file, replace_private_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.remote.names import Name


def pulled(directory: bytes, command: Name) -> list[bytes]:
    """The signed manifest of a command in a store's directory, if one was pulled."""
    try:
        with open(open_file(_path(directory, command)), "rb") as file:
            return [file.read()]
    except OSError:
        return []


def keep(directory: bytes, command: Name, signed: bytes) -> None:
    """Keeps a signed manifest.  Raises OSError."""
    path = _path(directory, command)
    make_private_directory(os.path.dirname(path))
    replace_private_file(path, signed)


def _path(directory: bytes, command: Name) -> bytes:
    return b"%b/pulled/%b" % (directory, command.hex().encode())
