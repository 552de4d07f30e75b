"""Everything that a program is handed down by who starts it, item by item: how it is accounted for.

execve(2) and proc(5) say what there is.  For each item one of five treatments:

| treatment | meaning |
| --- | --- |
| CALL | part of every call (`pcache.model.Call`) |
| SESSION | part of every call of a session, by `limits.tag`; a task for which it is not as for \
the command is not replaced (`enforce.inherited`), and a program for which the tree has changed it \
is not kept (`observe.accesses.inherited`) |
| FACT | a fact once it was asked for or used |
| REASON | makes uncacheable whoever asks for it or uses it |
| HARMLESS | tells nothing that a program's result could depend on |

tests/unit/linux/test_handed_down.py holds this table against what the running kernel shows.
"""

from __future__ import annotations

CALL, SESSION, FACT, REASON, HARMLESS = "call", "session", "fact", "reason", "harmless"

Row = tuple[str, str, str]
"""Name, treatment, because."""

_SELF = "of the process itself: it begins anew with each"
_MEMORY = "how much memory the program uses itself, which says nothing about its caller"
_CAPABILITIES = "what it may do"

STATUS: tuple[Row, ...] = (
    ("Name", HARMLESS, "from the name of the executable"),
    ("Umask", CALL, "umask(2)"),
    ("State", HARMLESS, _SELF),
    ("Tgid", HARMLESS, "a number that differs each time"),
    ("Ngid", HARMLESS, "where the scheduler keeps its memory"),
    ("Pid", HARMLESS, "a number that differs each time"),
    ("PPid", HARMLESS, "a number that differs each time"),
    ("TracerPid", SESSION, "a traced task is not replaced"),
    ("Uid", CALL, "the effective one; with the others set apart a task is another user's"),
    ("Gid", CALL, "as Uid"),
    ("FDSize", HARMLESS, "how large a table the kernel has made"),
    ("Groups", SESSION, "what may be opened; a fact as well for those who ask"),
    ("NStgid", HARMLESS, "a number that differs each time"),
    ("NSpid", HARMLESS, "a number that differs each time"),
    ("NSpgid", HARMLESS, "a number that differs each time"),
    ("NSsid", HARMLESS, "a number that differs each time"),
    ("Kthread", HARMLESS, "never"),
    ("CoreDumping", HARMLESS, _SELF),
    ("THP_enabled", REASON, "prctl(2); how large the pages of memory are"),
    ("untag_mask", HARMLESS, "of the processor"),
    ("Threads", HARMLESS, _SELF),
    ("SigQ", HARMLESS, "counts what all processes of the user have pending"),
    ("SigPnd", HARMLESS, "without effect unless blocked, which is a reason"),
    ("ShdPnd", HARMLESS, "without effect unless blocked, which is a reason"),
    ("SigBlk", FACT, "of signals sent within; linux.signal_sets.UNUSUAL are a reason"),
    ("SigIgn", FACT, "of signals sent within; TOLD are in the call"),
    ("SigCgt", HARMLESS, _SELF),
    ("CapInh", SESSION, _CAPABILITIES),
    ("CapPrm", SESSION, "what it may do; secure bits show here as well"),
    ("CapEff", SESSION, "what it may do; secure bits show here as well"),
    ("CapBnd", SESSION, _CAPABILITIES),
    ("CapAmb", SESSION, _CAPABILITIES),
    ("NoNewPrivs", SESSION, "set-user-ID programs do something else"),
    ("Seccomp", SESSION, "whether calls fail by a filter"),
    ("Seccomp_filters", SESSION, "how many: what one does cannot be seen"),
    ("Speculation_Store_Bypass", REASON, "prctl(2); speed"),
    ("SpeculationIndirectBranch", REASON, "prctl(2); speed"),
    ("Cpus_allowed", FACT, "sched_getaffinity(2)"),
    ("Cpus_allowed_list", FACT, "sched_getaffinity(2)"),
    ("Mems_allowed", HARMLESS, "where memory lies"),
    ("Mems_allowed_list", HARMLESS, "where memory lies"),
    ("voluntary_ctxt_switches", HARMLESS, _SELF),
    ("nonvoluntary_ctxt_switches", HARMLESS, _SELF),
    ("x86_Thread_features", HARMLESS, "shadow stacks, which a C library asks for itself"),
    ("x86_Thread_features_locked", HARMLESS, "shadow stacks, which a C library asks for itself"),
)
"""Fields of /proc/PID/status; those that begin with Vm, Rss or Huge are HARMLESS."""

