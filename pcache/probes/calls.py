"""What the recorder takes from each system call: the table `calls` of bpf/recorder.bpf.c.

Each entry becomes a `struct call` of bpf/layout.h.  Argument numbers count from 1, 0 means none.
A call that is missing here is not told to user space at all.
"""

from __future__ import annotations

import struct

from pcache.probes.syscall_table import NUMBERS

ARGS, PATH, OPEN, FD, WRITE, WRITEV, READ, COPY, MMAP, LIST, MESSAGE, SEEK, USE, SOCKET = range(
    1, 15
)
READONLY, STAT, INHERITED, SUCCESS, LOCK, FAILURE, IN_VAIN = 1, 2, 4, 8, 16, 32, 64
LINK, STRUCT_STAT, STRUCT_STATX, TIMES, ADDRESS, HOW, LIMIT, TIMER = range(1, 9)

_FORMAT = struct.Struct("=12B")


def _call(
    handler: int,
    *,
    path: int = 0,
    dir: int = 0,
    path2: int = 0,
    dir2: int = 0,
    fd: int = 0,
    fd2: int = 0,
    out: int = 0,
    form: int = 0,
    args: tuple[int, ...] = (),
    flags: int = 0,
) -> bytes:
    mask = sum(1 << (number - 1) for number in args)
    return _FORMAT.pack(handler, path, dir, path2, dir2, fd, fd2, out, form, mask, flags, 0)


WAITING = (
    *("poll", "ppoll", "select", "pselect6"),
    *("epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_wait_old"),
)
OF_DESCRIPTORS = (
    *("fsync", "fdatasync", "sync_file_range", "fadvise64", "readahead", "fstatfs"),
    *("cachestat", "epoll_ctl", "epoll_ctl_old"),
)
"""Whose result is another one for files, pipes and terminals, and otherwise no input."""
_OF_WRITEV = {"pwritev": (4,), "pwritev2": (4, 6)}
_OFFSET_OR_ADDRESS = {"pwrite64": (4,), "sendto": (4, 5)}


