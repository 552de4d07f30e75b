"""The executions of one session: what became of each, when, and why."""

from __future__ import annotations

import os

from pcache.codec import DamagedRow, pack, pack_ints, unpack, unpack_ints
from pcache.errors import Malformed, Unavailable
from pcache.history.log import DIRECTORY, UNKNOWN
from pcache.linux.files import make_private_directory, open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pcache.model import Key

_FORMAT = b"pcache executions 1"
_FIELDS = 9
_SMALL = 4096
"""Bytes that take a block on disk, compressed or not."""
_FRAME = b"\x28\xb5\x2f\xfd"
"""How a frame of zstd begins (RFC 8878)."""

HIT = "hit"
STORED, KNOWN, NONDETERMINISTIC = "stored", "known", "nondeterministic"
"""Ran, and became a record; had one already; contradicted one. As `RecordWriter.add` says it."""
REFUSED = "not cacheable"
RAN = "ran"
"""Ran while nothing was recorded: only its start is known."""


class Entry:
    """One execution.  Times are nanoseconds since the session began, UNKNOWN where nobody saw."""

    __slots__ = (
        "argv",
        "changed",
        "cpu_ns",
        "cwd",
        "end_ns",
        "executable",
        "miss",
        "parent",
        "reasons",
        "saved_ns",
        "start_ns",
        "status",
        "strong",
        "tgid",
        "verdict",
    )

    def __init__(
        self,
        verdict: str,
        executable: bytes,
        argv: tuple[bytes, ...],
        cwd: bytes,
        parent: int = UNKNOWN,
    ) -> None:
        self.verdict = verdict
        self.executable = executable
        self.argv = argv
        self.cwd = cwd
        self.parent = parent
        """Which of the session's executions started it; UNKNOWN for the command itself."""
        self.tgid = 0
        self.start_ns = UNKNOWN
        self.end_ns = UNKNOWN
        self.cpu_ns = 0
        """Of its own processes, without those of its children."""
        self.status = UNKNOWN
        self.saved_ns = 0
        """Of a hit: what it took when it was recorded."""
        self.strong = b""
        """Strong fingerprint of its record, or empty."""
        self.miss = ""
        """Why it was not brought back, if it was looked up."""
        self.changed: tuple[Key, ...] = ()
        """The inputs that were not as in the version last used, or some of them."""
        self.reasons: tuple[tuple[str, str], ...] = ()
        """Why it is not cacheable: reason and evidence."""

    @property
    def wall_ns(self) -> int:
        """How long it took here; 0 if that is not known."""
        if UNKNOWN in (self.start_ns, self.end_ns):
            return 0
        return self.end_ns - self.start_ns

    def covered(self, entries: Sequence[Entry]) -> bool:
        """Whether an execution that contains it has a record, which holds what it did too."""
        at = self
        while at.parent != UNKNOWN:
            at = entries[at.parent]
            if at.verdict in (HIT, STORED, KNOWN):
                return True
        return False


def path_of(directory: bytes, name: bytes) -> bytes:
    """Where the executions of a session are, in the store in `directory`."""
    return b"%b%b/%b" % (directory, DIRECTORY, name)


def write(directory: bytes, name: bytes, entries: Sequence[Entry]) -> None:
    """Keeps the executions of a session.  Raises OSError."""
    strings: dict[bytes, int] = {}
    rows = [field for entry in entries for field in _packed(entry, strings)]
    data = pack((_FORMAT, pack(strings), *rows))
    if len(data) > _SMALL:
        from pcache.store.compression import squeezed

        try:
            data = squeezed(data)
        except Unavailable:
            pass
    make_private_directory(directory + DIRECTORY)
    path = path_of(directory, name)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def _packed(entry: Entry, strings: dict[bytes, int]) -> Iterator[bytes]:
    def number(text: bytes) -> int:
        """Of a string, which is kept once: most words are those of other command lines too."""
        return strings.setdefault(text, len(strings))

    yield entry.verdict.encode()
    yield pack_ints((number(entry.executable), number(entry.cwd), *map(number, entry.argv)))
    yield pack_ints(
        (
            entry.parent,
            entry.tgid,
            entry.start_ns,
            entry.end_ns,
            entry.cpu_ns,
            entry.status,
            entry.saved_ns,
        )
    )
    yield entry.strong
    yield entry.miss.encode(errors="surrogateescape")
    if not (entry.changed or entry.reasons):  # as most
        yield from (b"", b"", b"", b"")
        return
    yield b"".join(kind for kind, _ in entry.changed)
    yield pack_ints(number(path) for _, path in entry.changed)
    yield "\0".join(reason for reason, _ in entry.reasons).encode()
    yield pack_ints(
        number(evidence.encode(errors="surrogateescape")) for _, evidence in entry.reasons
    )


def read(directory: bytes, name: bytes) -> list[Entry]:
    """The executions of a session; none if they are not kept, or damaged."""
    try:
        with open(open_file(path_of(directory, name)), "rb") as file:
            data = file.read()
        if data.startswith(_FRAME):
            from pcache.store.compression import unsqueezed

            data = unsqueezed(data)
        head, packed, *rows = unpack(data)
        if head != _FORMAT or len(rows) % _FIELDS:
            return []
        strings = unpack(packed)
        return [_unpacked(rows[at : at + _FIELDS], strings) for at in range(0, len(rows), _FIELDS)]
    except (OSError, DamagedRow, Malformed, Unavailable, IndexError, ValueError):
        return []


def _unpacked(fields: list[bytes], strings: list[bytes]) -> Entry:
    verdict, words, numbers, strong, miss, kinds, paths, reasons, evidence = fields
    executable, cwd, *argv = (strings[number] for number in unpack_ints(words))
    entry = Entry(verdict.decode(), executable, tuple(argv), cwd)
    (
        entry.parent,
        entry.tgid,
        entry.start_ns,
        entry.end_ns,
        entry.cpu_ns,
        entry.status,
        entry.saved_ns,
    ) = unpack_ints(numbers)
    entry.strong = strong
    entry.miss = miss.decode(errors="surrogateescape")
    entry.changed = tuple(
        (kinds[at : at + 1], strings[number]) for at, number in enumerate(unpack_ints(paths))
    )
    names = reasons.decode().split("\0") if reasons else []
    entry.reasons = tuple(
        (name, strings[number].decode(errors="surrogateescape"))
        for name, number in zip(names, unpack_ints(evidence), strict=True)
    )
    return entry
