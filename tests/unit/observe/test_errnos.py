"""The table of causes has a row for each failure that the manual pages, section 2, tell of."""

from __future__ import annotations

import errno
import gzip
import re
from pathlib import Path

import pytest

from pcache.observe import coverage, errnos

OBSERVED = coverage.names(coverage.OBSERVED)
MANUAL = Path("/usr/share/man/man2")

PATH = "EACCES EBADF EFAULT EINVAL EIO ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR EPERM EROFS"
MAKING = f"{PATH} EDQUOT EEXIST ENOSPC"
STATUS = "EACCES EBADF EFAULT EINVAL ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR EOVERFLOW"
IDENTITY = "EAGAIN EINVAL EPERM"
PROCESSES = "EFAULT EINVAL EPERM ESRCH"
SENDING = (
    "EACCES EAGAIN EALREADY EBADF ECONNRESET EDESTADDRREQ EFAULT EINTR EINVAL EISCONN EMSGSIZE "
    "ENOBUFS ENOMEM ENOTCONN ENOTSOCK EOPNOTSUPP EPIPE"
)
RECEIVING = "EAGAIN EBADF ECONNREFUSED EFAULT EINTR EINVAL ENOMEM ENOTCONN ENOTSOCK"
OF_MANUAL = {
    "open openat creat": f"""
        {MAKING} EBUSY EFBIG EINTR EISDIR EMFILE ENFILE ENODEV ENXIO EOPNOTSUPP EOVERFLOW
        ETXTBSY EAGAIN""",
    "openat2": "E2BIG EAGAIN EINVAL ELOOP EXDEV",
    "stat lstat newfstatat fstat statx": STATUS,
    "access faccessat faccessat2": f"{PATH} ETXTBSY",
    "readlink readlinkat chdir fchdir": PATH,
    "statfs": f"{PATH} EINTR ENOSYS EOVERFLOW",
    "name_to_handle_at": "EBADF EFAULT EINVAL ELOOP ENOENT ENOTDIR EOPNOTSUPP EOVERFLOW ESTALE",
    "getdents64": "EBADF EFAULT EINVAL ENOENT ENOTDIR",
    "unlink": f"{PATH} EBUSY EISDIR",
    "unlinkat rmdir": f"{PATH} EBUSY EISDIR EEXIST ENOTEMPTY",
    "mkdir mkdirat mknod mknodat symlink symlinkat": f"{MAKING} EMLINK",
    "rename renameat renameat2": f"{MAKING} EBUSY EISDIR EMLINK ENOTEMPTY EXDEV",
    "link linkat": f"{MAKING} EMLINK EXDEV",
    "truncate ftruncate": f"{PATH} EFBIG EINTR EISDIR ETXTBSY",
    "fallocate": """
        EBADF EFBIG EINTR EINVAL EIO ENODEV ENOSPC ENOSYS EOPNOTSUPP EPERM ESPIPE ETXTBSY""",
    "chmod fchmod fchmodat fchmodat2": f"{PATH} ENOTSUP",
    "utime utimes futimesat": "EACCES EBADF ENOENT ENOTDIR EPERM EROFS",
    "utimensat": f"{PATH} ESRCH",
    "chown lchown fchown fchownat": PATH,
    "write pwrite64 writev pwritev pwritev2": """
        EAGAIN EBADF EDESTADDRREQ EDQUOT EFAULT EFBIG EINTR EINVAL EIO ENOSPC EPERM EPIPE
        EOPNOTSUPP""",
    "sendto sendmsg": SENDING,
    "read pread64 readv preadv preadv2": "EAGAIN EBADF EFAULT EINTR EINVAL EIO EISDIR EOPNOTSUPP",
    "recvfrom recvmsg": RECEIVING,
    "sendfile": "EAGAIN EBADF EFAULT EINVAL EIO ENOMEM EOVERFLOW ESPIPE",
    "splice tee vmsplice": "EAGAIN EBADF EINVAL ENOMEM ESPIPE",
    "copy_file_range": """
        EBADF EFBIG EINVAL EIO EISDIR ENOMEM ENOSPC EOPNOTSUPP EOVERFLOW EPERM ETXTBSY EXDEV""",
    "alarm getpgrp": "",
    "setitimer": "EFAULT EINVAL",
    "getpgid getsid": "EPERM ESRCH",
    "wait4 waitid": "EAGAIN EBADF ECHILD EINTR EINVAL ESRCH",
    "lseek": "EBADF EINVAL ENXIO EOVERFLOW ESPIPE",
    "poll ppoll": "EFAULT EINTR EINVAL ENOMEM",
    "select pselect6": "EBADF EINTR EINVAL ENOMEM",
    "epoll_wait epoll_pwait epoll_pwait2 epoll_wait_old": "EBADF EFAULT EINTR EINVAL ENOSYS",
    "ioctl": "EBADF EFAULT EINVAL ENOTTY",
    "mmap": "EACCES EAGAIN EBADF EEXIST EINVAL ENFILE ENODEV ENOMEM EOVERFLOW EPERM ETXTBSY",
    "fsync fdatasync": "EBADF EDQUOT EINTR EINVAL EIO ENOSPC EROFS",
    "sync_file_range": "EBADF EINVAL EIO ENOMEM ENOSPC ESPIPE",
    "fadvise64 readahead": "EBADF EINVAL ESPIPE",
    "cachestat": "EBADF EFAULT EINVAL EOPNOTSUPP",
    "fstatfs": "EBADF EFAULT EIO ENOMEM ENOSYS",
    "epoll_ctl epoll_ctl_old": "EBADF EEXIST EINVAL ELOOP ENOENT ENOMEM ENOSPC EPERM",
    "dup": "EBADF EMFILE",
    "dup2 dup3": "EBADF EBUSY EINTR EINVAL EMFILE",
    "flock": "EBADF EINTR EINVAL ENOLCK EWOULDBLOCK",
    "fcntl": "EACCES EAGAIN EBADF EBUSY EDEADLK EFAULT EINTR EINVAL EMFILE ENOLCK ENOTDIR EPERM",
    "execve execveat": """
        E2BIG EACCES EAGAIN EFAULT EINVAL EIO EISDIR ELIBBAD ELOOP EMFILE ENAMETOOLONG ENFILE ENOENT
        ENOEXEC ENOMEM ENOTDIR EPERM ETXTBSY""",
    "socket": "EACCES EAFNOSUPPORT EINVAL EMFILE ENFILE ENOBUFS ENOMEM EPROTONOSUPPORT",
    "connect": """
        EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF ECONNREFUSED EFAULT
        EINPROGRESS EINTR EISCONN ENETUNREACH ENOTSOCK EPERM EPROTOTYPE ETIMEDOUT""",
    "bind": """
        EACCES EADDRINUSE EADDRNOTAVAIL EBADF EFAULT EINVAL ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR
        ENOTSOCK EROFS""",
    "accept accept4": """
        EAGAIN EBADF ECONNABORTED EFAULT EINTR EINVAL EMFILE ENFILE ENOBUFS ENOMEM ENOTSOCK
        EOPNOTSUPP EPERM EPROTO""",
    "setsockopt getsockopt": "EBADF EFAULT EINVAL ENOPROTOOPT ENOTSOCK",
    "listen": "EADDRINUSE EBADF ENOTSOCK EOPNOTSUPP",
    "shutdown": "EBADF EINVAL ENOTCONN ENOTSOCK",
    "getsockname getpeername": "EBADF EFAULT EINVAL ENOBUFS ENOTCONN ENOTSOCK",
    "kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo": "EAGAIN EINVAL EPERM ESRCH",
    "setpgid setsid": "EACCES EINVAL EPERM ESRCH",
    "pidfd_send_signal": "EBADF EINVAL EPERM ESRCH",
    "setuid setreuid setregid setresuid setresgid setgid": IDENTITY,
    "getrlimit setrlimit prlimit64 capset sched_setaffinity sched_getaffinity": PROCESSES,
    "personality umask uname setfsuid setfsgid": "EINVAL EFAULT",
    "seccomp": "EACCES EBUSY EFAULT EINVAL ENOMEM EOPNOTSUPP ESRCH",
    "prctl": "EACCES EBADF EBUSY EFAULT EINVAL ENODEV ENXIO EOPNOTSUPP EPERM ERANGE",
    "landlock_restrict_self": "E2BIG EBADF EBADFD EINVAL EOPNOTSUPP EPERM",
    "setpriority getpriority": "EACCES EINVAL EPERM ESRCH",
    "getgroups": "EFAULT EINVAL ENOMEM EPERM",
    "sched_setscheduler sched_getscheduler sched_setparam sched_getparam": "EINVAL EPERM ESRCH",
    "ioprio_set ioprio_get": "EINVAL EPERM ESRCH",
    "set_mempolicy get_mempolicy": "EFAULT EINVAL ENOMEM",
    "sched_setattr sched_getattr": "E2BIG EBUSY EINVAL EPERM ESRCH",
    "sched_rr_get_interval": "EFAULT EINVAL ENOSYS ESRCH",
    "shmget semget msgget": "EACCES EEXIST EINVAL ENFILE ENOENT ENOMEM ENOSPC EPERM",
    "shmat shmctl semctl msgctl": "EACCES EFAULT EIDRM EINVAL ENOMEM EOVERFLOW EPERM ERANGE",
    "semop semtimedop": "E2BIG EACCES EAGAIN EFAULT EFBIG EIDRM EINTR EINVAL ENOMEM ERANGE",
    "msgsnd msgrcv": "E2BIG EACCES EAGAIN EFAULT EIDRM EINTR EINVAL ENOMEM ENOMSG ENOSYS",
    "file_getattr": "EACCES EBADF EFAULT EINVAL ENOENT ENOTDIR EOPNOTSUPP ENOTTY E2BIG",
}  # fmt: skip


