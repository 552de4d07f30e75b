"""Why a call failed: for each observed call and each errno, what has to be as it was then.

The table is closed: a test demands a row for each errno of each observed call that its manual page
names.  What no row names counts as transient: no fact holds it, and nothing may be kept of it.
"""

from __future__ import annotations

import errno

CALL = "what the program passed: it fails wherever it is made"
SESSION = "what the kernel is and lets this user do: equal for all that has the same fingerprint"
LOOK = "what is at the path, or is not: the same look fails in the same way"
STATE = "type, mode and owner of what is at the path"
CONTENT = "the content of the file, which is no program of this machine"
PERMISSION = "mode, owner, access control list, mount, inode flags: see Kind.PERMISSION"
DESCRIPTOR = "the kind of an inherited descriptor, a fact; of others: which file, seen when opened"
REASON = "its handler makes uncacheable whoever can have reached outside by it"
TRANSIENT = "the state of the machine or of other processes, which passes"

_OPENING = "open creat openat openat2"
_LOOKING = """
    stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat chdir statfs
    file_getattr name_to_handle_at"""
_NAMING = """
    unlink unlinkat rmdir mkdir mkdirat mknod mknodat rename renameat renameat2 link linkat symlink
    symlinkat"""
_OF_FILES = """
    truncate chmod fchmodat fchmodat2 utime utimes futimesat utimensat chown lchown fchownat"""
_BY_DESCRIPTOR = "fstat fchdir ftruncate fallocate fchmod fchown getdents64"
_EXECUTING = "execve execveat"
_WAITING = "poll ppoll select pselect6 epoll_wait epoll_pwait epoll_pwait2 epoll_wait_old"
_XATTRS = """
    setxattr lsetxattr setxattrat removexattr lremovexattr removexattrat getxattr lgetxattr
    getxattrat listxattr llistxattr listxattrat file_setattr"""
_WRITING = "write pwrite64 writev pwritev pwritev2 sendto sendmsg"
_READING = "read pread64 readv preadv preadv2 recvfrom recvmsg"
_COPYING = "sendfile splice tee copy_file_range vmsplice"
_ASKING = """
    fsync fdatasync sync_file_range fadvise64 readahead cachestat fstatfs epoll_ctl epoll_ctl_old"""
_IPC = "shmget shmat shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl"
_IDENTITY = """
    setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid personality seccomp prctl
    landlock_restrict_self capset getgroups umask uname"""
_SCHEDULING = """
    sched_setaffinity sched_getaffinity setpriority getpriority sched_setscheduler
    sched_getscheduler sched_setparam sched_getparam sched_setattr sched_getattr
    sched_rr_get_interval ioprio_set ioprio_get set_mempolicy get_mempolicy"""

_OF_PATHS = f"{_OPENING} {_LOOKING} {_NAMING} {_OF_FILES} {_BY_DESCRIPTOR} {_EXECUTING} {_XATTRS}"

