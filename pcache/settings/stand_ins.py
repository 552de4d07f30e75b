"""Names that are others each time: of what mkstemp(3), mkdtemp(3) and their like have made.

Calls that differ in nothing but such names are one call: it is recorded and looked up with a
stand-in in place of each.  What is in place of a name is the same in arguments, environment, paths
and outputs; what is printed or written may not tell it (`pcache.observe.conditions.private`).
"""

from __future__ import annotations

import os

from pcache.model import Call, Fact, Record
from pcache.settings.base_dir import keyed, moved, valued

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pcache.model import Key, Outcome

MARKS = (b"\xe2\x9f\xa8", b"\xe2\x9f\xa9")
"""Angle brackets, which no name of a file is likely to contain."""
TEMPORARY_DIRECTORIES = (b"/tmp", b"/var/tmp")
_LEAST = 6
"""Characters of the template of mkstemp(3)."""
_TAIL = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
_TELLING = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_PYTHON = b"abcdefghijklmnopqrstuvwxyz0123456789_"
_PYTHON_LENGTH = len(b"tmp") + 8
"""tempfile._RandomNameSequence"""
_HEXADECIMAL = b"0123456789abcdef"
_UUID_LENGTH = 32
"""As Python's uuid.UUID.hex."""
_GCC_LENGTH = len(b"cc") + 6
"""choose_tmpdir and make_temp_file_with_prefix of libiberty"""
_MKTEMP = b"tmp."
"""How names begin that mktemp(1) makes unasked."""
_BLIND = frozenset(
    (b"cc1", b"cc1plus", b"cc1obj", b"cc1objplus", b"f951", b"as", b"ld", b"ld.bfd", b"ld.gold")
)
"""Programs below a compiler driver: from what a temporary file is called they make nothing."""
_DRIVERS = frozenset((b"cc", b"c++", b"gcc", b"g++", b"gfortran", b"clang", b"clang++"))
"""Those themselves, who make of it what these write and print."""


def stem(leaf: bytes, *, beside_others: bool) -> bytes:
    """The part of the name of a file or directory that looks as if it had been made up; empty if
    none does.  `beside_others`: whether it is directly in a directory for temporary files."""
    head, dot, rest = leaf.partition(b".")
    if dot and head + dot == _MKTEMP:
        head = _MKTEMP + rest.partition(b".")[0]
    if len(head) == _PYTHON_LENGTH and head.startswith(b"tmp") and not head[3:].strip(_PYTHON):
        return head
    if not beside_others:
        return b""
    if is_unique(head):
        return head[:_UUID_LENGTH]
    if len(head) < _LEAST:
        return b""
    tail = head[-_LEAST:]
    if tail.strip(_TAIL):
        return b""
    by_gcc = len(head) == _GCC_LENGTH and head.startswith(b"cc")
    return head if by_gcc or len(tail.translate(None, _TELLING)) < _LEAST else b""


def is_unique(leaf: bytes) -> bool:
    """Whether a name begins like a universally unique one."""
    return len(leaf) >= _UUID_LENGTH and not leaf[:_UUID_LENGTH].strip(_HEXADECIMAL)


def _stems(texts: Iterable[bytes]) -> list[bytes]:
    """Those in some texts, each once, in order."""
    found: dict[bytes, None] = {}
    for text in texts:
        if b"/tmp" in text:
            before, *parts = text.split(b"/")
            for part in parts:
                one = stem(part, beside_others=before == b"tmp")
                if one:
                    found[one] = None
                before = part
    return list(found)


