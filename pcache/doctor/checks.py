"""What this machine must offer, tried for real: for `doctor`, and for trace and replay when they
cannot start.

Every probe looks for the thing itself (loads a program, installs a filter, seizes a process)
rather than for a version, wherever trying is harmless.  Numbers of system calls are those of
x86-64; structures follow linux/bpf.h, linux/seccomp.h and linux/ptrace.h.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import importlib
import os
import shutil
import signal
import struct
from collections.abc import Callable

from pcache.errors import EnvironmentProblem, PcacheError
from pcache.linux.user import User
from pcache.probes.resources import import_bcc

OK = "ok"
WARN = "warn"
FAIL = "fail"

TRACE = "trace"
REPLAY = "replay"

BTF = "/sys/kernel/btf/vmlinux"
YAMA = "/proc/sys/kernel/yama/ptrace_scope"
LOCKDOWN = "/sys/kernel/security/lockdown"

MIN_KERNEL = {TRACE: (5, 8), REPLAY: (5, 6)}
"""BPF ring buffers came with 5.8, pidfd_getfd(2) with 5.6."""
GOOD_KERNEL = (5, 19)
"""From here on a blocked execution is not woken by signals (WAIT_KILLABLE_RECV)."""

_LOW_SPACE = 1 << 30
"""Bytes free below which `doctor` warns: one traced build of a large project."""

_NR_PTRACE, _NR_PRCTL, _NR_SECCOMP, _NR_BPF, _NR_GETPPID = 101, 157, 317, 321, 110
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class Result:
    """What a probe found: a status (OK, WARN or FAIL), why, and the one command that mends it."""

    __slots__ = ("reason", "remedy", "status")

    def __init__(self, status: str, reason: str, remedy: str = "") -> None:
        self.status = status
        self.reason = reason
        self.remedy = remedy


class Check:
    """One thing that has to be there, and the verbs that need it."""

    __slots__ = ("name", "needed_for", "probe")

    def __init__(self, name: str, needed_for: tuple[str, ...], probe: Callable[[], Result]) -> None:
        self.name = name
        self.needed_for = needed_for
        self.probe = probe


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
    upgrade = "sudo apt-get install linux-image-amd64"
    for verb, needed in MIN_KERNEL.items():
        if (major, minor) < needed:
            text = f"Linux {release} is too old: {verb} needs {needed[0]}.{needed[1]}"
            return Result(FAIL, text, upgrade)
    if (major, minor) < GOOD_KERNEL:
        return Result(WARN, f"Linux {release}: before 5.19, so replay is slower", upgrade)
    return Result(OK, f"Linux {release}")


def btf(path: str = BTF) -> Result:
    """Type information of the kernel, from which the recorder takes its offsets."""
    remedy = "sudo apt-get install linux-image-amd64"
    try:
        with open(path, "rb") as file:
            magic = file.read(2)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        return Result(FAIL, f"{path}: {error.strerror}: kernel without BTF", remedy)
    if magic != b"\x9f\xeb":
        return Result(FAIL, f"{path} is no BTF of this machine's byte order", remedy)
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
    fd = _libc.syscall(_NR_BPF, prog_load, attributes, size)
    if fd >= 0:
        os.close(fd)
        return Result(OK, "BPF programs can be loaded")
    code = ctypes.get_errno()
    if os.geteuid() != 0:
        return Result(WARN, "not root, so this cannot be tried", "sudo pcache doctor")
    text = f"bpf(2): {os.strerror(code)}"
    if code == errno.ENOSYS:
        return Result(FAIL, f"{text}: kernel without BPF", "sudo apt-get install linux-image-amd64")
    lockdown = _first_line(LOCKDOWN)
    if "[confidentiality]" in lockdown:
        return Result(
            FAIL, f"{text}: kernel lockdown {lockdown}", "boot without lockdown=confidentiality"
        )
    return Result(
        FAIL,
        f"{text}: even root may not (a container or its seccomp profile forbids it)",
        "run pcache on the host, or start the container with --privileged",
    )


def bcc_module() -> Result:
    """BCC's Python module, the real one."""
    try:
        module = import_bcc()
    except PcacheError as error:
        return Result(FAIL, str(error), error.remedy)
    version = getattr(module, "__version__", "of unknown version")
    return Result(OK, f"BCC {version}, {os.path.dirname(module.__file__ or '')}")


