"""The kernel offsets that bpf/recorder.bpf.c is compiled with, as -D flags."""

from __future__ import annotations

from pcache.errors import EnvironmentProblem
from pcache.probes.btf import VMLINUX, Btf

# flag -> struct, then member paths from newest to oldest spelling
_WANTED: dict[str, tuple[str, ...]] = {
    "TASK_FILES": ("task_struct", "files"),
    "TASK_FS": ("task_struct", "fs"),
    "TASK_MM": ("task_struct", "mm"),
    "TASK_CRED": ("task_struct", "cred"),
    "TASK_SIGNAL": ("task_struct", "signal"),
    "TASK_GROUP_LEADER": ("task_struct", "group_leader"),
    "TASK_EXIT_CODE": ("task_struct", "exit_code"),
    "TASK_TGID": ("task_struct", "tgid"),
    "TASK_PID": ("task_struct", "pid"),
    "TASK_TI_FLAGS": ("task_struct", "thread_info.flags"),
    "TASK_TI_STATUS": ("task_struct", "thread_info.status"),
    "TASK_RUNTIME": ("task_struct", "se.sum_exec_runtime"),
    "TASK_THREAD_PID": ("task_struct", "thread_pid"),
    "PID_LEVEL": ("pid", "level"),
    "PID_NUMBERS": ("pid", "numbers"),
    "CRED_UID": ("cred", "uid"),
    "CRED_GID": ("cred", "gid"),
    "CRED_EUID": ("cred", "euid"),
    "CRED_EGID": ("cred", "egid"),
    "CRED_PERMITTED": ("cred", "cap_permitted"),
    "TASK_SIGHAND": ("task_struct", "sighand"),
    "TASK_BLOCKED": ("task_struct", "blocked"),
    "TASK_CHILDREN": ("task_struct", "children"),
    "SIGHAND_ACTION": ("sighand_struct", "action"),
    "SIGNAL_LIVE": ("signal_struct", "live.counter"),
    "SIGNAL_GROUP_EXIT_CODE": ("signal_struct", "group_exit_code"),
    "SIGNAL_FLAGS": ("signal_struct", "flags"),
    "SIGNAL_RUNTIME": ("signal_struct", "sum_sched_runtime"),
    "FILES_FDT": ("files_struct", "fdt"),
    "FDT_FD": ("fdtable", "fd"),
    "FDT_MAX": ("fdtable", "max_fds"),
    "FILE_PATH_MNT": ("file", "f_path.mnt"),
    "FILE_PATH_DENTRY": ("file", "f_path.dentry"),
    "FILE_INODE": ("file", "f_inode"),
    "FILE_FLAGS": ("file", "f_flags"),
    "FILE_MODE": ("file", "f_mode"),
    "FILE_POS": ("file", "f_pos"),
    "INODE_INO": ("inode", "i_ino"),
    "INODE_SB": ("inode", "i_sb"),
    "INODE_MODE": ("inode", "i_mode"),
    "INODE_SIZE": ("inode", "i_size"),
    "INODE_UID": ("inode", "i_uid"),
    "INODE_GID": ("inode", "i_gid"),
    "INODE_RDEV": ("inode", "i_rdev"),
    "INODE_NLINK": ("inode", "i_nlink"),
    "INODE_WRITERS": ("inode", "i_writecount.counter"),
    "INODE_MTIME_S": ("inode", "i_mtime_sec", "__i_mtime.tv_sec", "i_mtime.tv_sec"),
    "INODE_MTIME_N": ("inode", "i_mtime_nsec", "__i_mtime.tv_nsec", "i_mtime.tv_nsec"),
    "INODE_CTIME_S": ("inode", "i_ctime_sec", "__i_ctime.tv_sec", "i_ctime.tv_sec"),
    "INODE_CTIME_N": ("inode", "i_ctime_nsec", "__i_ctime.tv_nsec", "i_ctime.tv_nsec"),
    "SB_DEV": ("super_block", "s_dev"),
    "SB_MAGIC": ("super_block", "s_magic"),
    "DENTRY_PARENT": ("dentry", "d_parent"),
    "DENTRY_NAME_HASH": ("dentry", "d_name.hash_len"),
    "DENTRY_NAME": ("dentry", "d_name.name"),
    "DENTRY_PPREV": ("dentry", "d_hash.pprev"),
    "MOUNT_MNT": ("mount", "mnt"),
    "MOUNT_PARENT": ("mount", "mnt_parent"),
    "MOUNT_MOUNTPOINT": ("mount", "mnt_mountpoint"),
    "VFSMOUNT_ROOT": ("vfsmount", "mnt_root"),
    "FS_PWD_MNT": ("fs_struct", "pwd.mnt"),
    "FS_PWD_DENTRY": ("fs_struct", "pwd.dentry"),
    "FS_ROOT_MNT": ("fs_struct", "root.mnt"),
    "FS_ROOT_DENTRY": ("fs_struct", "root.dentry"),
    "FS_UMASK": ("fs_struct", "umask"),
    "MM_ARG_START": ("mm_struct", "arg_start"),
    "MM_ARG_END": ("mm_struct", "arg_end"),
    "MM_ENV_END": ("mm_struct", "env_end"),
    "MM_EXE_FILE": ("mm_struct", "exe_file"),
    "MM_AUXV": ("mm_struct", "saved_auxv"),
    "BPRM_FILENAME": ("linux_binprm", "filename"),
    "BPRM_INTERP": ("linux_binprm", "interp"),
    "SIGINFO_CODE": ("kernel_siginfo", "si_code"),
    "PRIVATE_DATA": ("file", "private_data"),
    "SOCKET_SK": ("socket", "sk"),
    "SOCK_FAMILY": ("sock", "__sk_common.skc_family"),
    "SOCK_TYPE": ("sock", "sk_type"),
    "SOCK_PROTOCOL": ("sock", "sk_protocol"),
    "SOCK_NUM": ("sock", "__sk_common.skc_num"),
    "SOCK_DPORT": ("sock", "__sk_common.skc_dport"),
    "SOCK_LOCAL": ("sock", "__sk_common.skc_rcv_saddr"),
    "SOCK_REMOTE": ("sock", "__sk_common.skc_daddr"),
    # A kernel without IPv6 has no socket of which they would be read.
    "SOCK_LOCAL6": ("sock", "__sk_common.skc_v6_rcv_saddr", "__sk_common.skc_rcv_saddr"),
    "SOCK_REMOTE6": ("sock", "__sk_common.skc_v6_daddr", "__sk_common.skc_daddr"),
    "UNIX_PEER": ("unix_sock", "peer"),
    "REGS_R10": ("pt_regs", "r10"),
    "REGS_IP": ("pt_regs", "ip", "rip"),
    "REGS_ORIG_AX": ("pt_regs", "orig_ax"),
}

