"""Interpreted programs that say they go by modification times: `[ a -nt b ]`, `os.path.getmtime`.

Which of the files that they look at are concerned does not show, nor what with they are compared;
that any are does, in what they are told to do.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Container
from stat import S_ISREG

from pcache.linux.unseen import open_unseen
from pcache.observe.accesses.present import seen_status
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation
from pcache.observe.shells import SHELLS
from pcache.pattern import Pattern
from pcache.settings.rules import programs_of
from pcache.values import ABSENT

NOTHING, ORDER, TIMES = range(3)
"""What an execution goes by: no times; which file is newer than which; the times themselves, which
it may compare with a number."""

_NEWER = Pattern(rb"(?:^|[\s\0\"'\\])-(?:[no]t(?:[\s\0\"']|$)|\$)")
"""Also an operator that is quoted, or that a variable holds."""
_COMPARING: dict[bytes, Pattern] = {
    **dict.fromkeys((*SHELLS, b"fish", b"test", b"[", b"[["), _NEWER),
    b"cmake": Pattern(
        rb"IS_NEWER_THAN|(?i:\bfile\s*\(\s*(?:COPY|INSTALL)\b)"
        rb"|--check-build-system|\bcmake_depends\b|_if_newer\b"
    ),
}
_TELLING: dict[bytes, Pattern] = {
    **dict.fromkeys((*SHELLS, b"test", b"[", b"[["), Pattern(rb"(?:^|[\s\0])-N(?:[\s\0]|$)")),
    **dict.fromkeys(
        (b"python", b"pypy"),
        Pattern(
            rb"getmtime|(?i:st_mtime)|\bl?stat\([^()]*\)\s*[\[)=]|\bfilecmp\b"
            rb"|\bnewer(?:_group|_pairwise)?\("
        ),
    ),
    b"perl": Pattern(rb"\bl?stat\b|mtime|(?:^|[\s({,!])-[MAC]\s|Archive::(?:Tar|Zip)"),
    b"ruby": Pattern(rb"mtime|\buptodate\?|\btest\s*\(?\s*\?[M<>=]|stat[^\n]*<=>"),
    **dict.fromkeys((b"node", b"nodejs", b"deno", b"bun"), Pattern(rb"mtime")),
    b"php": Pattern(rb"filemtime|getMTime|\bl?stat\s*\("),
    b"tclsh": Pattern(rb"\bmtime\b|\bfile\s+l?stat\b"),
    b"lua": Pattern(rb"modification"),
    b"zsh": Pattern(rb"zsh/stat|\bzstat\b|\([^)\s]*(?:[oO]m|m[Mwdhms]?[+-]?\d)"),
    **dict.fromkeys((b"awk", b"gawk"), Pattern(rb"\bfilefuncs\b")),
    **dict.fromkeys((b"R", b"Rscript"), Pattern(rb"\bfile\.(?:mtime|info)\b")),
    b"julia": Pattern(rb"\bmtime\b"),
    b"guile": Pattern(rb"stat:mtime"),
    b"emacs": Pattern(rb"file-newer-than-file-p|file-attribute"),
    b"java": Pattern(rb"[lL]astModified"),
    **dict.fromkeys((b"pwsh", b"dotnet"), Pattern(rb"LastWriteTime")),
    b"cmake": Pattern(rb"\bTIMESTAMP\b"),
}
"""By name of the interpreter without its version: what says that it compares times of files with
each other, and what, that it may do anything with them."""
_EVALUATING: dict[bytes, Pattern] = {
    **dict.fromkeys((*SHELLS, b"fish"), Pattern(rb"(?:^|[\s;&|({\0])(?:eval|source|\.)\s")),
    **dict.fromkeys((b"python", b"pypy"), Pattern(rb"\b(?:exec|eval|run_path)\(|importlib")),
    b"perl": Pattern(rb"\b(?:eval|do|require)\s*[(\"'$]"),
    b"ruby": Pattern(rb"eval\b|\bload\b"),
    **dict.fromkeys((b"node", b"nodejs", b"deno", b"bun"), Pattern(rb"eval\(|Function\(|\bvm\b")),
    b"php": Pattern(rb"\beval\s*\("),
    b"tclsh": Pattern(rb"\b(?:eval|source)\b"),
}
"""By name of the interpreter: what says that anything it has read may be a part of its program."""
_UNKEPT: dict[bytes, Pattern] = {
    **dict.fromkeys((b"python", b"pypy"), Pattern(rb"disk_usage|statvfs|f_bavail|f_bfree")),
    b"perl": Pattern(rb"statvfs|Filesys::Df"),
    b"ruby": Pattern(rb"Filesystem\.stat"),
    **dict.fromkeys((b"node", b"nodejs", b"deno", b"bun"), Pattern(rb"statfs")),
    b"php": Pattern(rb"disk_(?:free|total)_space"),
}
"""What says that they go by what no hit keeps: free space."""
_STATUS: dict[bytes, Pattern] = {
    **dict.fromkeys((*SHELLS, b"fish", b"zsh"), Pattern(rb"/dev/(?:std(?:out|err)|fd)|/self/fd")),
    **dict.fromkeys((b"python", b"pypy"), Pattern(rb"\bf?stat\b|getsize|st_size")),
    b"perl": Pattern(rb"\bstat\b|-[sz]\b"),
    b"ruby": Pattern(rb"\bl?stat\b|\bsize\b|zero\?|empty\?"),
    **dict.fromkeys((b"node", b"nodejs", b"deno", b"bun"), Pattern(rb"fstat|\.size\b")),
    b"php": Pattern(rb"fstat|filesize"),
}
"""What says that they may go by the size of the file that they write to."""
_CODE = frozenset(
    (
        *(b".sh", b".bash", b".py", b".pyc", b".pl", b".pm", b".rb", b".js", b".mjs"),
        *(b".cjs", b".ts", b".php", b".tcl", b".lua", b".zsh", b".awk", b".R", b".r", b".jl"),
        *(b".scm", b".el", b".java", b".class", b".ps1", b".cmake"),
    )
)
"""Endings of what interpreters read as a program."""
_BY_NAME = frozenset({b"CMakeLists.txt"})
_LIBRARIES = (b"/usr/", b"/lib/", b"/lib64/", b"/etc/", b"/opt/")
_LOCAL = (b"/usr/local/bin/", b"/usr/local/sbin/", b"/usr/local/libexec/", b"/opt/")
"""Where people put scripts of their own, beside those of packages."""
_PACKAGES = (
    *(b"/site-packages/", b"/dist-packages/", b"/node_modules/", b"/gems/"),
    *(b"/lib/python", b"/lib/pypy", b"/lib/ruby/", b"/lib/perl5/"),
)
"""Code for all purposes, of which most is not used."""
_LARGEST = 4 << 20
_LARGEST_PIECE = 1 << 18


class Mentions:
    """Remembers of each script whether it goes by times."""

    def __init__(self) -> None:
        self._known: dict[tuple[Pattern, bytes, int, int], bool] = {}

    def times(self, execution: Execution) -> int:
        """What it may go by: NOTHING, ORDER or TIMES."""
        for name in names_of(execution):
            for table, answer in ((_TELLING, TIMES), (_COMPARING, ORDER)):
                if self.says(execution, table.get(name)):
                    return answer
        return NOTHING

    def status(self, execution: Execution) -> bool:
        """Whether it may go by what fstat(2) tells of its output, which C libraries ask anyway."""
        return any(self.says(execution, _STATUS.get(name)) for name in names_of(execution))

    def unkept(self, execution: Execution) -> bool:
        """Whether it may go by what no hit keeps."""
        return any(self.says(execution, _UNKEPT.get(name)) for name in names_of(execution))

    def says(
        self, execution: Execution, tokens: Pattern | None, *, environment: bool = True
    ) -> bool:
        """Whether its arguments or its own code say something; of a shell also the functions and
        texts in its `environment`, if that counts."""
        if tokens is None:
            return False
        told = execution.arguments
        if not environment or posixpath.basename(execution.executable) not in SHELLS:
            told = told[: execution.argv_size]
        if tokens.search(told) or self._in_code(execution, tokens, everything=False):
            return True
        if _reads_code(execution):
            callers = list(execution.chain())[1:]
            return (
                _in_pipe(tokens, execution)
                or self._in_code(execution, tokens, everything=True)
                or any(tokens.search(b"\0".join(caller.argv())) for caller in callers)
                or any(
                    self._in_code(caller, tokens, everything=caller is callers[0])
                    for caller in callers
                )
            )
        evaluating = _EVALUATING.get(names_of(execution)[0])
        return (
            evaluating is not None
            and (
                evaluating.search(told) is not None
                or self._in_code(execution, evaluating, everything=False)
            )
            and self._in_code(execution, tokens, everything=True)
        )

    def _in_code(self, execution: Execution, tokens: Pattern, *, everything: bool) -> bool:
        """Whether it is in a program that an execution has read, or in anything that it has."""
        words = {posixpath.basename(word) for word in execution.argv()[1:]} | _BY_NAME
        return any(
            self.in_file(tokens, observation)
            for observation in execution.inputs.values()
            if observation.opened
            and (is_code(observation.name, words) or (everything and _may_be_code(observation)))
        )

    def in_file(self, tokens: Pattern, observation: Observation) -> bool:
        """Whether it is in a regular file; also if that cannot be told."""
        stamp = seen_status(observation)  # of a script that was executed, as it is now
        if stamp is None:
            return observation.value != ABSENT  # it is gone by now
        if not S_ISREG(stamp.st_mode):
            return False
        key = tokens, observation.name, stamp.st_mtime_ns, stamp.st_size
        found = self._known.get(key)
        if found is None:
            try:
                fd = open_unseen(observation.place, stamp.st_uid)
                with open(fd, "rb") as file:
                    found = bool(tokens.search(file.read(_LARGEST)))
            except OSError:
                found = True
            self._known[key] = found
        return found


def _in_pipe(tokens: Pattern, execution: Execution) -> bool:
    """Whether what came through a pipe on its standard input says something."""
    chunks = [chunk for pipe in execution.pipes.values() if pipe.fd == 0 for chunk in pipe.chunks]
    if not chunks:
        return False
    try:
        data = b"".join([os.pread(chunk.source, chunk.length, chunk.offset) for chunk in chunks])
    except OSError:
        return True
    return tokens.search(data) is not None


def names_of(execution: Execution) -> list[bytes]:
    """Under which an execution stands in the tables."""
    programs = programs_of(execution.executable, execution.argv())
    return [posixpath.basename(program).rstrip(b"0123456789.-") for program in programs]


def is_interpreter(program: bytes) -> bool:
    """Whether a program of such a name (`names_of`) is told what to do by files."""
    return program in _EVALUATING or program in _TELLING


def is_code(name: bytes, words: Container[bytes] = ()) -> bool:
    """Whether a file is a program by its name, or because it is among `words`."""
    if posixpath.basename(name) in words and name.startswith(_LOCAL):
        return not _is_package(name)
    named = posixpath.splitext(name)[1] in _CODE or posixpath.basename(name) in words
    return named and not _is_library(name)


def _may_be_code(observation: Observation) -> bool:
    """Whether a file of any name may be a piece of a program."""
    stamp = observation.stamp
    return not _is_library(observation.name) and (stamp is None or stamp.st_size <= _LARGEST_PIECE)


def _is_library(name: bytes) -> bool:
    return name.startswith(_LIBRARIES) or _is_package(name)


def _is_package(name: bytes) -> bool:
    return any(package in name for package in _PACKAGES)


def _reads_code(execution: Execution) -> bool:
    """Whether an interpreter reads its program from its standard input or another descriptor, as of
    `sh <<E` and `python3 <(./generate)`."""
    argv = execution.argv()
    program = names_of(execution)[0]
    if program not in _EVALUATING:
        return False
    given = b"c" if program in SHELLS else b"ceEmpr"  # options that a program follows
    for word in argv[1:]:
        if word == b"-" or word.startswith((b"/dev/stdin", b"/dev/fd/", b"/proc/self/fd/")):
            return True
        if word[:1] != b"-" or (word[:2] != b"--" and word[-1:] in given):
            return False
        if word == b"-s":
            return True
    return True
