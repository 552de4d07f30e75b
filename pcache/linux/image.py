"""What the kernel makes of a command: PATH, `#!` lines, the canonical path of the image.

The answer must equal what /proc shows of the program once it runs (`executable` is the link
/proc/PID/exe, `argv` the strings in mm->arg_start..arg_end), because the same call is also read
there, by the supervisor and by the recorder.
"""

from __future__ import annotations

import errno
import os

DEFAULT_PATH = b"/bin:/usr/bin"
"""What execvp(3) searches when PATH is unset."""

_HEADER_BYTES = 255
"""How much of a file the kernel looks at: BINPRM_BUF_SIZE less the byte that load_script() uses for
the end of a cut option."""
_NESTING = 5
"""How many interpreters in a row exec_binprm() follows before ELOOP."""
_REGULAR, _TYPE = 0o100000, 0o170000
_SET_ID = 0o6000
_ELF64_LITTLE = b"\x7fELF\x02\x01"
_EM_X86_64 = b"\x3e\x00"
_ELF = b"\x7fELF"
_SHELL = b"/bin/sh"
_BINFMT_MISC = b"/proc/sys/fs/binfmt_misc"
_NOT_FORMATS = frozenset((b"register", b"status"))
_BLANKS = b" \t"
_NAME_ENDS = b" \t\0"


def which(name: bytes, path: bytes | None, cwd: bytes) -> bytes:
    """The file that execvp(3) would execute for `name`, spelled as it would pass it on.

    `path` is the value of PATH, None if unset.  Relative names count from `cwd`.
    Raises FileNotFoundError, or another OSError where something was found and cannot be executed.
    A directory of PATH that cannot be searched has nothing, as for every shell.
    """
    if b"/" in name:
        candidates = [name]
    else:
        directories = (DEFAULT_PATH if path is None else path).split(b":")
        candidates = [directory + b"/" + name if directory else name for directory in directories]
    error = errno.ENOENT
    for candidate in candidates if name else []:
        absolute = os.path.join(cwd, candidate)
        try:
            mode = os.stat(absolute).st_mode
        except OSError as problem:
            if b"/" in name:
                error = problem.errno or errno.EACCES
            continue
        if mode & _TYPE == _REGULAR and os.access(absolute, os.X_OK, effective_ids=True):
            return candidate
        error = errno.EACCES
    raise OSError(error, os.strerror(error), name)


def resolve_image(
    path: bytes, argv: tuple[bytes, ...], cwd: bytes
) -> tuple[bytes, tuple[bytes, ...]]:
    """(executable, argv) of the image that execve(path, argv) from `cwd` would start.

    Raises OSError where the kernel would refuse, ENOEXEC for what is neither an x86-64 program nor
    a script, and EPERM for programs whose execution changes privileges.
    """
    for _ in range(_NESTING + 1):
        executable, header = _inspect(os.path.join(cwd, path))
        if header.startswith(_ELF64_LITTLE) and header[18:20] == _EM_X86_64:
            return executable, argv
        interpreter, option = _shebang(header)
        argv = (interpreter, *option, path, *argv[1:])
        path = interpreter
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def as_script(
    path: bytes, argv: tuple[bytes, ...], cwd: bytes
) -> tuple[bytes, tuple[bytes, ...]] | None:
    """(path, argv) of the shell that execvp(3) starts for a file whose execve(2) ends with ENOEXEC.

    None for what no shell takes for a script: programs, and files with a NUL in their first line
    (POSIX, sh: "Non-built-in Utility Execution").  Raises OSError.
    """
    _, header = _inspect(os.path.join(cwd, path))
    if header.startswith(_ELF) or b"\0" in header.partition(b"\n")[0]:
        return None
    return _SHELL, (_SHELL, path, *argv[1:])


def foreign_formats() -> bool:
    """Whether the kernel was told of formats of its user's own (binfmt_misc): then only execve(2)
    says what becomes of a file that is neither a program of this machine nor a script."""
    try:
        return not _NOT_FORMATS.issuperset(os.listdir(_BINFMT_MISC))
    except OSError:
        return False


def _inspect(path: bytes) -> tuple[bytes, bytes]:
    """Canonical path and first bytes of a file that may be executed."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(fd)
        if status.st_mode & _TYPE != _REGULAR:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), path)
        if status.st_mode & _SET_ID:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM), path)
        link = b"/proc/self/fd/%d" % fd
        if not os.access(link, os.X_OK, effective_ids=True):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), path)
        return os.readlink(link), os.pread(fd, _HEADER_BYTES, 0)
    finally:
        os.close(fd)


def _shebang(header: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """Interpreter and its option (none or one) as load_script() of the kernel finds them.

    Its buffer is filled up with zeros, so that a short file without a newline ends with a NUL.
    """
    if header.startswith(b"#!"):
        line, newline, _ = header[2:].partition(b"\n")
        if not newline and len(header) < _HEADER_BYTES:
            line += b"\0"
        line = line.lstrip(_BLANKS)
        end = _name_end(line)
        # A line longer than the buffer may cut the option short, but not the interpreter.
        if line and (newline or end < len(line)):
            line = line.rstrip(_BLANKS)
            option = line[end:].lstrip(_BLANKS)
            if option and line[end] in _BLANKS:
                return line[:end], (option.partition(b"\0")[0],)
            return line[:end], ()
    raise OSError(errno.ENOEXEC, os.strerror(errno.ENOEXEC))


def _name_end(line: bytes) -> int:
    for index, byte in enumerate(line):
        if byte in _NAME_ENDS:
            return index
    return len(line)
