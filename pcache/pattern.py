"""Regular expressions that are compiled when they are first used.

Compiling those that most recordings never use took a tenth of what one of `true` does, and loading
`re` and what it is made of as much again (measured).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Match
    from re import Pattern as Compiled


class Pattern:
    """Of bytes: as re.compile(3) gives it, as far as it is used here."""

    __slots__ = ("_compiled", "_source")

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._compiled: Compiled[bytes] | None = None

    def match(self, text: bytes) -> Match[bytes] | None:
        return self._pattern().match(text)

    def fullmatch(self, text: bytes) -> Match[bytes] | None:
        return self._pattern().fullmatch(text)

    def search(self, text: bytes | bytearray) -> Match[bytes] | None:
        return self._pattern().search(text)

    def findall(self, text: bytes) -> list[bytes]:
        """Of an expression with one group."""
        return self._pattern().findall(text)

    def _pattern(self) -> Compiled[bytes]:
        if self._compiled is None:
            from re import compile

            self._compiled = compile(self._source)
        return self._compiled
