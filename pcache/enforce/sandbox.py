"""What a command may not do, and what is made the same for every run of it.

What could make a record untrue is kept from happening, visibly: a denied system call fails with an
error that programs know how to live with, and is counted.  This is no boundary against programs
that mean harm: it keeps honest ones reproducible.
"""

from __future__ import annotations

import errno
import os

from pcache.errors import EnvironmentProblem, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pcache.enforce.filter_rules import Condition, Refusal, Rule
    from pcache.settings.rules import Policy

_AF_UNIX = 1
SYS_GETRANDOM = 318

NETWORK, IO_URING, PTRACE, FOREIGN = "network", "io_uring", "ptrace", "32-bit"

FEATURES: dict[str, str] = {
    IO_URING: "io_uring, whose file operations cannot be observed (denied unless allowed)",
    NETWORK: "all sockets but unix ones",
    PTRACE: "tracing other processes: strace, gdb, the leak check of sanitizers",
    FOREIGN: "32-bit and x32 system calls",
}
"""What can be denied or allowed, for `--help`."""

DENIED = frozenset({IO_URING})
"""By default: programs fall back, and ordinary builds behave as they do without pcache."""

# Errors: ENOSYS is what a kernel without io_uring gives, EAFNOSUPPORT one without a network; both
# are met in the wild.  EPERM for ptrace is what Yama gives.
_CALLS: tuple[tuple[str, int, str, int, Condition], ...] = (
    (IO_URING, 425, "io_uring_setup", errno.ENOSYS, ()),
    (IO_URING, 426, "io_uring_enter", errno.ENOSYS, ()),
    (IO_URING, 427, "io_uring_register", errno.ENOSYS, ()),
    (NETWORK, 41, "socket", errno.EAFNOSUPPORT, ((0, "!=", _AF_UNIX),)),
    (PTRACE, 101, "ptrace", errno.EPERM, ()),
)
"""(feature, x86-64 number, name, error, condition)"""

_ENVIRONMENT = ((b"TZ", b"UTC"), (b"LC_ALL", b"C.UTF-8"))
_DEFAULTS = ((b"SOURCE_DATE_EPOCH", b"315532800"), (b"PYTHONHASHSEED", b"0"))
"""Set where they are not.  1980-01-01: the first day that fits into a zip archive."""
_UMASK = 0o022


class Sandbox:
    """The sandbox of one session."""

    def __init__(
        self,
        allowed: frozenset[str] = frozenset(),
        refused: frozenset[str] = frozenset(),
        deterministic: bool = False,
    ) -> None:
        """`allowed` and `refused` are changes to the default."""
        self._allowed = allowed
        self._refused = refused
        self.denied = DENIED - allowed | refused
        self.deterministic = deterministic

    @classmethod
    def choose(
        cls, allow: Iterable[str] = (), deny: Iterable[str] = (), deterministic: bool = False
    ) -> Sandbox:
        """The default with changes.  Raises UsageError for what makes no sense."""
        allowed, refused = frozenset(allow), frozenset(deny)
        for name in (allowed | refused) - FEATURES.keys():
            raise UsageError(f"{name}: it is one of {', '.join(FEATURES)}")
        for name in allowed & refused:
            raise UsageError(f"{name} is both allowed and denied")
        chosen = cls(allowed, refused, deterministic)
        if NETWORK in chosen.denied and IO_URING not in chosen.denied:
            raise UsageError(
                "io_uring can open sockets that no filter sees",
                f"deny {IO_URING} with {NETWORK}, or neither",
            )
        return chosen

    def configured(self, policy: Policy) -> Sandbox:
        """This choice where a configuration has another default.  Raises UsageError."""
        allow, deny = (frozenset(map(os.fsdecode, names)) for names in (policy.allow, policy.deny))
        return self.choose(
            allow - self._refused | self._allowed,
            deny - self._allowed | self._refused,
            self.deterministic,
        )

    @property
    def tag(self) -> bytes:
        """Part of every call's fingerprint: what is denied can change what programs do.

        Empty for the default, under which records are as without a sandbox: what uses io_uring
        is not cacheable.
        """
        words = sorted(self.denied ^ DENIED) + ["deterministic"] * self.deterministic
        return " ".join(words).encode()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The system calls that the supervisor answers."""
        rules = [(name, where) for feature, _, name, _, where in _CALLS if feature in self.denied]
        if self.deterministic:
            rules.append(("getrandom", ()))
        return tuple(rules)

    @property
    def errors(self) -> dict[int, tuple[int, str]]:
        """(error, feature) by the number of each denied system call."""
        return {
            number: (error, feature)
            for feature, number, _, error, _ in _CALLS
            if feature in self.denied
        }

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """For a filter that does without a supervisor."""
        return tuple(
            (name, error, where)
            for feature, _, name, error, where in _CALLS
            if feature in self.denied
        )

    def environment(self, entries: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The environment that the command is given."""
        if not self.deterministic:
            return entries
        fixed = dict(_ENVIRONMENT)
        kept = [entry for entry in entries if entry.partition(b"=")[0] not in fixed]
        names = {entry.partition(b"=")[0] for entry in kept}
        added = [*_ENVIRONMENT, *(pair for pair in _DEFAULTS if pair[0] not in names)]
        return (*kept, *(name + b"=" + value for name, value in added))

    def umask(self, mask: int) -> int:
        """The umask that the command is given."""
        return _UMASK if self.deterministic else mask

    def enter(self) -> None:
        """In the process that is about to execute the command.  Raises EnvironmentProblem."""
        if self.deterministic:
            from pcache.enforce import syscalls

            os.umask(_UMASK)
            try:
                syscalls.fix_addresses()
            except OSError as error:
                raise EnvironmentProblem(
                    f"addresses cannot be made the same for every run: personality:"
                    f" {error.strerror}",
                    "the command does not run; without --deterministic it would",
                ) from None


DEFAULT = Sandbox()
