"""The man page pcache(1), in the macros of groff_man(7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pcache import __version__
from pcache.cli.main import EPILOG, TITLE, USAGE
from pcache.cli.topics import ENVIRONMENT, FILES
from pcache.reference.helptext import Block, Heading, Paragraph, Preformatted, Row, parse
from pcache.reference.helptext import sandbox as sandbox_blocks
from pcache.reference.helptext import verbs as all_verbs

SEE_ALSO = ("sudo(8)", "ccache(1)", "strace(1)", "seccomp(2)", "bpf(2)")

# What roff would take for its own (groff_char(7), "Fundamental character set").
_SPECIAL = {
    "\\": r"\e",
    "-": r"\-",
    "'": r"\(aq",
    "`": r"\(ga",
    "~": r"\(ti",
    "^": r"\(ha",
}


def page() -> str:
    """The source of the page; it ends with a newline."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    verbs = all_verbs()
    yield '.\\" Made by pcache.reference of the texts of --help.'
    yield f'.TH PCACHE 1 "" "pcache {__version__}" "User Commands"'
    # Neither hyphens nor stretched spaces: names of options and files stay as they are typed.
    yield from (
        ".nh",
        ".ad l",
        ".SH NAME",
        r"pcache \- automatic memoization of unmodified programs",
    )
    yield ".SH SYNOPSIS"
    yield from (".nf", _text(USAGE.removeprefix("usage: ")))
    yield from (_text(verb.usage) for verb in verbs)
    yield from (".fi", ".SH DESCRIPTION", _text(TITLE))
    yield from _table({verb.name: verb.summary for verb in verbs})
    yield from _blocks(parse(EPILOG))
    yield ".SH VERBS"
    for verb in verbs:
        yield f".SS pcache {verb.name}"
        yield from (".nf", _text(verb.usage), ".fi")
        yield from _blocks(verb.blocks)
    yield ".SH SANDBOX"
    yield from _blocks(sandbox_blocks())
    yield ".SH ENVIRONMENT"
    yield from _table(ENVIRONMENT)
    yield ".SH FILES"
    yield from _table(FILES)
    yield ".SH SEE ALSO"
    yield _text(", ".join(SEE_ALSO))


def _table(rows: dict[str, str]) -> Iterator[str]:
    return _blocks(Row(term, [Paragraph(text)]) for term, text in rows.items())


def _blocks(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Heading):
            yield from (".PP", f".B {_text(block.text)}")
        elif isinstance(block, Paragraph):
            yield from (".PP", _text(block.text))
        elif isinstance(block, Preformatted):
            yield from (".PP", ".RS 4", ".nf", *map(_text, block.text.split("\n")), ".fi", ".RE")
        else:
            yield from _row(block)


def _row(row: Row) -> Iterator[str]:
    yield from (".TP", f".B {_text(row.term)}")
    first, *others = row.blocks
    if isinstance(first, Paragraph):
        yield _text(first.text)
    if others:
        yield ".RS"
        yield from _blocks(others)
        yield ".RE"


def _text(text: str) -> str:
    """One line of input that prints `text`."""
    escaped = "".join(_SPECIAL.get(letter, letter) for letter in text)
    # At the start of a line a full stop would be a macro; a blank would break the line.
    return rf"\&{escaped}" if escaped.startswith((".", " ")) else escaped
