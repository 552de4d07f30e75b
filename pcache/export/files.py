"""Every input and output of a session with SHA-256: what provenance is made of."""

from __future__ import annotations

import os

from pcache.export.contents import Contents
from pcache.export.whole import expanded
from pcache.history.entries import Entry
from pcache.history.sessions import Session
from pcache.model import Fact, Kind, Output
from pcache.report import schema
from pcache.values import content_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcache.store.index import Store

File = tuple[bytes, bytes]
"""Path and digest of the content (XXH3-128)."""


class Files:
    """The files of a session: what it depended on, what it left, and through which executions."""

    def __init__(
        self, store: Store, session: Session, before: Sequence[Session], version: str
    ) -> None:
        """`version`: of pcache."""
        self.session = session
        self.version = version
        self.executions = expanded(session, before)
        self.contents = Contents(store)
        self.of: list[tuple[list[File], list[File], list[bytes]] | None] = [
            _files(of, entry) for of, entry in self.executions
        ]
        """Of each execution with a record: files read, files made, paths deleted."""
        self.complete = bool(self.of) and self.of[0] is not None
        """Whether the command itself has a record, which knows all of it."""

    def outer(self) -> tuple[list[File], list[File]]:
        """What all of it depended on and left: of the command itself; or, as far as that is known,
        of those executions with records that no other one contains."""
        inputs: dict[bytes, bytes] = {}
        outputs: dict[bytes, bytes] = {}
        kept = self.of[:1] if self.complete else self.of
        for found in kept:
            if found is None:
                continue
            read, made, deleted = found
            for path, digest in read:
                if path not in outputs:
                    inputs.setdefault(path, digest)
            outputs.update(made)
            for path in deleted:
                outputs.pop(path, None)
        return sorted(inputs.items()), sorted(outputs.items())


def _files(session: Session, entry: Entry) -> tuple[list[File], list[File], list[bytes]] | None:
    parts = session.parts(entry)
    if parts is None:
        return None
    read = dict(file for fact in parts[1] if (file := _read(fact)) is not None)
    outputs = parts[2].outputs
    made = [_made(output) for output in outputs if output.kind in (b"f", b"w")]
    deleted = [output.path for output in outputs if output.kind == b"-"]
    return sorted(read.items()), made, deleted


def _read(fact: Fact) -> File | None:
    """The file that a fact says the content of."""
    if fact.kind not in (Kind.CONTENT, Kind.LCONTENT):
        return None
    digest = content_of(fact.value)
    return (fact.path, digest) if digest else None


def _made(output: Output) -> File:
    return output.path, output.content


def document(files: Files) -> schema.Files:
    """All of it, each file once."""
    numbers: dict[File, int] = {}
    rows = []
    for number, ((of, entry), found) in enumerate(zip(files.executions, files.of, strict=True)):
        read, made, deleted = found or ([], [], [])
        row = {
            "execution": number,
            "session": of.number,
            "verdict": entry.verdict,
            "command": list(map(_string, entry.argv)),
            "directory": _string(entry.cwd),
            "known": found is not None,
            "inputs": [numbers.setdefault(file, len(numbers)) for file in read],
            "outputs": [numbers.setdefault(file, len(numbers)) for file in made],
            "deleted": list(map(_string, deleted)),
        }
        rows.append(schema.FilesOfExecution.model_validate(row))
    return schema.Files(
        session=files.session.number,
        command=list(map(_string, files.session.summary.argv)),
        directory=_string(files.session.summary.cwd),
        complete=files.complete,
        files=[_file(files.contents, file) for file in numbers],
        executions=rows,
    )


def _file(contents: Contents, file: File) -> schema.File:
    path, digest = file
    found = contents.find(digest, path)
    return schema.File(
        path=_string(path),
        sha256=None if found is None else found[0],
        size=None if found is None else found[1],
        xxh3_128=digest.hex(),
    )


def uri(path: bytes) -> str:
    """A file's, RFC 8089."""
    from urllib.parse import quote_from_bytes

    return "file://" + quote_from_bytes(path, safe="/")


def _string(data: bytes) -> str:
    return data.decode(errors="backslashreplace")


def name(path: bytes, cwd: bytes) -> str:
    """Relative to the session's directory, if it is in there."""
    return os.fsdecode(path.removeprefix(cwd + b"/"))
