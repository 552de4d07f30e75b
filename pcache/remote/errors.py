"""What goes wrong with a shared store."""

from __future__ import annotations

from pcache.errors import PcacheError


class RemoteError(PcacheError):
    """The shared store cannot be used."""


class Unreachable(RemoteError):
    """It does not answer, or not in time, or with an error of its own."""


class Missing(RemoteError):
    """It has an outcome and not its contents, which may expire before."""


class Forbidden(RemoteError):
    """The credentials do not allow it."""


class Untrusted(RemoteError):
    """It holds something that nobody whom we believe has signed, or that makes no sense."""
