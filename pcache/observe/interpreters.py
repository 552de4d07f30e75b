"""Files the kernel itself opens to start a program, for which no event comes.

These are the scripts of a `#!` chain (fs/binfmt_script.c) and the ELF interpreter, usually the
dynamic linker (PT_INTERP, fs/binfmt_elf.c).
"""

from __future__ import annotations

import os
import posixpath
import struct

from pcache.observe.events import Stamp

_PT_INTERP = 3
_NESTING = 5  # exec_binprm(), fs/exec.c
_HEADER = 256  # BINPRM_BUF_SIZE


class Interpreters:
    """Finds them, remembering the ELF interpreter of each version of each program."""

    def __init__(self) -> None:
        self._elf: dict[tuple[bytes, int, int], bytes | None] = {}

    def of(
        self, executable: bytes, stamp: Stamp | None, script: bytes | None, cwd: bytes, place: bytes
    ) -> list[bytes]:
        """Absolute paths: each script from `script` on (None: started directly), then the ELF
        interpreter of `executable`, which is found at `place`.

        Raises FileNotFoundError if that is gone.
        """
        paths = _scripts(script, cwd) if script is not None else []
        version = (executable, stamp.st_ino, stamp.st_mtime_ns) if stamp else (executable, 0, 0)
        if version not in self._elf:
            self._elf[version] = _elf_interpreter(place)
        interpreter = self._elf[version]
        return [*paths, interpreter] if interpreter else paths


def opened_to_start(path: bytes, cwd: bytes) -> list[bytes]:
    """All that the kernel opens to execute a path, up to what it does not find.

    Raises FileNotFoundError.
    """
    paths = _scripts(path, cwd)
    if os.path.isfile(paths[-1]):
        interpreter = _elf_interpreter(paths[-1])
        if interpreter:
            paths.append(interpreter)
    return paths


def _scripts(path: bytes, cwd: bytes) -> list[bytes]:
    paths = []
    for _ in range(_NESTING):
        path = posixpath.join(cwd, path)
        try:
            with open(path, "rb") as file:
                line = file.read(_HEADER).split(b"\n", 1)[0]
        except OSError:
            paths.append(path)
            break
        paths.append(path)
        words = line[2:].split(None, 1)
        if not line.startswith(b"#!") or not words:
            break
        path = words[0]
    return paths


def _elf_interpreter(path: bytes) -> bytes | None:
    """PT_INTERP of a 64-bit little-endian ELF file; None without one, or if it cannot be read.

    Raises FileNotFoundError.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError:
        return None
    try:
        header = os.pread(fd, 64, 0)
        if len(header) < 64 or header[:6] != b"\x7fELF\x02\x01":
            return None
        table, size, count = (
            struct.unpack_from("<Q", header, 32)[0],
            *struct.unpack_from("<HH", header, 54),
        )
        entries = os.pread(fd, size * count, table)
        for at in range(0, len(entries) - 55, size):
            kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", entries, at)
            if kind == _PT_INTERP:
                return os.pread(fd, length, offset).rstrip(b"\0")
        return None
    except (OSError, struct.error):
        return None
    finally:
        os.close(fd)