def libseccomp(name: str = "libseccomp.so.2") -> Result:
    """The library that pyseccomp loads."""
    remedy = "sudo apt-get install libseccomp2"
    try:
        library = ctypes.CDLL(name)
        library.seccomp_version.restype = ctypes.POINTER(ctypes.c_uint * 3)
        version = ".".join(map(str, library.seccomp_version().contents))
    except (OSError, AttributeError) as error:
        return Result(FAIL, f"cannot load {name}: {error}", remedy)
    return Result(OK, f"libseccomp {version}")


def python_package(name: str) -> Result:
    """Whether one of the packages that pcache depends on can be imported."""
    try:
        module = importlib.import_module(name)
    except Exception as error:
        # Not only ImportError: pyseccomp raises RuntimeError without libseccomp.
        return Result(
            FAIL, f"cannot import {name}: {error}", "make install  (in pcache's source directory)"
        )
    version = getattr(module, "__version__", None) or getattr(module, "VERSION", "")
    return Result(OK, f"{name} {version}".rstrip())


def seccomp_notification() -> Result:
    """Lets a process stop in getppid(2) and releases it, as replay does with executions."""
    code, step = _in_fork(_try_notification)
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
            "sudo apt-get install linux-image-amd64",
        )
    return Result(
        FAIL,
        f"{text}: forbidden, probably by a container's seccomp profile",
        "run pcache on the host, or start the container with --security-opt seccomp=unconfined",
    )


def ptrace() -> Result:
    """Seizes a child, as replay does to end an execution with the recorded status."""
    code, step = _in_fork(_try_seize)
    if code == 0:
        return Result(OK, "a child process can be seized")
    text = f"{step}: {os.strerror(code)}"
    scope = _first_line(YAMA)
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


def store(user: User | None = None) -> Result:
    """Where records are kept: whether it can be written, its size and the space left."""
    try:
        user = user or (User.invoking() if os.geteuid() == 0 else User.current())
        directory = os.fsdecode(user.store_dir)
    except PcacheError as error:
        return Result(FAIL, str(error), error.remedy)
    existing = directory
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    owner = user.name or str(user.uid)
    chown = f"sudo chown -R {owner} {existing}"
    if not os.path.isdir(existing):
        return Result(FAIL, f"{existing} is not a directory", f"mv {existing} {existing}.old")
    code = _writable_by(user, existing)
    if code == errno.EROFS:
        return Result(
            FAIL, f"{existing} is read-only", "point XDG_CACHE_HOME to a writable directory"
        )
    if code:
        return Result(FAIL, f"{owner} cannot write {existing}: {os.strerror(code)}", chown)
    free = shutil.disk_usage(existing).free
    size = _size(directory)
    text = f"{directory}, {_human(size)} used, {_human(free)} free"
    if free < _LOW_SPACE:
        return Result(WARN, text, f"free space on the file system of {existing}")
    return Result(OK, text)


def all_checks() -> list[Check]:
    """Every check, in the order in which a person would mend them."""
    both = (TRACE, REPLAY)
    return [
        Check("kernel", both, kernel),
        Check("kernel type information (BTF)", (TRACE,), btf),
        Check("BPF privilege", (TRACE,), bpf_privilege),
        Check("BCC", (TRACE,), bcc_module),
        Check("libseccomp", (REPLAY,), libseccomp),
        Check("pyseccomp", (REPLAY,), lambda: python_package("pyseccomp")),
        Check("xxhash", both, lambda: python_package("xxhash")),
        Check("seccomp notification", (REPLAY,), seccomp_notification),
        Check("ptrace", (REPLAY,), ptrace),
        Check("store", both, store),
    ]


