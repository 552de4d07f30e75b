"""The recorder's programs: compiled with BCC once and kept in a file.

Compiling takes one to two seconds, loading the kept result a tenth (measured), so BCC and clang are
used only when there is no valid copy: `pcache.recorder.image`.
"""

from __future__ import annotations

import contextlib
import ctypes
import marshal
import os
import struct

from pcache.errors import EnvironmentProblem, PrivilegeError
from pcache.probes import calls
from pcache.probes.resources import import_bcc
from pcache.recorder import bpf
from pcache.recorder.image import CACHE_DIR, MAPS, TRACEPOINTS, Image, bpf_dir, image_key, kept

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
_LOAD_IMM64, _PSEUDO_MAP_FD = 0x18, 1
_INSTRUCTION = 8
_SMALLEST_RING = 4096


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

    Raises PrivilegeError where the kernel refuses maps, and EnvironmentProblem: bcc missing,
    unknown kernel layout, or clang's refusal.
    """
    from pcache.probes.offsets import compiler_flags

    _check_permitted()
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
    return Image(maps, programs, SLOTS, calls.entries())


def _check_permitted() -> None:
    """Asks the kernel for a map, as BCC will: that tells of a refusal on stderr by itself."""
    try:
        os.close(bpf.map_create(bpf.MAP_TYPE_RINGBUF, 0, 0, _SMALLEST_RING))
    except OSError as error:
        raise PrivilegeError(
            f"the kernel refuses BPF programs: {error.strerror}",
            "`pcache doctor` tells what mends it",
        ) from error


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


def image() -> Image:
    """The programs for this kernel, compiled if root has not kept them; they are kept then.

    Raises EnvironmentProblem.
    """
    key = image_key()
    found = kept(key)
    if found is None:
        found = compile_image()
        with contextlib.suppress(OSError):
            _keep(key, found)
    return found


def _keep(key: str, image: Image) -> None:
    """Writes them down for `kept`, in one step.  Raises OSError."""
    os.makedirs(CACHE_DIR, mode=0o755, exist_ok=True)
    path = os.path.join(CACHE_DIR, f"recorder-{key}")
    temporary = f"{path}.{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    with open(fd, "wb") as file:
        file.write(marshal.dumps((image.maps, image.programs, image.slots, image.calls)))
    os.rename(temporary, path)
