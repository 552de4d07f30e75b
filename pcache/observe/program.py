"""The recorder's programs: compiled with BCC once, kept, and loaded with bpf(2).

Compiling takes one to two seconds, loading the kept result a tenth (measured), so BCC and clang are
used only when there is no valid copy.  A copy is valid for one kernel and one version of our
sources: its name is the digest of the kernel's BTF and of every file that shapes the programs.
It is kept under /var/cache because root loads it: a user's own cache could plant programs.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading

import xxhash

from .. import codec
from ..errors import EnvironmentProblem, PcacheError, PrivilegeError
from ..resources import bpf_dir, import_bcc
from . import bpf, calls
from .btf import VMLINUX
from .offsets import compiler_flags

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
    20: "tail_walk",
    21: "tail_args",
    22: "tail_fds",
    23: "tail_data",
    24: "tail_result",
}
MAPS = ("scratches", "counts", "processes", "calls", "programs", "seen", "ring")

_VERIFIED_LONGEST = frozenset({"handle_writev", "handle_write", "tail_args"})

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


def compile_image() -> Image:
    """Compiles bpf/recorder.bpf.c for the running kernel.

    Raises EnvironmentProblem: bcc missing, unknown kernel layout, or clang's refusal.
    """
    source = bpf_dir()
    # Read by BCC when it is imported; with this stub no kernel headers are needed.
    os.environ["BCC_KERNEL_SOURCE"] = os.path.join(source, "stub")
    bcc = import_bcc()
    with open(os.path.join(source, "recorder.bpf.c"), encoding="ascii") as file:
        text = file.read()
    flags = [
        *compiler_flags(),
        f"-I{source}",
        "-DRING_PAGES=1",  # the ring's real size is chosen when it is created
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
    lib, handle = bcc.lib, module.module
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
    """Hex digest of the kernel's BTF and of everything the compiled programs depend on."""
    state = xxhash.xxh3_128()
    source = bpf_dir()
    here = os.path.dirname(os.path.abspath(__file__))
    stub = os.path.join(source, "stub", "include", "linux")
    for path in (
        VMLINUX,
        os.path.join(source, "recorder.bpf.c"),
        os.path.join(source, "layout.h"),
        os.path.join(stub, "types.h"),
        os.path.join(here, "offsets.py"),
        os.path.join(here, "program.py"),
    ):
        with open(path, "rb") as file:
            state.update(file.read())
    return state.hexdigest()


def image(cache_dir: str = CACHE_DIR) -> Image:
    """The programs for this kernel, from the cache when it holds a valid copy.

    A cache that is missing, unwritable, damaged or somebody else's only costs time.
    """
    path = os.path.join(cache_dir, f"recorder-{image_key()}")
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


class Recorder:
    """The loaded programs and their maps.  Attached between `attach` and `close`.

    Raises PrivilegeError when the kernel refuses BPF to us, EnvironmentProblem for other refusals.
    """

    def __init__(self, compiled: Image, ring_bytes: int) -> None:
        """ring_bytes: a power of two, at least a page."""
        self.ring_bytes = ring_bytes
        self._fds: list[int] = []
        self._links: list[int] = []
        try:
            self._load(compiled, ring_bytes)
        except OSError as error:
            self.close()
            if isinstance(error, PermissionError):
                raise PrivilegeError(
                    "the kernel refuses BPF programs to this process",
                    "run it as root: sudo pcache trace ...",
                ) from error
            raise EnvironmentProblem(f"cannot load the recorder: {error}") from error

    def _load(self, compiled: Image, ring_bytes: int) -> None:
        maps: dict[str, int] = {}
        for name, (kind, key, value, entries, flags) in compiled.maps.items():
            size = ring_bytes if name == "ring" else entries
            maps[name] = bpf.map_create(kind, key, value, size, flags)
            self._fds.append(maps[name])
        self._process_size = compiled.maps["processes"][2]
        self._counts_size = compiled.maps["counts"][2]
        self._processes, self._counts = maps["processes"], maps["counts"]
        self.ring_fd = maps["ring"]
        programs = self._load_programs(compiled, maps)
        for slot, name in SLOTS.items():
            bpf.map_update(
                maps["programs"], struct.pack("<I", slot), struct.pack("<I", programs[name])
            )
        table = calls.entries()
        bpf.map_update_batch(
            maps["calls"],
            b"".join(struct.pack("<I", number) for number, _ in table),
            b"".join(packed for _, packed in table),
            len(table),
        )
        self._attachable = [(tracepoint, programs[name]) for tracepoint, name in TRACEPOINTS]

    def _load_programs(self, compiled: Image, maps: dict[str, int]) -> dict[str, int]:
        """Descriptors of the programs, two loaded at a time: verifying each takes milliseconds."""
        # Those that take longest come first; they are not the largest ones (measured).
        todo = sorted(compiled.programs, key=_VERIFIED_LONGEST.__contains__)
        loaded: dict[str, int] = {}
        failures: list[OSError] = []

        def load() -> None:
            while not failures:
                try:
                    name = todo.pop()
                except IndexError:
                    return
                code, references = compiled.programs[name]
                linked = bytearray(code)
                for offset, map_name in references:
                    struct.pack_into("<i", linked, offset + 4, maps[map_name])
                try:
                    loaded[name] = bpf.prog_load(bytes(linked), name.encode())
                except OSError as error:
                    failures.append(error)

        helper = threading.Thread(target=load, name="pcache-load")
        helper.start()
        load()
        helper.join()
        self._fds.extend(loaded.values())
        if failures:
            raise failures[0]
        return loaded

    def attach(self) -> None:
        """From here on every system call on the machine pays about 110 ns (measured)."""
        for tracepoint, program in self._attachable:
            self._links.append(bpf.raw_tracepoint_open(tracepoint, program))

    def track(self, pid: int) -> None:
        """Records `pid` and everything it starts from now on."""
        bpf.map_update(self._processes, struct.pack("<I", pid), bytes(self._process_size))

    def counts(self) -> dict[str, int]:
        """Events written, lost, left out as repeated, and trouble met, since loading."""
        names = ("events", "lost", "repeated", "faults", "failed_calls", "truncated", "bytes")
        raw = bpf.map_lookup(
            self._counts, struct.pack("<I", 0), self._counts_size * bpf.possible_cpus()
        )
        rows = [
            struct.unpack_from(f"<{len(names)}Q", raw, at)
            for at in range(0, len(raw), self._counts_size)
        ]
        return {name: sum(row[index] for row in rows) for index, name in enumerate(names)}

    def detach(self) -> None:
        for link in self._links:
            os.close(link)
        self._links.clear()

    def close(self) -> None:
        self.detach()
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