def _rows_missing(call: str, names: list[str]) -> list[str]:
    return [name for name in names if getattr(errno, name) not in errnos.TABLE.get(call, {})]


def test_each_failure_has_a_row() -> None:
    listed = {call: names.split() for calls, names in OF_MANUAL.items() for call in calls.split()}
    assert listed.keys() == set(OBSERVED)
    missing = {call: _rows_missing(call, names) for call, names in listed.items()}
    assert {call: names for call, names in missing.items() if names} == {}


@pytest.mark.skipif(not (MANUAL / "open.2.gz").exists(), reason="no manual pages are installed")
def test_each_failure_of_the_pages_installed_has_a_row() -> None:
    missing = {call: _rows_missing(call, _of_page(call)) for call in OBSERVED}
    assert {call: names for call, names in missing.items() if names} == {}


def _of_page(call: str) -> list[str]:
    """The errnos of the ERRORS section; none of a call without a page."""
    page = MANUAL / f"{call}.2.gz"
    if not page.exists():
        return []
    text = gzip.decompress(page.read_bytes()).decode(errors="replace")
    while link := re.match(r"\.so (man2/\S+)", text):
        page = MANUAL.parent / f"{link[1]}.gz"
        text = gzip.decompress(page.read_bytes()).decode(errors="replace")
    section = re.search(r"\n\.SH ERRORS(.*?)\n\.SH ", text, re.DOTALL)
    names = re.findall(r"\bE[A-Z0-9]{2,}\b", section[1] if section else "")
    return sorted({name for name in names if hasattr(errno, name)})


@pytest.mark.parametrize(
    ("call", "number", "why"),
    [
        ("open", errno.ETXTBSY, errnos.TRANSIENT),
        ("execve", errno.ENOEXEC, errnos.CONTENT),
        ("rename", errno.EXDEV, errnos.PERMISSION),
        ("stat", errno.ENOENT, errnos.LOOK),
        ("unlink", errno.EROFS, errnos.PERMISSION),
        ("openat", errno.EUCLEAN, errnos.TRANSIENT),
        ("clone", errno.EAGAIN, errnos.TRANSIENT),
    ],
)
def test_causes(call: str, number: int, why: str) -> None:
    assert errnos.cause(call, number) == why
