"""Help texts, which are written for a hundred columns, on a terminal that has fewer."""

from __future__ import annotations

import re
from textwrap import fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH = 100
_FULL = 70
"""A line with so many letters may go on in the next one."""
_COMMENT = " # "
"""In a line of settings, which stays as it is."""
_ROW = re.compile(r" *\S+(?: \S+)*? {2,}(?=\S)")
"""Of a table, up to its last column; two blanks also follow the full stop of a sentence."""


def fitted(text: str, columns: int) -> str:
    """The text in lines of so many columns; tables keep theirs, commands are not broken."""
    if columns >= _WIDTH:
        return text
    return "".join(f"{line}\n" for line in _lines(text, max(columns, 30)))


def _lines(text: str, columns: int) -> Iterator[str]:
    lines = text.splitlines()
    while lines:
        first = lines.pop(0)
        row = _ROW.match(first)
        is_row = row is not None and row[0].rstrip()[-1] not in ".:;?)"
        hanging = len(row[0]) if row and is_row else _indent(first)
        parts, last = [first], first
        while (
            _COMMENT not in first
            and lines
            and len(last) >= _FULL
            and _indent(lines[0]) == hanging
            and lines[0].strip()
        ):
            last = lines.pop(0)
            parts.append(last.strip())
        if len(parts) == 1 and (len(first) <= columns or _COMMENT in first):
            yield first
            continue
        hanging = min(hanging, columns // 2)
        yield fill(
            " ".join(parts), columns, subsequent_indent=" " * hanging, drop_whitespace=True,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