def problem(verb: str, cause: str) -> EnvironmentProblem:
    """The error with which `verb` gives up: the first failed check explains it, else `cause`."""
    for check in all_checks():
        if verb in check.needed_for:
            result = check.probe()
            if result.status == FAIL:
                return EnvironmentProblem(f"{check.name}: {result.reason}", result.remedy)
    return EnvironmentProblem(cause, "pcache doctor checks what pcache needs")


def _first_line(path: str) -> str:
    try:
        with open(path) as file:
            return file.readline().strip()
    except OSError:
        return ""


def _human(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _size(directory: str) -> int:
    """Bytes that the files below `directory` take on the disk."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                continue
    return total


class _StepFailed(Exception):
    """Ends a forked probe: (errno, which step)."""

    def __init__(self, code: int, step: str) -> None:
        super().__init__(code, step)
        self.code = code
        self.step = step


def _in_fork(attempt: Callable[[], None]) -> tuple[int, str]:
    """Run `attempt` in a child: (0, "") or (errno, step) of the _StepFailed it ended with."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        message = b"0 "
        try:
            attempt()
        except _StepFailed as failure:
            message = b"%d %s" % (failure.code, failure.step.encode())
        except BaseException as error:
            message = b"%d %s" % (errno.EPROTO, repr(error).encode())
        finally:
            os.write(writer, message)
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        code, _, step = pipe.read().decode().partition(" ")
    os.waitpid(child, 0)
    # Nothing written: the child was killed, as strict seccomp profiles do.
    return (int(code), step) if code else (errno.EPERM, "the attempt was killed")


def _call(step: str, number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        raise _StepFailed(ctypes.get_errno(), step)
    return result


def _try_notification() -> None:
    # BPF: load nr; if it is getppid return USER_NOTIF, else ALLOW.
    filter_code = ctypes.create_string_buffer(
        struct.pack("<HBBI", 0x20, 0, 0, 0)
        + struct.pack("<HBBI", 0x15, 0, 1, _NR_GETPPID)
        + struct.pack("<HBBI", 0x06, 0, 0, 0x7FC00000)
        + struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000)
    )
    program = ctypes.create_string_buffer(
        struct.pack("<HxxxxxxQ", 4, ctypes.addressof(filter_code))
    )
    set_no_new_privs, set_mode_filter, new_listener = 38, 1, 8
    _call("prctl(PR_SET_NO_NEW_PRIVS)", _NR_PRCTL, set_no_new_privs, 1, 0, 0, 0)
    listener = _call("seccomp(2)", _NR_SECCOMP, set_mode_filter, new_listener, program)
    child = os.fork()
    if child == 0:
        _libc.syscall(_NR_GETPPID)
        os._exit(0)
    try:
        receive, send = 0xC0502100, 0xC0182101
        notification = bytearray(80)
        fcntl.ioctl(listener, receive, notification)
        answer = struct.pack("<QqiI", struct.unpack_from("<Q", notification)[0], 0, 0, 1)
        fcntl.ioctl(listener, send, answer)
    except OSError as error:
        os.kill(child, signal.SIGKILL)
        raise _StepFailed(error.errno or errno.EPROTO, "seccomp notification") from error
    finally:
        os.waitpid(child, 0)


def _try_seize() -> None:
    seize = 0x4206
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    try:
        _call("ptrace(PTRACE_SEIZE)", _NR_PTRACE, seize, child, 0, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _writable_by(user: User, directory: str) -> int:
    """0, or the errno with which `user` fails to make an entry in `directory`."""

    def attempt() -> None:
        user.become()
        try:
            probe = os.open(directory, os.O_TMPFILE | os.O_WRONLY, 0o600)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP and os.access(directory, os.W_OK | os.X_OK):
                return
            raise _StepFailed(error.errno or errno.EPROTO, "open") from error
        os.close(probe)

    return _in_fork(attempt)[0]
