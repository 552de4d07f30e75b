"""The kernel: its version, its type information, and whether it takes BPF programs.

Structures follow linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from pcache.doctor.attempt import NR_BPF, first_line, libc
from pcache.doctor.place import SERVICE_FROM_OUTSIDE, is_first
from pcache.doctor.result import FAIL, KERNEL_PACKAGE, OK, REPLAY, TRACE, WARN, Result

BTF = "/sys/kernel/btf/vmlinux"
LOCKDOWN = "/sys/kernel/security/lockdown"

MIN_KERNEL = {TRACE: (5, 8), REPLAY: (5, 6)}
"""BPF ring buffers came with 5.8, pidfd_getfd(2) with 5.6."""
GOOD_KERNEL = (5, 19)
"""From here on a blocked execution is not woken by signals (WAIT_KILLABLE_RECV)."""


def kernel(release: str | None = None, machine: str | None = None) -> Result:
    """Version and architecture of the running kernel."""
    uname = os.uname()
    release = release or uname.release
    machine = machine or uname.machine
    if machine != "x86_64":
        return Result(FAIL, f"{machine}: only x86_64 is supported", "use an x86_64 machine")
    try:
        major, minor = (int(part) for part in release.split("-")[0].split(".")[:2])
    except ValueError:
        return Result(WARN, f"cannot tell the version of kernel {release!r}")
    for verb, needed in MIN_KERNEL.items():
        if (major, minor) < needed:
            text = f"Linux {release} is too old: {verb} needs {needed[0]}.{needed[1]}"
            return Result(FAIL, text, KERNEL_PACKAGE)
    if (major, minor) < GOOD_KERNEL:
        return Result(WARN, f"Linux {release}: before 5.19, so replay is slower", KERNEL_PACKAGE)
    return Result(OK, f"Linux {release}")


def btf(path: str = BTF) -> Result:
    """Type information of the kernel, from which the recorder takes its offsets."""
    try:
        with open(path, "rb") as file:
            magic = file.read(2)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        text = f"{path}: {error.strerror}"
        if path == BTF and not os.path.isdir("/sys/kernel"):
            return Result(FAIL, f"{text}: /sys is not mounted", "mount -t sysfs sysfs /sys")
        return Result(FAIL, f"{text}: kernel without BTF", KERNEL_PACKAGE)
    if magic != b"\x9f\xeb":
        return Result(FAIL, f"{path} is no BTF of this machine's byte order", KERNEL_PACKAGE)
    return Result(OK, f"{path}, {size >> 10} KiB")


def bpf_privilege() -> Result:
    """Whether the kernel lets this process load a raw tracepoint program (it does nothing)."""
    # r0 = 0; exit.  The attribute block is union bpf_attr's first 48 bytes for BPF_PROG_LOAD.
    instructions = ctypes.create_string_buffer(
        struct.pack("<BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0)
    )
    licence = ctypes.create_string_buffer(b"GPL")
    raw_tracepoint, prog_load = 17, 5
    attributes = ctypes.create_string_buffer(
        struct.pack(
            "<IIQQIIQII",
            raw_tracepoint,
            2,
            ctypes.addressof(instructions),
            ctypes.addressof(licence),
            0,
            0,
            0,
            0,
            0,
        )
    )
    size = len(attributes) - 1
    fd = libc.syscall(NR_BPF, prog_load, attributes, size)
    if fd >= 0:
        os.close(fd)
        return Result(OK, "BPF programs can be loaded")
    code = ctypes.get_errno()
    if os.geteuid() != 0:
        return Result(WARN, "not root, so this cannot be tried", "sudo pcache doctor")
    text = f"bpf(2): {os.strerror(code)}"
    if code == errno.ENOSYS:
        return Result(FAIL, f"{text}: kernel without BPF", KERNEL_PACKAGE)
    lockdown = first_line(LOCKDOWN)
    if "[confidentiality]" in lockdown:
        return Result(
            FAIL, f"{text}: kernel lockdown {lockdown}", "boot without lockdown=confidentiality"
        )
    remedy = "run pcache on the host, or start the container with --privileged"
    if not is_first("user"):
        # No right that is given to root in there counts for BPF.
        remedy = SERVICE_FROM_OUTSIDE
    return Result(
        FAIL,
        f"{text}: even root may not (a container or its seccomp profile forbids it)",
        remedy,
    )