# Where unix sockets are a module: what is read in its place is no socket, so that no connection has
# both ends in the tree.
_IN_MODULES = frozenset({"UNIX_PEER"})

# Members the program reads in one go, as an array of u64: (first, next, distance in bytes).
_ADJACENT = (
    ("FDT_MAX", "FDT_FD", 8),
    ("FILE_PATH_MNT", "FILE_PATH_DENTRY", 8),
    ("DENTRY_PARENT", "DENTRY_NAME_HASH", 8),
    ("DENTRY_PARENT", "DENTRY_NAME", 16),
    ("FS_PWD_MNT", "FS_PWD_DENTRY", 8),
    ("FS_ROOT_MNT", "FS_ROOT_DENTRY", 8),
    ("REGS_R10", "REGS_ORIG_AX", 64),
)

_BLOCKS = {"FILE_BLOCK": "FILE_", "INODE_BLOCK": "INODE_", "SUPER_BLOCK": "SB_"}
_BLOCK_LIMIT = 1024  # struct scratch.block


def offsets(path: str = VMLINUX) -> dict[str, int]:
    """Byte offset for each name of the table.

    Raises EnvironmentProblem when the kernel lacks a member or lays it out in a way the recorder
    does not know.
    """
    btf = Btf(path)
    structs = btf.structs({spec[0] for spec in _WANTED.values()})
    found: dict[str, int] = {}
    for name, (struct_name, *members) in _WANTED.items():
        if struct_name not in structs and name in _IN_MODULES:
            found[name] = 0
            continue
        if struct_name not in structs:
            raise _unknown(f"there is no struct {struct_name}")
        for member in members:
            offset = btf.offset(structs[struct_name], member)
            if offset is not None:
                found[name] = offset
                break
        else:
            raise _unknown(f"struct {struct_name} has none of {', '.join(members)}")
    for first, second, distance in _ADJACENT:
        if found[second] - found[first] != distance:
            raise _unknown(f"{first} and {second} are not {distance} bytes apart")
    return found


def compiler_flags(path: str = VMLINUX) -> list[str]:
    """-D flags for bpf/recorder.bpf.c.  Raises EnvironmentProblem as `offsets` does."""
    found = offsets(path)
    flags = [f"-DO_{name}={offset}" for name, offset in found.items()]
    for block, prefix in _BLOCKS.items():
        size = max(offset for name, offset in found.items() if name.startswith(prefix)) + 8
        if size > _BLOCK_LIMIT:
            raise _unknown(f"{block} is {size} bytes, more than {_BLOCK_LIMIT}")
        flags.append(f"-D{block}={size}")
    return flags


def _unknown(what: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"this kernel's layout is not one the recorder knows: {what}",
        "please report it with the output of `pcache doctor` and `uname -r`",
    )
