"""Colours on a terminal, and none where nobody would see them."""

from __future__ import annotations

import os
import sys

_CODES = {"hit": "32", "ran": "33", "bad": "31", "dim": "2", "bold": "1"}


class Style:
    """Marks text up for a terminal; leaves it as it is for a pipe, and under NO_COLOR
    (https://no-color.org)."""

    def __init__(self) -> None:
        self.terminal = sys.stdout is not None and sys.stdout.isatty()
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self._on = self.terminal and not plain
        self.columns = 0
        """Width of the terminal; 0 for no limit."""
        if self.terminal:
            from shutil import get_terminal_size

            self.columns = get_terminal_size().columns

    def __call__(self, name: str, text: str) -> str:
        """`name`: hit, ran, bad, dim or bold."""
        return f"\x1b[{_CODES[name]}m{text}\x1b[0m" if self._on and text else text

    def cut(self, text: str, taken: int) -> str:
        """What of a text fits beside `taken` columns."""
        room = self.columns - taken
        if not self.columns or len(text) <= room:
            return text
        return text[: max(room - 1, 8)] + "\N{HORIZONTAL ELLIPSIS}"

    def prose(self, text: str) -> str:
        """Sentences, indented by two, in lines that a terminal need not break within words."""
        if not self.columns:
            return f"  {text}"
        from textwrap import fill

        return fill(
            text, max(self.columns, 20), initial_indent="  ", subsequent_indent="    ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip

    def share(self, text: str, tail: str, taken: int) -> tuple[str, str]:
        """Two texts that stand behind `taken` columns, each cut if it takes more than its half."""
        half = max((self.columns - taken) // 2, 16)
        text = self.cut(text, taken + min(len(tail), half))
        return text, self.cut(tail, taken + len(text))
