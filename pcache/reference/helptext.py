"""The help texts of the verbs as structure: paragraphs, headings, tables and what stands as it is.

The grammar is that of the texts in pcache/cli/: a title at the margin ends with a colon; what is
indented below it is a table, the term two columns or more before its text; below "example" and
outside of titled parts it is preformatted.  A text in a table may end with a table of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from textwrap import dedent
from typing import NamedTuple

from pcache.cli.config import names
from pcache.cli.main import VERBS
from pcache.cli.options import HELP_NAMES
from pcache.cli.sandbox import HELP as SANDBOX_HELP
from pcache.cli.topics import TOPICS

_TITLE = re.compile(r"([a-z][a-z ]*):(?: +(\S.*))?$")
# Two blanks also follow the full stop of a sentence.
_ROW = re.compile(r"( *)(\S+(?: \S+)*?(?<![.:;?)]))( {2,})(\S.*)$")
_NAMES_EXECUTION = {"EXECUTION", "OLD", "NEW"}
_NAMES_SESSION = _NAMES_EXECUTION | {"SESSION"}
_SANDBOX_ELSEWHERE = "sandbox: the options that all verbs share which run a command; see SANDBOX\n"


class Heading(NamedTuple):
    text: str


class Paragraph(NamedTuple):
    text: str


class Preformatted(NamedTuple):
    text: str


class Row(NamedTuple):
    """One line of a table: `-q, --quiet` and what it means."""

    term: str
    blocks: list[Block]


Block = Heading | Paragraph | Preformatted | Row


class Option(NamedTuple):
    names: tuple[str, ...]
    argument: str  # its name in the help text; empty for an option that takes none
    summary: str
    choices: tuple[str, ...]  # the values that the help text lists, if it does


class Verb(NamedTuple):
    name: str
    summary: str
    usage: str
    blocks: list[Block]  # of the help text without its usage line and what `sandbox` returns
    options: list[Option]
    words: tuple[str, ...]  # what its arguments can be, apart from a command
    runs_command: bool
    settings: tuple[str, ...]  # of `config`: what can come after get, set and unset
    sessions: int  # how many of its arguments name sessions
    executions: bool  # whether these can also name executions


def verbs() -> list[Verb]:
    """Every verb, in the order of `pcache help`."""
    return [_verb(name) for name in VERBS]


def explained(verbs: Sequence[Verb]) -> list[str]:
    """What can come after `pcache help`."""
    return [*(verb.name for verb in verbs), *TOPICS]


def sandbox() -> list[Block]:
    """What the verbs that run a command say of the sandbox, without its title."""
    return parse(SANDBOX_HELP)[1:]


def parse(text: str, inside: str = "") -> list[Block]:
    """The blocks of `text`; `inside`: the title above it."""
    blocks: list[Block] = []
    title = inside
    for part in re.split(r"\n{2,}", text.strip("\n")):
        lines = part.split("\n")
        match = _TITLE.match(lines[0])
        if match:
            title = match[1]
            blocks.append(Heading(title))
            lines = [match[2], *lines[1:]] if match[2] else lines[1:]
        elif not lines[0].startswith(" "):
            title = inside
        blocks += _part(lines, title)
    return blocks


def _part(lines: list[str], title: str) -> list[Block]:
    if lines[0].startswith(" ") and (not title or title.startswith("example")):
        return [Preformatted(dedent("\n".join(lines)))]
    blocks: list[Block] = []
    prose: list[str] = []
    position = 0
    while position < len(lines):
        row = _ROW.match(lines[position]) if title else None
        position += 1
        if row is None:
            prose.append(lines[position - 1].strip())
            continue
        if prose:
            blocks.append(Paragraph(" ".join(prose)))
            prose = []
        column = row.start(4)
        inner = [row[4]]
        while position < len(lines) and lines[position].startswith(" " * column):
            inner.append(lines[position][column:])
            position += 1
        blocks.append(Row(row[2], _part(inner, title)))
    if prose:
        blocks.append(Paragraph(" ".join(prose)))
    return blocks


def _verb(name: str) -> Verb:
    module = import_module(f"pcache.cli.{name}")
    usage, _, text = module.HELP.partition("\n")
    arguments = usage.split(f"pcache {name}")[1].split()
    return Verb(
        name,
        module.SUMMARY,
        usage.removeprefix("usage: "),
        parse(text.replace(SANDBOX_HELP, _SANDBOX_ELSEWHERE)),
        _options(parse(text), module.OPTIONS),
        tuple(part for word in arguments for part in word.split("|") if part.islower()),
        "COMMAND" in arguments,
        tuple(names()) if name == "config" else (),
        sum(bool(_NAMES_SESSION & set(re.findall("[A-Z]+", word))) for word in arguments),
        bool(_NAMES_EXECUTION & set(re.findall("[A-Z]+", " ".join(arguments)))),
    )


def _options(blocks: Sequence[Block], spec: Mapping[str, str]) -> list[Option]:
    """The options in the tables of a help text.  Raises ValueError where `spec` says otherwise."""
    options: list[Option] = []
    open_list: list[int] = []  # options whose values are those of the next one
    for block in blocks:
        if not isinstance(block, Row) or not block.term.startswith("-"):
            continue
        *flags, last = block.term.split(", ")
        final, _, argument = last.partition(" ")
        summary = block.blocks[0].text if isinstance(block.blocks[0], Paragraph) else ""
        choices = tuple(inner.term for inner in block.blocks if isinstance(inner, Row))
        if summary.endswith(":") and not choices:
            open_list.append(len(options))
        elif choices:
            for index in open_list:
                options[index] = options[index]._replace(choices=choices)
            open_list = []
        options.append(Option((*flags, final), argument, _brief(summary), choices))
    told = {name: bool(option.argument) for option in options for name in option.names}
    taken = {name: key.endswith("=") for name, key in spec.items()}
    if told != taken | dict.fromkeys(HELP_NAMES, False):
        raise ValueError(f"help text and table of options differ: {told} {taken}")
    return options


def _brief(text: str) -> str:
    """The first sentence or half of one, for a list of completions."""
    return re.split(r"[.;] ", text)[0].removesuffix(":")
