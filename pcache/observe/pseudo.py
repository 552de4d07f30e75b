"""Files that are not files: the default policy for /proc, /sys, /dev and devices.

| group | policy |
| --- | --- |
| /proc/PID, /proc/self, /proc/thread-self | not an input: a program looking at itself |
| of those: mounts, control group, id maps, namespaces, network | an input by content, our own |
| also: limits, OOM adjustment and the like, signals, scheduling that were handed down | facts of \
kind TRAIT; descriptors and memory policy make uncacheable (accesses/procfs.py) |
| of the network: interfaces and IPv6 addresses | an input without what it counts (INTERFACES) |
| /proc files that count or measure (list below) | not an input: they differ at every read; which \
processors there are is one, for those that tell of each |
| /proc, as a list of processes | makes uncacheable (accesses.py) |
| what a cgroup or /sys counts or measures (list below) | not an input, as in /proc |
| other files in /proc, /sys and of the like (`filesystems`), wherever mounted | an input by \
content, read anew at every decision; none may be written to while they are recorded |
| /dev/null, zero, full, random, urandom | neither input nor output |
| terminals' own names (/dev/pts/N, /dev/tty) | looking is no input; opening makes uncacheable |
| other devices, fifos made by others | opening makes uncacheable |
"""

from __future__ import annotations

import os
from stat import S_IFMT

from pcache.linux.filesystems import MAGICS
from pcache.pattern import Pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.values import Stat

_VOLATILE = Pattern(
    rb"/proc/(?:\d+|self|thread-self)(?:/|$)"
    rb"|/proc/(?:buddyinfo|cpuinfo|diskstats|interrupts|loadavg|meminfo|pagetypeinfo"
    rb"|pressure(?:/.*)?|schedstat|slabinfo|softirqs|stat|swaps|timer_list|uptime|vmstat|zoneinfo"
    rb"|key-users|vmallocinfo|sys/kernel/(?:random(?:/.*)?|ns_last_pid|pty/nr)"
    rb"|sys/fs/(?:file-nr|inode-nr|inode-state|dentry-state|aio-nr)"
    rb"|sys/net/netfilter/nf_conntrack_count)$"
    rb"|/sys/fs/cgroup/(?:.*/)?(?:memory|cpu|cpuacct|io|blkio|pids|hugetlb|misc|rdma|cgroup)\."
    rb"(?:.*\.)?(?:stat|numa_stat|current|peak|pressure|events|usage\w*|max_usage_in_bytes)$"
    rb"|/sys/devices/system/node/node\d+/(?:meminfo|numastat|vmstat)$"
    rb"|/sys/(?:kernel/mm|devices/system/node/node\d+)/hugepages/[^/]+/(?:free|resv|surplus)_hugepages$"
    rb"|/sys/devices/system/cpu/cpufreq/policy\d+/(?:(?:scaling|cpuinfo)_(?:cur|avg)_freq|stats/.*)$"
    rb"|/sys/devices/system/cpu/cpu\d+/(?:cpuidle/state\d+/(?:usage|time|above|below|rejected)"
    rb"|thermal_throttle/.*)$"
    rb"|/sys/devices/(?:.*/)?(?:net/[^/]+/statistics/.*|thermal_zone\d+/temp|hwmon\d+/\w+_(?:input|average)"
    rb"|block/[^/]+/(?:[^/]+/)?(?:stat|inflight)|power_supply/[^/]+/\w+_now)$"
    rb"|/sys/module/[^/]+/refcnt$"
    rb"|/dev/(?:pts(?:/.*)?|tty\d*|console|ptmx|fd(?:/.*)?|std(?:in|out|err))$"
)
_OF_PROCESSORS = (
    *(b"/proc/cpuinfo", b"/proc/stat", b"/proc/interrupts", b"/proc/softirqs"),
    *(b"/proc/schedstat", b"/proc/timer_list"),
)
_PROCESSORS = b"/sys/devices/system/cpu/online"
_OF_THE_PROCESS = Pattern(
    rb"/proc/(?P<who>\d+|self|thread-self)(?:/task/\d+)?"
    rb"/(?P<what>mounts|mountinfo|cgroup|uid_map|gid_map|projid_map|setgroups|timens_offsets|ns/\w+"
    rb"|net/(?!(?:dev|if_inet6|snmp6?|netstat|sockstat6?|softnet_stat|dev_snmp6/.*|stat/.*)$).+)$"
)
"""What of a process is that of all in the same namespaces and control group."""
_INTERFACES = Pattern(rb"/proc/(?:\d+|self|thread-self)(?:/task/\d+)?/net/(?:dev|if_inet6)$")
_WHERE_VOLATILE = (b"/proc/", b"/dev/", b"/sys/")
_PSEUDO = (b"/proc/", b"/sys/")
_OF_PROCESSES = (b"/proc/", b"/dev/")
_MAGIC = (
    *(b"/proc/self/fd/", b"/proc/thread-self/fd/", b"/dev/fd/", b"/dev/std"),
    *(b"/proc/self/cwd", b"/proc/self/root", b"/proc/self/exe", b"/proc/self/task/"),
)
_LEADS_ON = Pattern(rb"/(?:proc/[^/]+(?:/task/\d+)?/(?:cwd|root|fd/\d+)|dev/fd/\d+)/.")
_DESCRIPTOR = Pattern(
    rb"/(?:dev/(?:std(?P<name>in|out|err)|fd/(?P<a>\d+))|proc/(?:self|thread-self)/fd/(?P<b>\d+))$"
)
_STANDARD = {b"in": 0, b"out": 1, b"err": 2}
_MAGIC_PID = Pattern(rb"/proc/\d+/(?:task/\d+/)?(?:fd|cwd|root|exe)(?:/|$)")