_ROWS: tuple[tuple[str, dict[str, str]], ...] = (
    (
        _OF_PATHS,
        {
            CALL: "EBADF EFAULT ENOSYS",
            LOOK: "ENOENT ENOTDIR ELOOP ENAMETOOLONG",
            PERMISSION: "EACCES EPERM EROFS EOPNOTSUPP EINVAL",
            STATE: "EEXIST EISDIR",
            TRANSIENT: """
                EAGAIN EBUSY EDQUOT EFBIG EINTR EIO EMFILE EMLINK ENFILE ENODEV ENOLCK ENOMEM ENOSPC
                EOVERFLOW ESTALE ETIMEDOUT ETXTBSY""",
        },
    ),
    # Only of a socket, which cannot be opened; of devices and fifos somebody else decides.
    (_OPENING, {STATE: "ENXIO", CALL: "E2BIG", TRANSIENT: "ENODEV EXDEV"}),
    ("rmdir unlinkat rename renameat renameat2", {STATE: "ENOTEMPTY"}),
    ("rename renameat renameat2 link linkat", {PERMISSION: "EXDEV"}),
    # Of the arguments alone: these look, but use nothing of what is there.
    ("statx newfstatat access faccessat faccessat2 name_to_handle_at", {CALL: "EINVAL"}),
    ("readlink readlinkat", {STATE: "EINVAL"}),  # no symbolic link
    ("name_to_handle_at", {STATE: "EOVERFLOW"}),  # how the size of a handle is asked for
    ("file_getattr", {PERMISSION: "ENOTTY", CALL: "E2BIG"}),
    ("utimensat", {CALL: "ESRCH"}),
    ("fallocate", {DESCRIPTOR: "ESPIPE"}),
    (
        _EXECUTING,
        {
            # Which lets them be so long: limits are part of every call.
            CALL: "E2BIG",
            CONTENT: "ENOEXEC ELIBBAD EINVAL",
            PERMISSION: "EACCES",
            TRANSIENT: "EPERM",
        },
    ),
    (_XATTRS, {PERMISSION: "ENODATA ERANGE E2BIG", CALL: "ERANGE"}),
    (
        _WRITING,
        {
            CALL: "EBADF EFAULT EINVAL",
            REASON: """
                EAGAIN EINTR EPIPE EACCES EALREADY ECONNRESET EDESTADDRREQ EISCONN EMSGSIZE ENOTCONN
                ENOTSOCK EOPNOTSUPP EPERM""",
            TRANSIENT: "EDQUOT EFBIG EIO ENOBUFS ENOMEM ENOSPC",
        },
    ),
    (
        _READING,
        {
            CALL: "EBADF EFAULT EINVAL",
            DESCRIPTOR: "EISDIR ENOTSOCK",
            REASON: "EAGAIN EINTR ECONNREFUSED ENOTCONN EOPNOTSUPP",
            TRANSIENT: "EIO ENOMEM",
        },
    ),
    (
        # Who is refused reads and writes instead.
        _COPYING,
        {
            CALL: "EBADF EFAULT EOVERFLOW",
            DESCRIPTOR: "EINVAL ESPIPE EISDIR EXDEV EOPNOTSUPP EPERM",
            REASON: "EAGAIN",
            TRANSIENT: "EFBIG EIO ENOMEM ENOSPC ETXTBSY",
        },
    ),
    # A signal has come: that has an event of its own.
    (_WAITING, {CALL: "EBADF EFAULT EINVAL EINTR ENOSYS", TRANSIENT: "ENOMEM"}),
    ("lseek", {CALL: "EBADF EINVAL ENXIO EOVERFLOW", DESCRIPTOR: "ESPIPE"}),
    (
        "ioctl",
        {
            CALL: "EBADF EFAULT EINVAL",
            DESCRIPTOR: "ENOTTY",
            REASON: "EADDRNOTAVAIL ENODEV EOPNOTSUPP",  # of interfaces a fact
        },
    ),
    (
        "mmap",
        {
            CALL: "EBADF EINVAL EEXIST EOVERFLOW",
            DESCRIPTOR: "ENODEV EACCES EPERM",
            TRANSIENT: "EAGAIN ENFILE ENOMEM ETXTBSY ENOEXEC",
        },
    ),
    (
        _ASKING,
        {
            CALL: "EBADF EFAULT EEXIST ENOENT ELOOP ENOSYS",
            DESCRIPTOR: "EINVAL ESPIPE EPERM EOPNOTSUPP EROFS",
            TRANSIENT: "EDQUOT EINTR EIO ENOMEM ENOSPC",
        },
    ),
    # Of statfs(2), on the same page.
    ("fstatfs", {CALL: "EACCES ENAMETOOLONG ENOTDIR EOVERFLOW"}),
    # The number that is free is the lowest, or the program's choice; EBUSY is a race of its own.
    ("dup dup2 dup3", {CALL: "EBADF EINVAL", TRANSIENT: "EBUSY EINTR EMFILE"}),
    (
        "flock fcntl",
        {
            CALL: "EBADF EINVAL EFAULT ENOTDIR",
            REASON: "EAGAIN EACCES EINTR EDEADLK EPERM EBUSY",
            TRANSIENT: "ENOLCK EMFILE",
        },
    ),
    (
        "socket",
        {
            SESSION: "EACCES EPERM EAFNOSUPPORT EPROTONOSUPPORT EINVAL",
            TRANSIENT: "EMFILE ENFILE ENOBUFS ENOMEM",
        },
    ),
    (
        # Whether there is somebody to accept is the tree's affair: others are a reason.
        "accept accept4",
        {
            CALL: "EBADF EFAULT EINVAL ENOTSOCK EOPNOTSUPP",
            REASON: "EAGAIN EINTR",
            TRANSIENT: """
                ECONNABORTED EHOSTDOWN EHOSTUNREACH EMFILE ENETDOWN ENETUNREACH ENFILE ENOBUFS
                ENOMEM ENONET ENOPROTOOPT ENOSR EPERM EPROTO EPROTONOSUPPORT ESOCKTNOSUPPORT
                ETIMEDOUT""",
        },
    ),
    (
        # Of what is bound or connected: a fact or a reason when it was.
        "setsockopt getsockopt listen shutdown getsockname getpeername",
        {
            CALL: "EBADF EFAULT EINVAL ENOPROTOOPT ENOTSOCK EOPNOTSUPP",
            REASON: "EADDRINUSE ENOTCONN",
            TRANSIENT: "ENOBUFS",
        },
    ),
    (
        # Where a name is no path: other addresses are judged by their handlers.
        "connect bind",
        {
            CALL: "EBADF EFAULT ENOTSOCK EINVAL EISCONN EAFNOSUPPORT",
            LOOK: "ENOENT ENOTDIR ELOOP ENAMETOOLONG",
            PERMISSION: "EROFS EACCES",
            STATE: "EADDRINUSE",
            REASON: """
                EADDRNOTAVAIL EAGAIN EALREADY ECONNREFUSED EINPROGRESS EINTR ENETUNREACH EPERM
                EPROTOTYPE ETIMEDOUT""",
            TRANSIENT: "ENOMEM",
        },
    ),
    (
        "kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal",
        {CALL: "EINVAL EBADF", REASON: "ESRCH EPERM", TRANSIENT: "EAGAIN"},
    ),
    # Who leads which group is a fact once it was asked for.
    ("setpgid setsid getpgrp getpgid getsid", {CALL: "EINVAL EACCES EPERM ESRCH"}),
    ("alarm setitimer", {CALL: "EFAULT EINVAL"}),
    # Which children it had from the start is a fact, signals that come from outside are a reason.
    ("wait4 waitid", {CALL: "ECHILD EFAULT EINVAL ESRCH EBADF EINTR EAGAIN"}),
    (
        "getrlimit setrlimit prlimit64",
        {CALL: "EFAULT EINVAL", REASON: "EPERM ESRCH"},
    ),
    (
        _IDENTITY,
        {
            CALL: "EBADF EBADFD EFAULT E2BIG ERANGE ENXIO ENODEV",
            SESSION: "EPERM EACCES EINVAL EOPNOTSUPP ENOSYS ESRCH",
            TRANSIENT: "EAGAIN EBUSY ENOMEM",
        },
    ),
    (
        _SCHEDULING,
        {
            CALL: "EFAULT E2BIG ENOSYS",
            SESSION: "EINVAL",  # for want of processors, or of room for as many as there can be
            REASON: "EPERM EACCES ESRCH",
            TRANSIENT: "EBUSY ENOMEM",
        },
    ),
    (
        _IPC,
        {
            CALL: "EFAULT E2BIG EFBIG ERANGE",
            REASON: "EACCES EAGAIN EEXIST EIDRM EINTR EINVAL ENOENT ENOMSG ENOSYS EOVERFLOW EPERM",
            TRANSIENT: "ENFILE ENOMEM ENOSPC",
        },
    ),
)
"""(calls, cause -> errnos); of rows that name the same call and errno the last one counts."""


def _table() -> dict[str, dict[int, str]]:
    table: dict[str, dict[int, str]] = {}
    for calls, causes in _ROWS:
        for call in calls.split():
            for cause, numbers in causes.items():
                row = {getattr(errno, name): cause for name in numbers.split()}
                table.setdefault(call, {}).update(row)
    return table


TABLE = _table()
"""Call -> errno -> cause."""


WITHOUT_PATHS = TABLE.keys() - _OF_PATHS.split()
"""Calls whose failures have nothing to do with what is at a path, or (sockets) hardly ever."""


def cause(call: str, number: int) -> str:
    """One of the constants above."""
    return TABLE.get(call, {}).get(number, TRANSIENT)
