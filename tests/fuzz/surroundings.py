"""What a project's command is handed down beside its words, and what others do meanwhile."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz.line import FILES, OUTPUTS
from tests.fuzz.twins import Holding
from tests.lib.launch import Stdio

_TERMINAL = 'exec script -qec "stty {}; exec $*" /dev/null'
_MOUNTED = 'exec unshare -m sh -c \'{}; exec "$@"\' sh "$@"'


@dataclass(frozen=True)
class Surroundings:
    """How a command is called.

    colour: of an environment variable.  prefix: a text for sh that ends with starting "$@".
    held: what somebody else does with files meanwhile, see `holding`.
    """

    colour: str = "red"
    cwd: str = "."
    stdio: Stdio = field(default_factory=Stdio)
    prefix: str = ""
    held: str = ""

    @property
    def refused(self) -> bool:
        """Whether some of it is not to be recorded: a write failed, a signal was blocked, or
        somebody may have written meanwhile."""
        return (
            self.stdio.stdout in ("full", "broken")
            or "--block-signal" in self.prefix
            or self.held in ("writer", "mapped")
        )


_PREFIXES = (
    *(
        f'{text}; exec "$@"'
        for text in (
            *("umask 077", "umask 002", "ulimit -n 64", "ulimit -c 0", "ulimit -S -s 4096"),
            *("trap '' INT", "trap '' PIPE", "trap '' TERM HUP", "trap '' XFSZ"),
            *("exec 3</dev/null", "exec 5>&1", "exec 7<.", "exec <&-", "exec 2>&-"),
            "exec </etc/passwd",
        )
    ),
    *(
        f'exec {program} "$@"'
        for program in (
            *("nice -n 3", "taskset -c 0", "setsid -w", "env --block-signal=USR1", "timeout 50"),
            *("setpriv --groups 1,2", "setpriv --clear-groups", "setpriv --bounding-set=-net_raw"),
            *("setpriv --no-new-privs", "unshare -u", "unshare -n", "unshare -m", "unshare -fp"),
            *("unshare -i", "prlimit --nproc=500", "prlimit --as=8000000000", "setarch -R"),
            "chrt -b 0",
        )
    ),
    *(_TERMINAL.format(size) for size in ("rows 24 cols 80", "rows 50 cols 132", "-echo cols 40")),
    *(
        _MOUNTED.format(mounting)
        for mounting in (
            "mount -t tmpfs -o nr_inodes=1 t e",
            "mount --bind d d && mount -o remount,ro,bind d",
            "mount --bind d e",
            "mount -t tmpfs t d",
        )
    ),
)

_STDIO = (
    *(Stdio(), Stdio(), Stdio(stdout="file"), Stdio(merged=True), Stdio(stdout="append")),
    *(
        Stdio(stdout="null"),
        Stdio(stdout="full"),
        Stdio(stdout="broken"),
        Stdio(stdin=b"one\ntwo\n"),
    ),
)

_HELD = ("reader", "lock", "shared lock", "writer", "mapped")


def _surroundings(
    colour: str, cwd: str, stdio: Stdio, prefix: str | None, held: str | None
) -> Surroundings:
    if prefix is not None and prefix.startswith("exec script"):
        stdio = Stdio(merged=True)  # a terminal is both
    return Surroundings(colour, cwd, stdio, prefix or "", held or "")


_rarely = st.sampled_from((False, False, True))
SURROUNDINGS = st.builds(
    _surroundings,
    st.sampled_from(("red", "green")),
    st.sampled_from((".", ".", "d")),
    st.sampled_from(_STDIO),
    _rarely.flatmap(lambda rare: st.sampled_from(_PREFIXES) if rare else st.none()),
    _rarely.flatmap(lambda rare: st.sampled_from(_HELD) if rare else st.none()),
)


def holding(how: str) -> Holding:
    """What another process has open while the command runs: files to be read, locked, or written,
    a mapping to be written."""
    if not how:
        return nullcontext

    @contextmanager
    def hold(root: Path) -> Iterator[None]:
        with ExitStack() as stack:
            for path in (*FILES, *OUTPUTS):
                with suppress(OSError):
                    _open(root / path, how, stack)
            yield

    return hold


def _open(path: Path, how: str, stack: ExitStack) -> None:
    flags = os.O_RDWR if how in ("writer", "mapped") else os.O_RDONLY
    held = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    stack.callback(os.close, held)
    if how == "lock":
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not again by another name
    elif how == "shared lock":
        fcntl.flock(held, fcntl.LOCK_SH)
    elif how == "mapped" and os.fstat(held).st_size:
        stack.enter_context(mmap.mmap(held, 0))
