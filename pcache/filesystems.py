"""File systems that make up the content of a file as it is read.

Sizes and times of their files say nothing: a control file of a cgroup keeps size 0 and the time at
which the group was made, whatever is written to it.
"""

from __future__ import annotations

import os

_TYPES = frozenset(
    b"proc sysfs cgroup cgroup2 debugfs tracefs securityfs configfs bpf pstore efivarfs selinuxfs"
    b" smackfs binfmt_misc mqueue resctrl nfsd fuse.lxcfs".split()
)

MAGICS = frozenset(
    {
        *(0x9FA0, 0x62656572, 0x27E0EB, 0x63677270),  # proc, sysfs, cgroup, cgroup2
        *(0x64626720, 0x74726163, 0x73636673, 0x62656570),  # debugfs, tracefs, securityfs, configfs
        *(0xCAFE4A11, 0x6165676C, 0xDE5E81E4, 0xF97CFF8C),  # bpf, pstore, efivarfs, selinuxfs
        *(0x43415D53, 0x42494E4D, 0x19800202, 0x7655821),  # smackfs, binfmt_misc, mqueue, resctrl
    }
)
"""Of statfs(2) and of the kernel's super blocks (linux/magic.h; ipc/mqueue.c)."""


def pseudo_devices() -> dict[int, bool]:
    """For the device number of each mount of this process, whether its files are made up.

    Device numbers as in stat(2), which on btrfs gives others than are listed; empty without /proc.
    """
    try:
        with open("/proc/self/mountinfo", "rb", buffering=0) as file:
            lines = file.readall().splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        mount, _, source = line.partition(b" - ")  # proc_pid_mountinfo(5)
        major, _, minor = mount.split(b" ", 3)[2].partition(b":")
        found[os.makedev(int(major), int(minor))] = source.split(b" ", 1)[0] in _TYPES
    return found
