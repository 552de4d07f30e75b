"""What replay stops executions with and ends them by: seccomp notification and ptrace.

Structures follow linux/seccomp.h and linux/ptrace.h.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import struct

from pcache.doctor.attempt import (
    NR_GETPPID,
    NR_PRCTL,
    NR_PTRACE,
    NR_SECCOMP,
    StepFailed,
    call,
    first_line,
    in_fork,
    libc,
)
from pcache.doctor.result import FAIL, KERNEL_PACKAGE, OK, WARN, Result

YAMA = "/proc/sys/kernel/yama/ptrace_scope"


def seccomp_notification() -> Result:
    """Lets a process stop in getppid(2) and releases it, as replay does with executions."""
    code, step = in_fork(_try_notification)
    if code == 0:
        return Result(OK, "a stopped system call was received and continued")
    text = f"{step}: {os.strerror(code)}"
    if code == errno.EBUSY:
        return Result(
            WARN,
            "this process already runs under a supervisor, so this cannot be tried",
            "run pcache doctor outside of pcache replay",
        )
    if code in (errno.ENOSYS, errno.EINVAL):
        return Result(
            FAIL,
            f"{text}: kernel without user notification",
            KERNEL_PACKAGE,
        )
    return Result(
        FAIL,
        f"{text}: forbidden, probably by a container's seccomp profile",
        "run pcache on the host, or start the container with --security-opt seccomp=unconfined",
    )


def ptrace() -> Result:
    """Seizes a child, as replay does to end an execution with the recorded status."""
    code, step = in_fork(_try_seize)
    if code == 0:
        return Result(OK, "a child process can be seized")
    text = f"{step}: {os.strerror(code)}"
    scope = first_line(YAMA)
    if scope in ("2", "3"):
        remedy = "sudo sysctl kernel.yama.ptrace_scope=1"
        if scope == "3":
            remedy = "set kernel.yama.ptrace_scope=1 in /etc/sysctl.d and reboot"
        return Result(FAIL, f"{text}: kernel.yama.ptrace_scope is {scope}", remedy)
    return Result(
        FAIL,
        f"{text}: forbidden, probably by a container",
        "run pcache on the host, or start the container with --cap-add SYS_PTRACE",
    )


def _try_notification() -> None:
    # BPF: load nr; if it is getppid return USER_NOTIF, else ALLOW.
    filter_code = ctypes.create_string_buffer(
        struct.pack("<HBBI", 0x20, 0, 0, 0)
        + struct.pack("<HBBI", 0x15, 0, 1, NR_GETPPID)
        + struct.pack("<HBBI", 0x06, 0, 0, 0x7FC00000)
        + struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000)
    )
    program = ctypes.create_string_buffer(
        struct.pack("<HxxxxxxQ", 4, ctypes.addressof(filter_code))
    )
    set_no_new_privs, set_mode_filter, new_listener = 38, 1, 8
    call("prctl(PR_SET_NO_NEW_PRIVS)", NR_PRCTL, set_no_new_privs, 1, 0, 0, 0)
    listener = call("seccomp(2)", NR_SECCOMP, set_mode_filter, new_listener, program)
    child = os.fork()
    if child == 0:
        libc.syscall(NR_GETPPID)
        os._exit(0)
    try:
        receive, send = 0xC0502100, 0xC0182101
        notification = bytearray(80)
        fcntl.ioctl(listener, receive, notification)
        answer = struct.pack("<QqiI", struct.unpack_from("<Q", notification)[0], 0, 0, 1)
        fcntl.ioctl(listener, send, answer)
    except OSError as error:
        os.kill(child, signal.SIGKILL)
        raise StepFailed(error.errno or errno.EPROTO, "seccomp notification") from error
    finally:
        os.waitpid(child, 0)


def _try_seize() -> None:
    seize = 0x4206
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    try:
        call("ptrace(PTRACE_SEIZE)", NR_PTRACE, seize, child, 0, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