MEMORY_FIELDS = ("Vm", "Rss", "Huge")

COMPARED = tuple(
    name.encode() for name, treatment, _ in STATUS if treatment == SESSION and name != "TracerPid"
)
"""Fields of /proc/PID/status that must be those of the command."""

LIMITS: tuple[Row, ...] = (
    ("cpu time", SESSION, "SIGXCPU"),
    ("file size", SESSION, "SIGXFSZ"),
    ("data size", SESSION, "allocations fail"),
    ("stack size", SESSION, "both values: ARG_MAX follows the soft one; asked twice it is a fact"),
    ("core file size", FACT, "a death that dumps core is not kept"),
    ("resident set", SESSION, "without effect, but told"),
    ("processes", SESSION, "if it is tight; it counts those of the user, whoever started them"),
    ("open files", SESSION, "descriptors run out"),
    ("locked memory", FACT, "once asked for; locks of memory that fail tell the caller alone"),
    ("address space", SESSION, "allocations fail"),
    ("file locks", HARMLESS, "without effect since Linux 2.4"),
    ("pending signals", HARMLESS, "of realtime signals, for which nobody reserves"),
    ("msgqueue size", REASON, "message queues are a reason"),
    ("nice priority", FACT, "once asked for"),
    ("realtime priority", FACT, "once asked for"),
    ("realtime timeout", FACT, "once asked for"),
)
"""Lines of /proc/PID/limits.  Each, asked for by getrlimit(2), is a fact with both its values."""

AUXV: tuple[tuple[int, str, str, str], ...] = (
    (3, "AT_PHDR", HARMLESS, "where the image lies"),
    (4, "AT_PHENT", HARMLESS, "of the image"),
    (5, "AT_PHNUM", HARMLESS, "of the image"),
    (6, "AT_PAGESZ", HARMLESS, "of the architecture"),
    (7, "AT_BASE", HARMLESS, "where the loader lies"),
    (8, "AT_FLAGS", HARMLESS, "whether binfmt_misc keeps argv[0]; the program is in the call"),
    (9, "AT_ENTRY", HARMLESS, "of the image"),
    (11, "AT_UID", CALL, "Uid"),
    (12, "AT_EUID", CALL, "Uid"),
    (13, "AT_GID", CALL, "Gid"),
    (14, "AT_EGID", CALL, "Gid"),
    (15, "AT_PLATFORM", HARMLESS, "of the machine; a store is not carried to another"),
    (16, "AT_HWCAP", HARMLESS, "of the machine; a store is not carried to another"),
    (17, "AT_CLKTCK", HARMLESS, "of the architecture"),
    (23, "AT_SECURE", SESSION, "set-user-ID programs are not kept; else it follows the ids"),
    (25, "AT_RANDOM", HARMLESS, "chance is no input"),
    (26, "AT_HWCAP2", HARMLESS, "of the machine; a store is not carried to another"),
    (27, "AT_RSEQ_FEATURE_SIZE", HARMLESS, "of the kernel"),
    (28, "AT_RSEQ_ALIGN", HARMLESS, "of the kernel"),
    (31, "AT_EXECFN", CALL, "the file name that execve(2) was given"),
    (33, "AT_SYSINFO_EHDR", HARMLESS, "where the vDSO lies"),
    (51, "AT_MINSIGSTKSZ", HARMLESS, "of the processor"),
)
"""The auxiliary vector: linux/auxvec.h, create_elf_tables() in fs/binfmt_elf.c."""

NAMESPACES: tuple[Row, ...] = (
    (
        "mnt",
        SESSION,
        "paths mean other files; mount points are in the facts about them",
    ),
    ("user", SESSION, "ids mean other users, and what is permitted differs"),
    ("uts", SESSION, "uname(2); its answer is a fact besides"),
    ("net", SESSION, "interfaces, /proc/net, whether sockets can be bound: facts besides"),
    ("ipc", REASON, "any use of what others have made there"),
    ("pid", HARMLESS, "numbers of processes; who looks for others is a reason"),
    ("pid_for_children", HARMLESS, "as pid"),
    ("cgroup", FACT, "/proc/self/cgroup is an input by content"),
    ("time", HARMLESS, "time is no input"),
    ("time_for_children", HARMLESS, "time is no input"),
)
"""Links in /proc/PID/ns."""

