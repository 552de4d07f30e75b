"""prctl(2): which of its options ask for what was handed down, change that, or do neither.

Numbers from linux/prctl.h.  Few programs ask for any of this, and the kernel shows hardly any of it
to other processes: so no fact holds it, and asking is a reason, except for what the tree has set.
"""

from __future__ import annotations

ASKING: dict[int, bytes] = {
    2: b"parent-death signal",
    25: b"time stamp counter",
    30: b"timer slack",
    34: b"machine check policy",
    37: b"subreaper",
    42: b"huge pages",
    52: b"speculation control",
    58: b"I/O flusher",
    66: b"executable memory",
    68: b"memory merging",
}
"""PR_GET_* -> the trait that it tells."""
SETTING: dict[int, bytes] = {
    1: b"parent-death signal",
    26: b"time stamp counter",
    29: b"timer slack",
    33: b"machine check policy",
    36: b"subreaper",
    41: b"huge pages",
    53: b"speculation control",
    57: b"I/O flusher",
    65: b"executable memory",
    67: b"memory merging",
}
"""PR_SET_* -> the trait that it changes."""
OF_THE_PROCESS = frozenset({b"parent-death signal", b"subreaper"})
"""Traits that are handed down over an execve(2), but not to children."""
RESTRICTING = frozenset({22, 24, 26, 28, 38, 47, 65})
"""PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_TSC, PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS,
PR_CAP_AMBIENT, PR_SET_MDWE: programs started from then on are not as others are."""
HARMLESS = frozenset(
    (
        *(3, 4, 7, 8, 13, 14),  # dumpable, kept capabilities, timing: anew with each program
        *(15, 16, 35, 40, 0x53564D41, 0x41555856),  # name, memory, thread, PR_SET_VMA, PR_GET_AUXV
        *(31, 32, 59, 0x59616D61),  # counters, dispatch of calls, PR_SET_PTRACER
        *(21, 23, 27, 39),  # seccomp, bounding set, secure bits, no_new_privs: of all in a session
    )
)
"""Options that neither tell nor change what is handed down without its being accounted for."""
