"""What CPython asks of its standard streams before any program of its user's runs.

For each of 1 and 2 that has an offset it asks for that twice: BufferedWriter when it is made, or
for want of one FileIO whether it can seek (`_buffered_init`, Modules/_io/bufferedio.c;
`portable_lseek`, fileio.c), and TextIOWrapper whether it is at the beginning
(`_textiowrapper_fix_encoder_state`, textio.c).  The first answer is kept as `abs_pos`, which only
what can be read from uses again; the second one makes the encoder leave its mark of the byte order
out, where it has one.
"""

from __future__ import annotations

from pcache.observe.executions import Execution
from pcache.pattern import Pattern

_ASKED = 2
"""How often each is asked for."""
_IMAGE = Pattern(rb"(?s:.*)/python3\.(\d+)$")
_MINORS = range(8, 14)
"""Versions 3.N whose sources say so."""
_ENCODING = b"PYTHONIOENCODING="
_WITHOUT_MARKS = frozenset({b"", b"utf8", b"utf-8", b"ascii", b"latin-1", b"iso-8859-1"})
"""Encodings that are the same at the beginning as elsewhere; those of locales are as well."""


def starts(execution: Execution, number: int) -> bool:
    """Whether it is CPython on its start that asks for the offset of 1 or 2, and does nothing that
    depends on the answer.  To be asked for each time that the offset is."""
    if number not in (1, 2):
        return False
    asked = execution.offsets_asked
    asked[number] = asked.get(number, 0) + 1
    image = _IMAGE.match(execution.executable)
    return (
        image is not None
        and asked[number] <= _ASKED
        and int(image[1]) in _MINORS
        and _encoding(execution.environment()) in _WITHOUT_MARKS
    )


def _encoding(environment: list[bytes]) -> bytes:
    """That of the streams as far as it is asked for, in lower case; empty where it is not."""
    for entry in environment:
        if entry.startswith(_ENCODING):
            return entry[len(_ENCODING) :].partition(b":")[0].lower()
    return b""