COMPARED_NAMESPACES = tuple(name for name, treatment, _ in NAMESPACES if treatment == SESSION)

OTHERS: tuple[Row, ...] = (
    ("executable", CALL, "and its content is an input"),
    ("argv", CALL, "as the new image sees it"),
    ("environment", CALL, "and its order, but for what settings.defaults names"),
    ("OLDPWD", FACT, "where a shell goes there or its text names it (`cd -`)"),
    (
        "variables of session and terminal",
        FACT,
        "where arguments or code name them, or the environment is shown: observe.left_out",
    ),
    ("PWD", CALL, "whether it is set, and its value where it is not the working directory"),
    ("working directory", CALL, ""),
    ("root directory", SESSION, "paths mean other files"),
    ("personality", SESSION, "but for address randomisation: where things are is no input"),
    ("nice value", FACT, "getpriority(2)"),
    ("scheduling policy", FACT, "sched_getscheduler(2)"),
    ("I/O priority", REASON, "ioprio_get(2)"),
    ("NUMA policy", REASON, "get_mempolicy(2)"),
    ("timer slack, machine check policy, merging of memory, speculation", REASON, "prctl(2)"),
    (
        "memory that may be executed once written, time stamp counter",
        REASON,
        "set within, for programs started then; and from then on nothing is replaced",
    ),
    ("OOM score, core dump filter", FACT, "what /proc/self tells of them; `traits.FILES`"),
    ("control group", FACT, "/proc/self/cgroup is an input by content"),
    (
        "timers of setitimer",
        REASON,
        "of programs executed in the process that has set one; nothing is replaced there",
    ),
    ("POSIX timers, locks of memory", HARMLESS, "not kept over an execve(2)"),
    (
        "landlock domain",
        SESSION,
        "from the first landlock_restrict_self(2) in the tree on nothing \
is replaced; one that pcache itself is in holds for what it does as well",
    ),
    (
        "secure bits",
        SESSION,
        "by CapPrm and CapEff, where root begins without them; set in the tree a reason",
    ),
    ("parent-death signal, subreaper", REASON, "prctl(2); who outlives whom is no input"),
    ("dumpable", HARMLESS, "follows the ids"),
    (
        "session, process group",
        FACT,
        "whether the process leads them, or its parent, once asked for; ids differ each time",
    ),
    ("controlling terminal", FACT, "that there is none, once looked for; opening one is a reason"),
    (
        "children of the program before",
        FACT,
        "that there are none, once it waits; where there are some that is a reason",
    ),
    (
        "what descriptors 1 and 2 are",
        CALL,
        "closed, only read, /dev/null, a socket, or what takes all that is written",
    ),
    (
        "whether 1 and 2 are one open file, or lead to one file",
        FACT,
        "once asked for, or written to if they are",
    ),
    ("whether 1 and 2 are file, pipe or terminal", FACT, "once asked for"),
    ("kinds of other descriptors", FACT, "once used; absent ones where a call on one has failed"),
    ("which descriptors are one", FACT, "once one of them above 2 is used"),
    (
        "offset of a descriptor",
        FACT,
        "once read or asked for, lseek(2); of /proc a reason",
    ),
    (
        "name of a terminal",
        FACT,
        "once asked for: ttyname(3); make only tells it children, in what does not count",
    ),
    (
        "flags of a descriptor",
        FACT,
        "once asked for: F_GETFL; left changed they are a reason, but for O_APPEND",
    ),
    ("size and modes of a terminal", FACT, "once asked for: TIOCGWINSZ, TCGETS"),
    ("content of a pipe or terminal", REASON, "reading it"),
    ("file that a descriptor is", REASON, "its name, or paths below it"),
    ("locks of an open file", REASON, "flock(2), fcntl(2)"),
)
"""What neither file nor vector shows."""


def session_fields(status: bytes) -> tuple[bytes, ...]:
    """The values of COMPARED in the content of a /proc/PID/status; empty where it has none."""
    return tuple([status_value(status, name) for name in COMPARED])


def status_value(status: bytes, name: bytes) -> bytes:
    """The value of a field that does not come first; empty where there is none (older kernels)."""
    start = status.find(b"\n" + name + b":\t")
    if start < 0:
        return b""
    start += len(name) + 3
    return status[start : status.index(b"\n", start)]