def _table() -> dict[str, bytes]:
    calls: dict[str, bytes] = {
        # opening
        "open": _call(OPEN, path=1, args=(2, 3)),
        "creat": _call(OPEN, path=1, args=(2,)),
        "openat": _call(OPEN, path=2, dir=1, args=(3, 4)),
        "openat2": _call(OPEN, path=2, dir=1, out=3, form=HOW),
        # looking
        "stat": _call(PATH, path=1, out=2, form=STRUCT_STAT, flags=READONLY),
        "lstat": _call(PATH, path=1, out=2, form=STRUCT_STAT, flags=READONLY),
        "fstat": _call(PATH, fd=1, out=2, form=STRUCT_STAT, flags=READONLY | STAT),
        "newfstatat": _call(
            PATH, path=2, dir=1, out=3, form=STRUCT_STAT, args=(4,), flags=READONLY | STAT
        ),
        "statx": _call(
            PATH, path=2, dir=1, out=5, form=STRUCT_STATX, args=(3,), flags=READONLY | STAT
        ),
        "readlink": _call(PATH, path=1, out=2, form=LINK, flags=READONLY),
        "readlinkat": _call(PATH, path=2, dir=1, out=3, form=LINK, flags=READONLY),
        "access": _call(PATH, path=1, args=(2,), flags=READONLY),
        "faccessat": _call(PATH, path=2, dir=1, args=(3,), flags=READONLY),
        "faccessat2": _call(PATH, path=2, dir=1, args=(3, 4), flags=READONLY),
        "chdir": _call(PATH, path=1),
        "fchdir": _call(FD, fd=1),
        "getdents": _call(LIST, fd=1, out=2),
        "getdents64": _call(LIST, fd=1, out=2),
        # changing
        "unlink": _call(PATH, path=1),
        "unlinkat": _call(PATH, path=2, dir=1, args=(3,)),
        "rmdir": _call(PATH, path=1),
        "mkdir": _call(PATH, path=1, args=(2,)),
        "mkdirat": _call(PATH, path=2, dir=1, args=(3,)),
        "mknod": _call(PATH, path=1, args=(2,)),
        "mknodat": _call(PATH, path=2, dir=1, args=(3,)),
        "rename": _call(PATH, path=1, path2=2),
        "renameat": _call(PATH, path=2, dir=1, path2=4, dir2=3),
        "renameat2": _call(PATH, path=2, dir=1, path2=4, dir2=3, args=(5,)),
        "link": _call(PATH, path=1, path2=2),
        "linkat": _call(PATH, path=2, dir=1, path2=4, dir2=3, args=(5,)),
        "symlink": _call(PATH, path=2, path2=1),
        "symlinkat": _call(PATH, path=3, dir=2, path2=1),
        "truncate": _call(PATH, path=1, args=(2,)),
        "chmod": _call(PATH, path=1, args=(2,)),
        "fchmodat": _call(PATH, path=2, dir=1, args=(3,)),
        "fchmodat2": _call(PATH, path=2, dir=1, args=(3, 4)),
        "fchmod": _call(FD, fd=1, args=(2,)),
        "chown": _call(PATH, path=1, args=(2, 3)),
        "lchown": _call(PATH, path=1, args=(2, 3)),
        "fchownat": _call(PATH, path=2, dir=1, args=(3, 4, 5)),
        "fchown": _call(FD, fd=1, args=(2, 3)),
        "utime": _call(PATH, path=1),
        "utimes": _call(PATH, path=1),
        "futimesat": _call(PATH, path=2, dir=1),
        "utimensat": _call(PATH, path=2, dir=1, out=3, form=TIMES, args=(4,)),
        "ftruncate": _call(FD, fd=1, args=(2,), flags=INHERITED | SUCCESS | FAILURE),
        "fallocate": _call(FD, fd=1, args=(2, 3, 4), flags=INHERITED | SUCCESS | FAILURE),
        # inherited descriptors
        "mmap": _call(MMAP, fd=5, args=(3, 4)),
        "ioctl": _call(FD, fd=1, args=(2,), flags=INHERITED | SUCCESS),
        "flock": _call(FD, fd=1, args=(2,), flags=LOCK),
        "fcntl": _call(USE, fd=1, args=(2,), flags=LOCK),
        "dup": _call(USE, fd=1),
        "dup2": _call(USE, fd=1),
        "dup3": _call(USE, fd=1),
        "lseek": _call(SEEK, fd=1, args=(2, 3)),
        "sendfile": _call(COPY, fd=1, fd2=2, out=3, args=(4,)),
        "splice": _call(COPY, fd=3, fd2=1, out=2, args=(4, 5)),
        "tee": _call(COPY, fd=2, fd2=1, args=(3,)),
        "copy_file_range": _call(COPY, fd=3, fd2=1, out=2, args=(4, 5)),
        "vmsplice": _call(COPY, fd=1, args=(3,)),
        # execution
        "execve": _call(PATH, path=1),
        "execveat": _call(PATH, path=2, dir=1, args=(5,)),
        # external
        "socket": _call(SOCKET, args=(1, 2, 3)),
        "connect": _call(SOCKET, fd=1, out=2, form=ADDRESS),
        "bind": _call(SOCKET, fd=1, out=2, form=ADDRESS),
        "accept": _call(SOCKET, fd=1),
        "accept4": _call(SOCKET, fd=1),
        "setsockopt": _call(SOCKET, fd=1, args=(2, 3)),
        "getsockopt": _call(SOCKET, fd=1, args=(2, 3)),
        "listen": _call(SOCKET, fd=1, flags=INHERITED),
        "shutdown": _call(SOCKET, fd=1, flags=INHERITED),
        "getsockname": _call(SOCKET, fd=1, flags=INHERITED),
        "getpeername": _call(SOCKET, fd=1, flags=INHERITED),
        "sendmsg": _call(MESSAGE, fd=1, out=2, args=(1,)),
        "recvmsg": _call(MESSAGE, fd=1, out=2, args=(1,)),
        "umask": _call(ARGS, args=(1,)),
        "setsid": _call(ARGS),
        "setpgid": _call(ARGS, args=(1, 2)),
        "kill": _call(ARGS, args=(1, 2)),
        "tkill": _call(ARGS, args=(1, 2)),
        "tgkill": _call(ARGS, args=(1, 2, 3)),
        "rt_sigqueueinfo": _call(ARGS, args=(1, 2)),
        "rt_tgsigqueueinfo": _call(ARGS, args=(1, 2, 3)),
        "ptrace": _call(ARGS, args=(1, 2)),
        "chroot": _call(PATH, path=1),
        "pivot_root": _call(PATH, path=1, path2=2),
        "mount": _call(PATH, path=2, path2=1),
        "umount2": _call(PATH, path=1),
    }
    for name in ("write", "pwrite64", "sendto"):
        calls[name] = _call(WRITE, fd=1, out=2, args=_OFFSET_OR_ADDRESS.get(name, ()))
    for name in ("writev", "pwritev", "pwritev2"):
        calls[name] = _call(WRITEV, fd=1, out=2, args=_OF_WRITEV.get(name, ()))
    for name in ("read", "pread64", "readv", "preadv", "preadv2", "recvfrom"):
        calls[name] = _call(READ, fd=1)
    for name in WAITING:
        calls[name] = _call(ARGS, flags=IN_VAIN)
    for name in OF_DESCRIPTORS:
        calls[name] = _call(USE, fd=3 if name.startswith("epoll") else 1, flags=INHERITED)
    for name in ("setxattr", "lsetxattr", "removexattr", "lremovexattr"):
        calls[name] = _call(PATH, path=1, path2=2)
    for name in ("getxattr", "lgetxattr", "listxattr", "llistxattr", "statfs"):
        calls[name] = _call(PATH, path=1, flags=READONLY)
    for name in ("fsetxattr", "fremovexattr"):
        calls[name] = _call(PATH, fd=1, path2=2)
    for name in ("fgetxattr", "flistxattr"):
        calls[name] = _call(FD, fd=1)
    for name in ("setxattrat", "removexattrat", "file_setattr", "open_tree", "open_tree_attr"):
        calls[name] = _call(PATH, path=2, dir=1, args=(3,))
    for name in ("getxattrat", "listxattrat", "file_getattr"):
        calls[name] = _call(PATH, path=2, dir=1, args=(3,), flags=READONLY)
    calls["name_to_handle_at"] = _call(PATH, path=2, dir=1, args=(5,), flags=READONLY)
    calls["inotify_add_watch"] = _call(PATH, path=2, args=(3,), flags=READONLY)
    calls["uname"] = _call(ARGS)
    calls["alarm"] = _call(ARGS, args=(1,))
    calls["setitimer"] = _call(ARGS, args=(1,), out=2, form=TIMER)
    for name in ("wait4", "waitid", "getpgrp"):
        calls[name] = _call(ARGS, flags=READONLY)
    for name in ("getpgid", "getsid"):
        calls[name] = _call(ARGS, args=(1,), flags=READONLY)
    calls["setrlimit"] = _call(ARGS, args=(1,), out=2, form=LIMIT)
    calls["getrlimit"] = _call(ARGS, args=(1,))
    calls["prlimit64"] = _call(ARGS, args=(1, 2), out=3, form=LIMIT)
    for name in (
        # identity and what programs hand down
        "setuid", "setgid", "setfsuid", "setfsgid", "personality", "setgroups", "capset",
        "seccomp", "prctl", "landlock_restrict_self", "getgroups",
        "sched_setaffinity", "sched_getaffinity", "sched_setscheduler", "sched_getscheduler",
        "sched_setparam", "sched_getparam", "sched_setattr", "sched_getattr",
        "sched_rr_get_interval",
    ):  # fmt: skip
        calls[name] = _call(ARGS, args=(1,))
    calls["set_mempolicy"] = _call(ARGS)
    calls["get_mempolicy"] = _call(ARGS, args=(1, 2))
    for name in ("setreuid", "setregid", "setpriority", "getpriority", "ioprio_set", "ioprio_get"):
        calls[name] = _call(ARGS, args=(1, 2))
    for name in ("setresuid", "setresgid"):
        calls[name] = _call(ARGS, args=(1, 2, 3))
    for name in (
        # System V IPC: which object
        "shmget", "semget", "msgget", "shmat", "shmctl", "semop", "semtimedop", "semctl",
        "msgsnd", "msgrcv", "msgctl",
        # whatever they are given
        "io_uring_setup", "io_uring_enter", "io_setup", "pidfd_getfd", "pidfd_send_signal",
        "unshare", "setns", "mq_open", "mq_unlink", "process_vm_readv", "process_vm_writev",
        "process_madvise", "userfaultfd", "open_by_handle_at", "fsopen", "fsconfig", "fsmount",
        "fspick", "move_mount", "mount_setattr", "statmount", "listmount",
        "fanotify_mark", "bpf", "perf_event_open", "settimeofday", "clock_settime",
        "clock_adjtime", "adjtimex", "keyctl", "add_key", "request_key", "recvmmsg", "sendmmsg",
        "quotactl", "quotactl_fd", "syslog", "acct", "swapon", "swapoff", "reboot",
        "sethostname", "setdomainname", "iopl", "ioperm", "init_module", "finit_module",
        "delete_module", "kexec_load", "kexec_file_load", "vhangup", "uselib",
        "lsm_set_self_attr", "_sysctl",
    ):  # fmt: skip
        calls[name] = _call(ARGS, args=(1, 2, 3))
    return calls


CALLS: dict[str, bytes] = _table()


def entries() -> list[tuple[int, bytes]]:
    """(system call number, struct call) pairs for the kernel's table."""
    return [(NUMBERS[name], packed) for name, packed in CALLS.items()]
