"""Every failure pcache reports: a fact, its consequence and a remedy, with an exit status.

Exit statuses follow env(1) and timeout(1): 125 pcache itself failed, 126 the command was found but
could not be executed, 127 the command was not found, 2 wrong usage; anything else is the command's.
"""

from __future__ import annotations

import os


class PcacheError(Exception):
    """Base class.  `str()` gives the message; `remedy` says what the user can do about it."""

    status = 125

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def report(self) -> str:
        """The text for stderr, one or two lines, each with the `pcache: ` prefix."""
        text = f"pcache: {self}"
        return f"{text}\npcache: {self.remedy}" if self.remedy else text


def refused(error: OSError) -> str:
    """What the system would not do, for people: one line without the prefix."""
    what = "the system refuses what pcache needs"
    if error.filename is not None:
        what = os.fsdecode(error.filename)
    return f"{what}: {error.strerror or error}"


def why_not(error: Exception) -> str:
    """Why something was not done, as a reason among others: without the number of an errno."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    if error.filename is None:
        return error.strerror
    name = os.fsencode(error.filename).decode(errors="backslashreplace").replace("\n", "\\n")
    return f"{name}: {error.strerror}"


class UsageError(PcacheError):
    """The command line makes no sense."""

    status = 2


class CommandNotFound(PcacheError):
    """No such command on PATH."""

    status = 127


class CommandNotExecutable(PcacheError):
    """The command exists and cannot be executed."""

    status = 126


class PrivilegeError(PcacheError):
    """An operation needs root, or a capability the kernel refused."""


class EnvironmentProblem(PcacheError):
    """The machine lacks something: kernel feature, package, header, permission."""


class Refused(EnvironmentProblem):
    """We are not let supervise a command.  It has not run, and can be run plainly."""


class Nested(Refused):
    """There is another pcache around us, which sees every execution already."""


class ConfigError(PcacheError):
    """A configuration file makes no sense."""


class StoreError(PcacheError):
    """The store cannot be opened, read or written."""


class NoStore(StoreError):
    """There is none: nothing was recorded."""


class DamagedBlob(StoreError):
    """A blob is missing or does not have the content its name promises."""


class Malformed(Exception):
    """A stored file has not the content that its name promises: for the store alone to handle."""


class Unavailable(Exception):
    """zstd is not installed, or lacks the memory or threads to work: handled by the store too."""
