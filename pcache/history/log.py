"""The sessions of a store, in a file to which each appends one entry.

An entry in a database would cost each replay a transaction; here it is one write(2), which O_APPEND
makes whole.  What programs a session ran lies in a file of its own (`pcache.history.entries`).
Losing any of it costs explanations, never records.
"""

from __future__ import annotations

import os

from pcache.codec import DamagedRow, pack, pack_ints, unpack, unpack_ints
from pcache.linux.files import open_file

DIRECTORY = b"/history"
_LOG = DIRECTORY + b"/log"
_MAGIC = b"pcs1"
"""Begins each entry, with its length behind it; another number is another layout."""
_HEAD = len(_MAGIC) + 4
_NUMBERS = 9

KEPT_NS = 30 * 86400 * 10**9
"""How long sessions are kept unless the configuration says something else."""
LONG = 16 << 20
"""Bytes of the log from which on its older half goes: a hundred thousand sessions."""
_FIRST = 1 << 16

UNKNOWN = -1
"""In place of a wait status: it is not known."""


class Summary:
    """One session."""

    __slots__ = (
        "argv",
        "base_dir",
        "began_ns",
        "cwd",
        "elapsed_ns",
        "hits",
        "name",
        "number",
        "programs",
        "ran",
        "refused",
        "saved_ns",
        "status",
        "stored",
        "strong",
        "verb",
        "why",
    )

    def __init__(self, verb: str, argv: tuple[bytes, ...], cwd: bytes, base_dir: bytes) -> None:
        self.number = 0
        """By which people name it: 1 is the first of the store, 0 one that is not kept yet."""
        self.name = b""
        """By which programs name it; of the file with its executions, if they are kept."""
        self.verb = verb
        self.argv = argv
        self.cwd = cwd
        self.base_dir = base_dir
        """What stored paths are relative to, or empty."""
        self.began_ns = 0
        """time.time_ns of its start."""
        self.elapsed_ns = 0
        self.status = UNKNOWN
        """Wait status of the command."""
        self.programs = 0
        """Executions that are known, those brought back among them."""
        self.hits = 0
        self.ran = 0
        self.refused = 0
        """Executions that ran and are not cacheable, nor is what contains them."""
        self.stored = 0
        self.saved_ns = 0
        """What the hits took when they were recorded."""
        self.why = ""
        """Why the command itself ran, or empty."""
        self.strong = b""
        """Strong fingerprint of the command's own record, or empty."""


def append(directory: bytes, summary: Summary) -> int:
    """Adds a session to the log of the store in `directory`; how long the log is then, in bytes.

    Raises OSError.
    """
    return _append(directory + _LOG, summary)


def _append(path: bytes, summary: Summary) -> int:
    numbers = (
        summary.began_ns,
        summary.elapsed_ns,
        summary.status,
        summary.programs,
        summary.hits,
        summary.ran,
        summary.refused,
        summary.stored,
        summary.saved_ns,
    )
    return _write(
        path,
        pack(
            (
                summary.name,
                summary.verb.encode(),
                pack_ints(numbers),
                summary.why.encode(errors="surrogateescape"),
                summary.strong,
                summary.base_dir,
                summary.cwd,
                *summary.argv,
            )
        ),
    )


def _write(path: bytes, packed: bytes) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        fd = open_file(path, flags)
    except FileNotFoundError:
        from pcache.linux.files import make_private_directory

        make_private_directory(os.path.dirname(path))
        fd = open_file(path, flags)
    try:
        os.write(fd, _MAGIC + len(packed).to_bytes(4, "little") + packed)
        return os.lseek(fd, 0, os.SEEK_END)
    finally:
        os.close(fd)


def read(directory: bytes) -> list[Summary]:
    """All sessions that are kept, the oldest first.  What is damaged is left out."""
    try:
        with open(open_file(directory + _LOG), "rb") as file:
            data = file.read()
    except OSError:
        return []
    found, number = [], 0
    for fields in _entries(data):
        if len(fields) == 1:  # written by `trim`: how many went before
            number += int(fields[0])
            continue
        number += 1
        try:
            summary = _summary(fields)
        except (DamagedRow, ValueError):
            continue
        summary.number = number
        found.append(summary)
    return found


def _entries(data: bytes) -> list[list[bytes]]:
    """The fields of each entry; after a damaged one it goes on with the next that is none."""
    found = []
    at = data.find(_MAGIC)
    while 0 <= at <= len(data) - _HEAD:
        begin = at + _HEAD
        end = begin + int.from_bytes(data[at + len(_MAGIC) : begin], "little")
        try:
            found.append(unpack(data[begin:end]))
        except DamagedRow:
            end = at + 1
        at = data.find(_MAGIC, end)
    return found


def _summary(fields: list[bytes]) -> Summary:
    name, verb, packed, why, strong, base_dir, cwd, *argv = fields
    numbers = unpack_ints(packed)
    if len(numbers) != _NUMBERS:
        raise DamagedRow("a session has other numbers than it should")
    summary = Summary(verb.decode(), tuple(argv), cwd, base_dir)
    summary.name, summary.strong = name, strong
    summary.why = why.decode(errors="surrogateescape")
    (
        summary.began_ns,
        summary.elapsed_ns,
        summary.status,
        summary.programs,
        summary.hits,
        summary.ran,
        summary.refused,
        summary.stored,
        summary.saved_ns,
    ) = numbers
    return summary


def trim(directory: bytes, horizon_ns: int) -> int:
    """Removes the sessions that began before a time, and the older half if the log is long, with
    their files; how many.  Raises OSError.

    Numbers stay what they were.  A session that ends at this moment may be lost from the log.
    """
    path = directory + _LOG
    try:
        with open(open_file(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= LONG and _first_began(file.read(_FIRST)) >= horizon_ns:
                return 0  # nearly always
    except FileNotFoundError:
        return 0
    sessions = read(directory)
    if not sessions:
        return 0  # all went before, and how many stands there
    kept = [summary for summary in sessions if summary.began_ns >= horizon_ns]
    if size > LONG:
        kept = kept[-(len(sessions) // 2) :]
    stay = {summary.number for summary in kept}
    for summary in sessions:
        if summary.number not in stay and summary.name:
            try:
                os.unlink(directory + DIRECTORY + b"/" + summary.name)
            except FileNotFoundError:
                continue
    new = path + b".%d" % os.getpid()
    number = 0
    for summary in kept:
        if summary.number != number + 1:
            _write(new, pack((b"%d" % (summary.number - number - 1),)))
        _append(new, summary)
        number = summary.number
    if sessions[-1].number > number:
        _write(new, pack((b"%d" % (sessions[-1].number - number),)))
    os.rename(new, path)
    return len(sessions) - len(kept)


def _first_began(data: bytes) -> int:
    """When the first session of a log began; 0 if that cannot be told."""
    for fields in _entries(data):
        if len(fields) > 1:
            try:
                return _summary(fields).began_ns
            except (DamagedRow, ValueError):
                return 0
    return 0