class StandIns:
    """The names of one call, and what stands for each of them."""

    __slots__ = ("_pairs", "stems")

    def __init__(self, stems: Sequence[bytes], mark: bytes = b"") -> None:
        """`mark` makes them others than without it."""
        self.stems = tuple(stems)
        opening, closing = MARKS
        self._pairs = [
            (one, b"%b%d%b%b" % (opening, at, mark, closing)) for at, one in enumerate(stems)
        ]

    def hide(self, text: bytes) -> bytes:
        """A path, or another text, with stand-ins."""
        for one, instead in self._pairs:
            text = text.replace(one, instead)
        return text

    def show(self, hidden: bytes) -> bytes:
        """What was given to `hide`."""
        for one, instead in self._pairs:
            hidden = hidden.replace(instead, one)
        return hidden

    def hide_texts(self, texts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        return tuple(map(self.hide, texts))

    def hide_call(self, call: Call) -> Call:
        """The call with stand-ins."""
        return Call(
            self.hide(call.executable),
            self.hide_texts(call.argv),
            self.hide_texts(call.env),
            self.hide(call.cwd),
            call.umask,
            call.uid,
            call.gid,
            call.fds,
            call.ignored,
            self.hide(call.filename),
        )

    def hide_fact(self, fact: Fact) -> Fact:
        return Fact(
            *keyed((fact.kind, fact.path), self.hide), valued(fact.kind, fact.value, self.hide)
        )

    def show_key(self, hidden: Key) -> Key:
        return keyed(hidden, self.show)

    def hide_values(self, keys: Sequence[Key], values: Sequence[bytes]) -> list[bytes]:
        """The values of facts, as they are stored."""
        return [self.hide_value(kind, value) for (kind, _), value in zip(keys, values, strict=True)]

    def hide_known(self, known: dict[Key, bytes]) -> dict[Key, bytes]:
        """Facts by their keys."""
        return {
            keyed(key, self.hide): self.hide_value(key[0], value) for key, value in known.items()
        }

    def hide_value(self, kind: bytes, value: bytes) -> bytes:
        return valued(kind, value, self.hide)

    def hide_outcome(self, outcome: Outcome) -> Outcome:
        return moved(outcome, self.hide)

    def show_outcome(self, hidden: Outcome) -> Outcome:
        return moved(hidden, self.show)

    def hide_record(self, record: Record, weak: bytes) -> Record:
        """The record of the call with stand-ins, whose fingerprint is `weak`."""
        facts = tuple(map(self.hide_fact, record.facts))
        return Record(self.hide_call(record.call), weak, facts, self.hide_outcome(record.outcome))

    def marked(self, mark: bytes) -> StandIns:
        """Others for the same names."""
        return StandIns(self.stems, mark)


def given_names() -> frozenset[bytes]:
    """Names in that of the directory that pcache was started in: they stay for the session."""
    try:
        return frozenset(_stems((os.getcwdb(),)))
    except OSError:
        return frozenset()


def stand_ins(argv: tuple[bytes, ...], cwd: bytes, given: frozenset[bytes]) -> StandIns | None:
    """What stands for the names in a call but those that were `given`; None if there are none.

    Those of the arguments are the same whatever the directory is, and are numbered in alphabetical
    order, which a program may go by, but for those that make nothing of it.
    """
    found = [one for one in _stems(argv) if one not in given]
    if found and not is_blind(argv[0]):
        found.sort()
    found += [one for one in _stems((cwd,)) if one not in found and one not in given]
    if not found:
        return None
    if any(one in other for one in found for other in found if one is not other):
        return None  # which of them a text holds could not be told
    if any(mark in text for mark in MARKS for text in (*argv, cwd)):
        return None
    return StandIns(found)


def is_blind(program: bytes) -> bool:
    """Whether a program of this name makes nothing of the names of temporary files."""
    name = program.rpartition(b"/")[2]
    if name in _BLIND:
        return True
    return name.rpartition(b"-")[2] in _BLIND  # x86_64-linux-gnu-as


def is_driver(program: bytes) -> bool:
    """Whether it is one that starts such programs."""
    name = program.rpartition(b"/")[2].rstrip(b"0123456789.-")
    return name in _DRIVERS or name.rpartition(b"-")[2] in _DRIVERS  # x86_64-linux-gnu-gcc-12
