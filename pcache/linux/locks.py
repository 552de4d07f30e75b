"""Locks on files: who holds one, in whatever way (flock(2), fcntl(2))."""

from __future__ import annotations

READ, WRITE = b"r", b"w"


def held() -> dict[int, bytes]:
    """Inode number -> READ or WRITE, the strongest lock that anybody holds (proc_locks(5)).

    Without the device: that of a subvolume or an overlay is another one here than in stat(2).
    Leases are none.  Raises OSError.
    """
    with open("/proc/locks", "rb") as file:
        lines = file.read().splitlines()
    locks: dict[int, bytes] = {}
    for line in lines:
        # 1: POSIX  ADVISORY  WRITE 718 00:1a:1234 0 EOF; who waits for one has `->` after the 1:
        fields = line.split()
        if len(fields) < 6 or fields[1] not in (b"POSIX", b"FLOCK", b"OFDLCK"):
            continue
        inode = int(fields[5].rpartition(b":")[2])
        if locks.get(inode) != WRITE:
            locks[inode] = WRITE if fields[3] == b"WRITE" else READ
    return locks
