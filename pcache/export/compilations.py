"""compile_commands.json, as clangd and the like read it.

https://clang.llvm.org/docs/JSONCompilationDatabase.html
"""

from __future__ import annotations

import json
import os
import re

from pcache.history.sessions import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcache.history.entries import Entry

_COMPILER = re.compile(
    rb"(?:[\w.+]+-)*(?:cc|c\+\+|gcc|g\+\+|clang|clang\+\+|gfortran|nvcc|icx|icpx)(?:-[\d.]+)?$"
)
"""Base names of compiler drivers, with the target before and the version behind them."""
_SOURCE = re.compile(rb"\.(?:c|cc|cp|cpp|cxx|c\+\+|C|CPP|m|mm|M|i|ii|s|S|sx|cu|f|f90|F|F90)$")
_WITH_VALUE = frozenset(
    b"-o -I -D -U -L -x -MF -MT -MQ -isystem -iquote -idirafter -include -imacros -isysroot"
    b" -iprefix -iwithprefix -Xlinker -Xassembler -Xpreprocessor -Xclang -T -u -z -l -A -arch"
    b" -target -G --param -aux-info -specs -wrapper -dumpbase -dumpbase-ext -dumpdir".split()
)
"""Options whose value is the next argument (gcc(1), clang(1))."""
_NO_COMPILATION = frozenset((b"-E", b"-M", b"-MM", b"--version", b"--help", b"-dumpversion"))


def compile_commands(executions: Sequence[tuple[Session, Entry]]) -> str:
    """An entry for each source file that a compiler was given."""
    found: dict[tuple[bytes, bytes, bytes], dict[str, object]] = {}
    for _, entry in executions:
        if not entry.argv or not _COMPILER.match(os.path.basename(entry.argv[0])):
            continue
        sources, output = _taken_apart(entry.argv)
        for source in sources:
            made: dict[str, object] = {
                "directory": os.fsdecode(entry.cwd),
                "file": os.fsdecode(source),
                "arguments": list(map(os.fsdecode, entry.argv)),
            }
            if output:
                made["output"] = os.fsdecode(output)
            found[entry.cwd, source, output] = made
    return json.dumps(list(found.values()), indent=1) + "\n"


def _taken_apart(argv: Sequence[bytes]) -> tuple[list[bytes], bytes]:
    """Source files and output of a compiler's command line; no sources if it compiles nothing."""
    sources: list[bytes] = []
    output = b""
    words = iter(argv[1:])
    for word in words:
        if word in _NO_COMPILATION:
            return [], b""
        if word in _WITH_VALUE:
            value = next(words, b"")
            if word == b"-o":
                output = value
        elif word.startswith(b"-o") and len(word) > 2:
            output = word[2:]
        elif not word.startswith(b"-") and _SOURCE.search(word):
            sources.append(word)
    return sources, output
