"""The seccomp filter: built by pyseccomp once, kept as BPF bytes, installed without pyseccomp.

Importing pyseccomp costs three times a bare interpreter start, so the exported program is cached.
A cache that cannot be read, is damaged or cannot be written costs time and nothing else.
"""

from __future__ import annotations

import os
from struct import Struct

import xxhash

from pcache.errors import EnvironmentProblem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_VERSION = 1
"""Changes whenever `build` gives another program for the same rules."""
_DIGEST_BYTES = 16

# linux/filter.h, linux/seccomp.h (struct seccomp_data), linux/audit.h
_INSTRUCTION = Struct("=HBBI")
_LOAD, _JUMP_EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06
_NUMBER_AT, _ARCH_AT, _ADDRESS_AT = 0, 4, 8
_ARCH_X86_64 = 0xC000003E
_ALLOW = 0x7FFF0000

Rule = tuple[str, tuple[tuple[int, int], ...]]
"""System call name, and (argument number, value) pairs that must all be equal to notify."""


def load(rules: Sequence[Rule], directory: bytes) -> bytes:
    """The BPF program for `rules`, from the cache in `directory` where that is possible."""
    name = xxhash.xxh3_64_hexdigest(repr((_VERSION, tuple(rules))).encode())
    path = directory + b"/filter-" + name.encode() + b".bpf"
    try:
        with open(path, "rb", buffering=0) as file:
            stored = file.readall()
    except OSError:
        stored = b""
    digest, program = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
    if program and xxhash.xxh3_128_digest(program) == digest:
        return program
    program = build(rules)
    keep(path, xxhash.xxh3_128_digest(program) + program)
    return program


def build(rules: Sequence[Rule]) -> bytes:
    """Build the program with libseccomp.  System calls of other architectures are let through:
    32-bit and x32 programs run uncached.

    Raises EnvironmentProblem where libseccomp or its binding is missing or too old.
    """
    try:
        import pyseccomp
    except (ImportError, RuntimeError) as error:
        raise EnvironmentProblem(
            f"cannot build the seccomp filter: {error}",
            "install it: apt-get install libseccomp2, and pip install pyseccomp",
        ) from error
    filter = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    filter.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.ALLOW)
    for name, arguments in rules:
        compared = [pyseccomp.Arg(number, pyseccomp.EQ, value) for number, value in arguments]
        filter.add_rule(pyseccomp.NOTIFY, name, *compared)
    fd = os.memfd_create("pcache-filter")
    with open(fd, "wb") as file:
        filter.export_bpf(file)
        return os.pread(fd, os.fstat(fd).st_size, 0)


def passing(exceptions: Sequence[tuple[int, int]], program: bytes) -> bytes:
    """`program`, but what is called from an instruction that ends at a given offset in its page is
    let through: (system call number, offset) pairs.  libseccomp cannot compare addresses."""
    before = b"".join(
        [
            _INSTRUCTION.pack(code, yes, no, value)
            for number, offset in exceptions
            for code, yes, no, value in (
                (_LOAD, 0, 0, _ARCH_AT),
                (_JUMP_EQUAL, 0, 6, _ARCH_X86_64),
                (_LOAD, 0, 0, _NUMBER_AT),
                (_JUMP_EQUAL, 0, 4, number),
                (_LOAD, 0, 0, _ADDRESS_AT),
                (_AND, 0, 0, 0xFFF),
                (_JUMP_EQUAL, 0, 1, offset),
                (_RETURN, 0, 0, _ALLOW),
            )
        ]
    )
    return before + program


def keep(path: bytes, data: bytes) -> None:
    """Write a small file in one step, or not at all."""
    temporary = b"%b.%d" % (path, os.getpid())
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(data)
        os.rename(temporary, path)
    except OSError:
        return
