"""The recorder's programs: compiled with BCC once and kept in a file.

Compiling takes one to two seconds, loading the kept result a tenth (measured), so BCC and clang are
used only when there is no valid copy.  A copy is valid for one kernel and one version of our
sources: its name is the digest of the kernel's BTF and of every file that shapes the programs.
It is kept under /var/cache because root loads it: a user's own cache could plant programs.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct

import xxhash

from pcache import codec
from pcache.errors import EnvironmentProblem, PcacheError
from pcache.probes.btf import VMLINUX
from pcache.probes.resources import bpf_dir, import_bcc

CACHE_DIR = "/var/cache/pcache"

TRACEPOINTS = (
    (b"sys_exit", "on_sys_exit"),
    (b"task_newtask", "on_newtask"),
    (b"sched_process_exec", "on_exec"),
    (b"sched_process_exit", "on_exit"),
    (b"signal_generate", "on_signal"),
)
# Slots of the program array: enum handler of bpf/layout.h.
SLOTS = {
    1: "handle_args",
    2: "handle_path",
    3: "handle_open",
    4: "handle_fd",
    5: "handle_write",
    6: "handle_writev",
    7: "handle_read",
    8: "handle_copy",
    9: "handle_mmap",
    10: "handle_list",
    11: "handle_message",
    12: "handle_seek",
    13: "handle_use",
    14: "handle_socket",
    20: "tail_walk",
    21: "tail_args",
    22: "tail_fds",
    23: "tail_data",
    24: "tail_result",
    25: "tail_absent",
}
MAPS = ("scratches", "counts", "processes", "calls", "programs", "seen", "ring", "rings")

_SOURCES = ("offsets.py", "program.py", "loaded.py", "rings.py", "calls.py", "syscall_table.py")
"""Beside this file: what else shapes the programs and the tables they are loaded with."""

_LOAD_IMM64, _PSEUDO_MAP_FD = 0x18, 1
_INSTRUCTION = 8


class Image:
    """Compiled programs and map descriptions: (type, key size, value size, entries, flags)."""

    def __init__(
        self,
        maps: dict[str, tuple[int, int, int, int, int]],
        programs: dict[str, tuple[bytes, list[tuple[int, str]]]],
    ) -> None:
        self.maps = maps
        self.programs = programs
        """Per function: instructions with zeroed map references, and (byte offset, map name)."""

    def to_bytes(self) -> bytes:
        fields: list[bytes] = [struct.pack("<II", len(self.maps), len(self.programs))]
        for name, description in self.maps.items():
            fields += [name.encode(), struct.pack("<5I", *description)]
        for name, (code, references) in self.programs.items():
            fields += [name.encode(), code, struct.pack("<I", len(references))]
            for offset, map_name in references:
                fields += [struct.pack("<I", offset), map_name.encode()]
        return codec.pack(fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> Image:
        """Raises PcacheError (a damaged file) or ValueError, StopIteration, struct.error."""
        fields = iter(codec.unpack(data))
        map_count, program_count = struct.unpack("<II", next(fields))
        maps: dict[str, tuple[int, int, int, int, int]] = {}
        for _ in range(map_count):
            name = next(fields).decode()
            kind, key, value, entries, flags = struct.unpack("<5I", next(fields))
            maps[name] = (kind, key, value, entries, flags)
        programs: dict[str, tuple[bytes, list[tuple[int, str]]]] = {}
        for _ in range(program_count):
            name, code = next(fields).decode(), next(fields)
            (count,) = struct.unpack("<I", next(fields))
            references = [
                (struct.unpack("<I", next(fields))[0], next(fields).decode()) for _ in range(count)
            ]
            programs[name] = (code, references)
        return cls(maps, programs)


def source_text() -> str:
    """bpf/recorder.bpf.c with the files that it includes in place: BCC makes programs of functions
    and rewrites uses of maps in the main file only."""
    import re

    source = bpf_dir()

    def content(name: str) -> str:
        with open(os.path.join(source, name), encoding="ascii") as file:
            return f'#line 1 "{name}"\n{file.read()}'

    includes = re.compile(r'^#include "([^"]+)"$', re.MULTILINE)
    return includes.sub(lambda line: content(line[1]), content("recorder.bpf.c"))


def compile_image() -> Image:
    """Compiles bpf/recorder.bpf.c for the running kernel.

    Raises EnvironmentProblem: bcc missing, unknown kernel layout, or clang's refusal.
    """
    from pcache.probes.offsets import compiler_flags

    source = bpf_dir()
    # Read by BCC when it is imported; with this stub no kernel headers are needed.
    os.environ["BCC_KERNEL_SOURCE"] = os.path.join(source, "stub")
    bcc = import_bcc()
    text = source_text()
    flags = [
        *compiler_flags(),
        "-Wno-unused-function",
        "-Werror=implicit-function-declaration",
    ]
    try:
        module = bcc.BPF(text=text, cflags=flags)
    except Exception as error:  # BCC raises bare Exception
        raise EnvironmentProblem(
            f"the recorder does not compile on this kernel: {error}",
            "see the compiler's messages above; `pcache doctor` checks what recording needs",
        ) from error
    # A pointer: BCC does not declare the arguments of all its functions, and ctypes passes int.
    lib, handle = bcc.lib, ctypes.c_void_p(module.module)
    maps: dict[str, tuple[int, int, int, int, int]] = {}
    names_by_fd: dict[int, str] = {}
    for name in MAPS:
        table = lib.bpf_table_id(handle, name.encode())
        names_by_fd[lib.bpf_table_fd_id(handle, table)] = name
        maps[name] = (
            lib.bpf_table_type_id(handle, table),
            lib.bpf_table_key_size_id(handle, table),
            lib.bpf_table_leaf_size_id(handle, table),
            lib.bpf_table_max_entries_id(handle, table),
            lib.bpf_table_flags_id(handle, table),
        )
    functions = [*SLOTS.values(), *(function for _, function in TRACEPOINTS)]
    programs = {name: _relocatable(module.dump_func(name), names_by_fd) for name in functions}
    module.cleanup()
    return Image(maps, programs)


def _relocatable(code: bytes, names_by_fd: dict[int, str]) -> tuple[bytes, list[tuple[int, str]]]:
    """Replaces map descriptors, which are this process's own, by names."""
    patched, references = bytearray(code), []
    at = 0
    while at < len(patched):
        if patched[at] == _LOAD_IMM64:
            if patched[at + 1] >> 4 == _PSEUDO_MAP_FD:
                (fd,) = struct.unpack_from("<i", patched, at + 4)
                references.append((at, names_by_fd[fd]))
                struct.pack_into("<i", patched, at + 4, 0)
            at += _INSTRUCTION  # this instruction has two parts
        at += _INSTRUCTION
    return bytes(patched), references


