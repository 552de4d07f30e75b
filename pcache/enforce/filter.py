"""The seccomp filter: built by pyseccomp once, kept as BPF bytes, installed without pyseccomp.

Importing pyseccomp costs three times a bare interpreter start, so the exported program is cached.
A cache that cannot be read, is damaged or cannot be written costs time and nothing else.

A filter that root installs without no_new_privs stays on set-user-ID programs: one that lets
setuid(2) succeed without effect makes whoever wrote it root.  So a process that is root takes
nothing from where the user can write, only what root has kept for root.
"""

from __future__ import annotations

import errno
import os
from struct import Struct

import xxhash

from pcache.enforce.sandbox import DENIED, FOREIGN
from pcache.enforce.syscalls import HANDSHAKE, UNSEEN_RESTRICTIONS
from pcache.errors import EnvironmentProblem
from pcache.linux.files import open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pcache.enforce.filter_rules import Condition, Refusal, Rule
    from pcache.enforce.sandbox import Sandbox

_VERSION = 5
"""Changes whenever `build` gives another program for the same rules."""
_DIGEST_BYTES = 16

ROOT_CACHE = b"/var/cache/pcache"
"""Where root keeps what it made for itself; nobody else can write there."""
_WRITABLE_BY_OTHERS = 0o022

# linux/filter.h, linux/seccomp.h (struct seccomp_data), linux/audit.h
_INSTRUCTION = Struct("=HBBI")
_LOAD, _JUMP_EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06
_NUMBER_AT, _ARCH_AT, _ADDRESS_AT, _ARGUMENTS_AT = 0, 4, 8, 16
_ARCH_X86_64 = 0xC000003E
_ALLOW = 0x7FFF0000

Passing = tuple[int, int, int, int]
"""A system call that need not notify: its number, the offset in its page of the instruction after
it, and the number and lower half of one of its arguments."""
_ALWAYS: tuple[Rule, ...] = (
    ("prctl", ((0, "==", HANDSHAKE),)),
    ("landlock_restrict_self", ()),
    *(("prctl", ((0, "==", option),)) for option in UNSEEN_RESTRICTIONS),
    ("alarm", ((0, "!=", 0),)),
    ("setitimer", ()),
)
"""In every filter: see `syscalls.handshake`; and what is handed down but nothing in /proc tells."""


def load(rules: Sequence[Rule], directory: bytes) -> bytes:
    """The BPF program for `rules`, from the cache in `directory` where that is possible.

    Raises EnvironmentProblem.
    """
    return _cached(directory, tuple(rules), lambda: build(rules))


def load_refusals(sandbox: Sandbox, directory: bytes, native: bool) -> bytes:
    """The program that enforces `sandbox` by itself, see `refuse`; empty where none is needed.

    By default 32-bit programs are not kept from io_uring: none is known to use it.
    """
    if sandbox.denied == DENIED:
        return b""
    refusals, foreign = sandbox.refusals, FOREIGN not in sandbox.denied
    if not native and foreign and not refusals:
        return b""
    return _cached(
        directory, (refusals, native, foreign), lambda: refuse(refusals, native, foreign)
    )


def _cached(directory: bytes, key: object, make: Callable[[], bytes]) -> bytes:
    name = xxhash.xxh3_64_hexdigest(repr((_VERSION, key)).encode())
    kept = b"filter-" + name.encode() + b".bpf"
    stored = recall(directory, kept)
    digest, program = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
    if program and xxhash.xxh3_128_digest(program) == digest:
        return program
    try:
        program = make()
    except OSError as error:
        # libseccomp asks the kernel what it can do, and finds nothing where that is forbidden.
        raise EnvironmentProblem(
            f"cannot build the seccomp filter: {error.strerror}",
            "seccomp may be forbidden here: `pcache doctor` tells what mends it",
        ) from error
    keep(directory, kept, xxhash.xxh3_128_digest(program) + program)
    return program


def build(rules: Sequence[Rule]) -> bytes:
    """Build the program with libseccomp.  System calls of other architectures are let through:
    32-bit and x32 programs run uncached.

    Raises EnvironmentProblem where libseccomp or its binding is missing or too old.
    """
    pyseccomp = _binding()
    filter = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    filter.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.ALLOW)
    for name, where in (*_ALWAYS, *rules):
        filter.add_rule(pyseccomp.NOTIFY, name, *_compared(pyseccomp, where))
    return _export(filter)


