"""What becomes of each x86-64 system call: observed, a reason not to cache, or irrelevant.

None may be forgotten: a test demands that every call of the kernel's table is in exactly one of the
three, and that those of the first two are in `calls.CALLS` and have a handler.
"""

from __future__ import annotations

OBSERVED: dict[str, str] = {
    "opening, content by the version stamped at the open": "open openat openat2 creat",
    "looking: type, mode, content; or that nothing is there": """
        stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat chdir
        statfs file_getattr name_to_handle_at""",
    "of descriptors that are inherited or opened with O_PATH": "fstat",
    "listing": "getdents64",
    "changing names": """
        unlink unlinkat rmdir mkdir mkdirat mknod mknodat rename renameat renameat2 link linkat
        symlink symlinkat""",
    "changing content, beside opening for it": "truncate ftruncate fallocate",
    "changing modes and times; of owners only what changes none": """
        chmod fchmod fchmodat fchmodat2 utime utimes futimesat utimensat chown lchown fchown
        fchownat""",
    "streams: writes to inherited descriptors": """
        write pwrite64 writev pwritev pwritev2 sendto sendfile splice tee copy_file_range
        vmsplice""",
    "input: reads from inherited descriptors": """
        read pread64 readv preadv preadv2 recvfrom lseek ioctl mmap""",
    "waiting for what may come by a pipe, in vain": """
        poll ppoll select pselect6 epoll_wait epoll_pwait epoll_pwait2 epoll_wait_old""",
    "locks: that nobody else holds them": "flock fcntl",
    "inherited descriptors: which number is used, and what is asked of it": """
        dup dup2 dup3 fsync fdatasync sync_file_range fadvise64 readahead cachestat fstatfs
        epoll_ctl epoll_ctl_old""",
    "working directory, by a descriptor that is not inherited": "fchdir",
    "execution: failed ones; successful ones have events of their own": "execve execveat",
    "decides the mode of created files": "umask",
    "sockets: that they can be made and bound, connections within, questions to the kernel": """
        socket connect bind sendmsg recvmsg accept accept4 setsockopt getsockopt""",
    "sockets that are inherited": "listen shutdown getsockname getpeername",
    "signals: inside the tree only": """
        kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal""",
    "process groups: who a signal to one is for, and who leads it": """
        setpgid setsid getpgrp getpgid getsid""",
    "waiting for processes: whether there were some at the start": "wait4 waitid",
    "identity: unless it stays what it is": """
        setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid""",
    "handed down: programs started afterwards are not cacheable": """
        getrlimit setrlimit prlimit64 personality seccomp prctl landlock_restrict_self capset""",
    "handed down: inputs of those who ask, unless the tree itself has changed them": """
        sched_setaffinity sched_getaffinity setpriority getpriority getgroups sched_setscheduler
        sched_getscheduler sched_setparam sched_getparam sched_setattr sched_getattr
        sched_rr_get_interval ioprio_set ioprio_get set_mempolicy get_mempolicy""",
    "handed down to the next program of the process, which is not cacheable": "alarm setitimer",
    "host name and kernel version are facts": "uname",
    "System V IPC: private objects only": """
        shmget shmat shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl""",
}
"""How -> calls."""

UNCACHEABLE = """
    io_uring_setup io_uring_enter io_setup ptrace mq_open mq_unlink userfaultfd process_vm_readv
    process_vm_writev process_madvise keyctl add_key request_key unshare setns chroot pivot_root
    mount umount2 fsopen fsconfig fsmount fspick open_tree open_tree_attr move_mount mount_setattr
    pidfd_getfd recvmmsg sendmmsg syslog statmount listmount
    inotify_add_watch
    open_by_handle_at fanotify_mark bpf perf_event_open quotactl quotactl_fd acct
    swapon swapoff reboot sethostname setdomainname iopl ioperm init_module finit_module
    delete_module kexec_load kexec_file_load vhangup uselib _sysctl settimeofday clock_settime
    clock_adjtime adjtimex lsm_set_self_attr setgroups getdents setxattr lsetxattr fsetxattr
    setxattrat removexattr lremovexattr fremovexattr removexattrat getxattr lgetxattr fgetxattr
    getxattrat listxattr llistxattr flistxattr listxattrat file_setattr"""
"""Where they succeed."""

IRRELEVANT: dict[str, str] = {
    "the kernel tells of it by other events: task_newtask, sched_process_exit": """
        clone clone3 fork vfork exit exit_group""",
    "descriptors of its own: which file each is, is seen where it is used": """
        close close_range pipe pipe2 socketpair""",
    "memory of its own, which ends with it; files were observed when opened or mapped": """
        mprotect munmap brk mremap msync mincore madvise remap_file_pages mlock mlock2 munlock
        mlockall munlockall pkey_mprotect pkey_alloc pkey_free memfd_create memfd_secret mseal
        map_shadow_stack modify_ldt set_thread_area get_thread_area arch_prctl membarrier
        shmdt""",
    "where memory lies and how soon it runs decide speed, not results": """
        mbind set_mempolicy_home_node migrate_pages move_pages
        sched_yield sched_get_priority_max sched_get_priority_min getcpu""",
    "synchronisation within the tree": """
        futex futex_waitv futex_wake futex_wait futex_requeue set_robust_list get_robust_list
        set_tid_address rseq restart_syscall eventfd eventfd2""",
    "its own handling of signals; those from outside have an event": """
        rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend
        sigaltstack signalfd signalfd4 pause""",
    "what became ready is then read, written or accepted": """
        epoll_create epoll_create1""",
    "time is not an input (DESIGN.md, rule 7)": """
        gettimeofday time clock_gettime clock_getres clock_nanosleep nanosleep times getitimer
        timer_create timer_settime timer_gettime timer_getoverrun timer_delete
        timerfd_create timerfd_settime timerfd_gettime""",
    "numbers that differ in every run": """
        getpid gettid getppid getrandom pidfd_open""",
    "part of the call": "getuid geteuid getgid getegid getresuid getresgid getcwd",
    "measurements of the machine, which differ at every look": "sysinfo getrusage ustat",
    "capabilities come with the user": "capget",
    "makes lasting what was written": "sync syncfs",
    "of queues that were refused when opened": """
        mq_timedsend mq_timedreceive mq_notify mq_getsetattr io_uring_register io_destroy
        io_getevents io_submit io_cancel io_pgetevents""",
    "nothing is reported before a watch or mark is added": """
        inotify_init inotify_init1 inotify_rm_watch fanotify_init""",
    "only prepares; the restriction itself is observed": """
        landlock_create_ruleset landlock_add_rule""",
    "what the kernel is made of": "sysfs lsm_get_self_attr lsm_list_modules",
    "compares or reaps processes of its own": "kcmp process_mrelease",
    "not implemented by any kernel supported": """
        create_module get_kernel_syms query_module nfsservctl getpmsg putpmsg afs_syscall tuxcall
        security vserver lookup_dcookie""",
}
"""Why -> calls."""


def names(groups: dict[str, str] | str) -> list[str]:
    """The calls of one of the three."""
    texts = [groups] if isinstance(groups, str) else groups.values()
    return [name for text in texts for name in text.split()]