def image_key() -> str:
    """Hex digest of the kernel's BTF and of everything that shapes the loaded programs."""
    state = xxhash.xxh3_128()
    source = bpf_dir()
    here = os.path.dirname(os.path.abspath(__file__))
    ours = sorted(
        os.path.join(folder, name) for folder, _, names in os.walk(source) for name in names
    )
    for path in (VMLINUX, *ours, *(os.path.join(here, name) for name in _SOURCES)):
        with open(path, "rb") as file:
            content = file.read()
        state.update(b"%d " % len(content))  # text may move from one file to the next
        state.update(content)
    return state.hexdigest()


def image(cache_dir: str = CACHE_DIR, key: str = "") -> Image:
    """The programs for this kernel, from the cache when it holds a valid copy.

    A cache that is missing, unwritable, damaged or somebody else's only costs time.  `key` is that
    of `image_key`, if it is known.
    """
    path = os.path.join(cache_dir, f"recorder-{key or image_key()}")
    damage = (OSError, PcacheError, ValueError, StopIteration, struct.error)
    with contextlib.suppress(*damage), open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if status.st_uid == os.geteuid() and not status.st_mode & 0o022:
            return Image.from_bytes(file.read())
    compiled = compile_image()
    with contextlib.suppress(OSError):
        os.makedirs(cache_dir, mode=0o755, exist_ok=True)
        temporary = f"{path}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with open(descriptor, "wb") as file:
            file.write(compiled.to_bytes())
        os.rename(temporary, path)
    return compiled