def refuse(refusals: Sequence[Refusal], native: bool, foreign_allowed: bool) -> bytes:
    """A program that makes system calls fail by itself.

    For 32-bit and x32 programs, and if `native` for x86-64 ones.  What 32-bit programs ask of
    socketcall(2) lies in memory, where no filter looks: any condition counts as fulfilled there.
    """
    pyseccomp = _binding()
    filter = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    if foreign_allowed:
        filter.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.ALLOW)
        filter.add_arch(pyseccomp.Arch.X86)
        filter.add_arch(pyseccomp.Arch.X32)
        if not native:
            filter.remove_arch(pyseccomp.Arch.X86_64)
    else:
        filter.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.ERRNO(errno.ENOSYS))
    for name, error, where in refusals if native or foreign_allowed else ():
        filter.add_rule(pyseccomp.ERRNO(error), name, *_compared(pyseccomp, where))
    return _export(filter)


def _binding() -> Any:
    """libseccomp's.  Raises EnvironmentProblem."""
    try:
        import pyseccomp
    except (ImportError, RuntimeError) as error:
        raise EnvironmentProblem(
            f"cannot build the seccomp filter: {error}",
            "install it: apt-get install libseccomp2, and pip install pyseccomp",
        ) from error
    return pyseccomp


def _compared(pyseccomp: Any, where: Condition) -> list[object]:
    operators = {"==": pyseccomp.EQ, "!=": pyseccomp.NE}
    return [pyseccomp.Arg(number, operators[operator], value) for number, operator, value in where]


def _export(filter: Any) -> bytes:
    fd = os.memfd_create("pcache-filter")
    with open(fd, "wb") as file:
        filter.export_bpf(file)
        return os.pread(fd, os.fstat(fd).st_size, 0)


def passing(exceptions: Sequence[Passing], program: bytes) -> bytes:
    """`program`, with exceptions.  libseccomp cannot compare addresses."""
    before = b"".join(
        [
            _INSTRUCTION.pack(code, yes, no, value)
            for number, offset, argument, value in exceptions
            for code, yes, no, value in (
                (_LOAD, 0, 0, _ARCH_AT),
                (_JUMP_EQUAL, 0, 8, _ARCH_X86_64),
                (_LOAD, 0, 0, _NUMBER_AT),
                (_JUMP_EQUAL, 0, 6, number),
                (_LOAD, 0, 0, _ADDRESS_AT),
                (_AND, 0, 0, 0xFFF),
                (_JUMP_EQUAL, 0, 3, offset),
                (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument),
                (_JUMP_EQUAL, 0, 1, value),
                (_RETURN, 0, 0, _ALLOW),
            )
        ]
    )
    return before + program


def recall(directory: bytes, name: bytes) -> bytes:
    """What `keep` wrote; empty where there is nothing, or nothing to be trusted.

    What root has kept serves everybody who has none of his own.
    """
    own = b"" if os.geteuid() == 0 else _content(os.path.join(directory, name))
    return own or _content(os.path.join(ROOT_CACHE, name), of_root=True)


def _content(path: bytes, of_root: bool = False) -> bytes:
    """Of a small file; empty without one, or one that others than root could have written."""
    try:
        fd = open_file(path)
        with open(fd, "rb", buffering=0) as file:
            status = os.fstat(fd)
            if of_root and (status.st_uid != 0 or status.st_mode & _WRITABLE_BY_OTHERS):
                return b""
            return file.readall()
    except OSError:
        return b""


def keep(directory: bytes, name: bytes, data: bytes) -> None:
    """Write a small file in one step, or not at all: in `directory`, or for root in `ROOT_CACHE`,
    where everybody may read it."""
    privileged = os.geteuid() == 0
    try:
        if privileged:
            directory = ROOT_CACHE
            os.makedirs(directory, mode=0o755, exist_ok=True)
        path = os.path.join(directory, name)
        temporary = b"%b.%d" % (path, os.getpid())
        mode = 0o644 if privileged else 0o600
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(fd, "wb") as file:
            file.write(data)
        os.rename(temporary, path)
    except OSError:
        return


def keep_program(program: bytes) -> None:
    """As root: keep a whole filter under its name, from which the recorder installs it."""
    for name in kept_names(program):
        keep(ROOT_CACHE, b"program-" + name.encode(), program)


def kept_names(program: bytes, refusals: bytes = b"") -> list[str]:
    """The names of filters, in the order in which they are installed."""
    return [xxhash.xxh3_128_hexdigest(one) for one in (refusals, program) if one]