_MEM_MAJOR = 1
_NULL = os.makedev(_MEM_MAJOR, 3)
_HARMLESS = frozenset(os.makedev(_MEM_MAJOR, minor) for minor in (3, 5, 7, 8, 9))
# Documentation/admin-guide/devices.txt: 4 and 5 are terminals, 136-143 pseudo-terminals.
_TTY_MAJORS = frozenset({4, 5, *range(136, 144)})

_KINDS = {0o100000: b"file", 0o010000: b"pipe", 0o140000: b"socket", 0o040000: b"dir"}
_CHARACTER = 0o020000


def ignored(name: bytes) -> bool:
    """Whether a canonical name is no input whatever is seen there."""
    return (
        name.startswith(_WHERE_VOLATILE)
        and _VOLATILE.match(name) is not None
        and _OF_THE_PROCESS.match(name) is None
    )


def lasting(name: bytes) -> bytes:
    """The file that tells what lasts of that which a file tells that is no input; empty for none.

    It is how many processors there are: what they are like cannot change on one machine.
    """
    return _PROCESSORS if name in _OF_PROCESSORS else b""


def tells_interfaces(name: bytes) -> bool:
    """Whether a canonical name is that of a file in /proc about network interfaces."""
    return name.startswith(b"/proc/") and _INTERFACES.match(name) is not None


def of_the_process(path: bytes) -> bytes:
    """A path in /proc by which somebody else finds the same, where there is one; else the path."""
    found = _OF_THE_PROCESS.match(path) if path.startswith(b"/proc/") else None
    return path if found is None else b"/proc/self/" + found["what"]


def is_pseudo(name: bytes, magic: int = 0) -> bool:
    """Whether the file's size and times say nothing about its content; `magic`, if known, is that
    of its super block."""
    return name.startswith(_PSEUDO) or magic in MAGICS


def is_magic(path: bytes) -> bool:
    """Whether the path means another file in every process."""
    return path.startswith(_MAGIC) or (
        path.startswith(b"/proc/") and _MAGIC_PID.match(path) is not None
    )


def leads_on(path: bytes) -> bool:
    """Whether the path goes through a directory that is another one in every process."""
    return path.startswith(_OF_PROCESSES) and _LEADS_ON.match(path) is not None


def descriptor(path: bytes) -> int | None:
    """Which descriptor of the process itself a path means, if it does."""
    found = _DESCRIPTOR.match(path) if path.startswith(_OF_PROCESSES) else None
    if found is None:
        return None
    return _STANDARD[found["name"]] if found["name"] else int(found["a"] or found["b"])


def harmless_device(rdev: int) -> bool:
    return rdev in _HARMLESS


def is_null(stamp: Stat) -> bool:
    return S_IFMT(stamp.st_mode) == _CHARACTER and stamp.st_rdev == _NULL


def kind_of(stamp: Stat) -> bytes:
    """Kind of a descriptor, as `pcache.linux.descriptors.kind_of` gives it."""
    form = S_IFMT(stamp.st_mode)
    if form == _CHARACTER:
        if stamp.st_rdev == _NULL:
            return b"null"
        major, minor = os.major(stamp.st_rdev), os.minor(stamp.st_rdev)
        return b"tty" if major in _TTY_MAJORS else b"char:%d:%d" % (major, minor)
    return _KINDS.get(form, b"other")
