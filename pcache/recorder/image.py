"""The compiled programs, as root keeps them for the running kernel and this version of pcache."""

from __future__ import annotations

import errno
import marshal
import os
import sys
from _blake2 import blake2b

CACHE_DIR = "/var/cache/pcache"
"""Root's own: what is loaded into the kernel must not come from where a user can write."""
TRACEPOINTS = (
    (b"sys_exit", "on_sys_exit"),
    (b"task_newtask", "on_newtask"),
    (b"task_rename", "on_rename"),
    (b"sched_process_exec", "on_exec"),
    (b"sched_process_exit", "on_exit"),
    (b"signal_generate", "on_signal"),
)
MAPS = (
    *("scratches", "counts", "processes", "calls", "programs", "seen", "sessions"),
    *("ring", "rings"),
)

_VMLINUX, _NOTES = "/sys/kernel/btf/vmlinux", "/sys/kernel/notes"
_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGE = os.path.dirname(_HERE)
_SOURCES = (
    *("recorder/image.py", "recorder/loaded.py", "recorder/rings.py"),
    *("probes/program.py", "probes/offsets.py", "probes/calls.py", "probes/syscall_table.py"),
)
"""Besides the BPF sources: what shapes the programs and the tables they are loaded with."""


class Image:
    """Programs, and what they need: everything that `loaded.load` puts into the kernel."""

    def __init__(
        self,
        maps: dict[str, tuple[int, int, int, int, int]],
        programs: dict[str, tuple[bytes, list[tuple[int, str]]]],
        slots: dict[int, str],
        calls: list[tuple[int, bytes]],
    ) -> None:
        self.maps = maps
        """type, key size, value size, entries, flags."""
        self.programs = programs
        """By function: instructions with zeroed map references, and (byte offset, map name)."""
        self.slots = slots
        """The table of programs."""
        self.calls = calls
        """What is taken of which system call: number, struct call."""


def bpf_dir() -> str:
    """The directory of the BPF sources: inside the installed package, else beside it (checkout)."""
    inside = os.path.join(_PACKAGE, "bpf")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(_PACKAGE), "bpf")


def image_key() -> str:
    """Digest of the kernel's identity and of everything that shapes the loaded programs.

    The kernel is told by its build ID, 160 bits that the linker takes of all of it; where it was
    built without one, by its type information.
    """
    state = blake2b(digest_size=16)
    state.update(repr((os.uname().release, os.uname().version, sys.version)).encode())
    notes = _content(_NOTES)
    state.update(notes if b"GNU\0" in notes else _content(_VMLINUX))
    source = bpf_dir()
    ours = sorted(os.path.join(folder, name) for folder, _, all in os.walk(source) for name in all)
    for path in (*ours, *(os.path.join(_PACKAGE, name) for name in _SOURCES)):
        content = _content(path)
        state.update(b"%d " % len(content))  # text may move from one file to the next
        state.update(content)
    return state.hexdigest()


def kept(key: str) -> Image | None:
    """The programs under that key, as `pcache.probes.program` keeps them; None without any that
    nobody but root can have written."""
    try:
        return Image(*marshal.loads(of_root(os.path.join(CACHE_DIR, f"recorder-{key}"))))
    except (OSError, EOFError, ValueError, TypeError):
        return None


def of_root(path: str) -> bytes:
    """The content of a file that only root can have written.  Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if status.st_uid or status.st_mode & 0o022:
            raise PermissionError(errno.EACCES, "others than root could write it", path)
        return file.read()


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
