"""What an execution did in a scratch copy, held against a recorded outcome."""

from __future__ import annotations

import os
from stat import S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_ISDIR

from xxhash import xxh3_128

from pcache.memo.git_index import PLACE as GIT_INDEX
from pcache.model import Digest, Outcome, Output
from pcache.rerun.scratch import Scratch, is_opaque
from pcache.store.blobs import Blobs
from pcache.store.difference import same_stream, stream_name, streams
from pcache.wording import text

_PIECE = 1 << 20
_TYPES = {b"f": S_IFREG, b"w": S_IFREG, b"d": S_IFDIR, b"l": S_IFLNK, b"p": S_IFIFO}


def files_difference(outcome: Outcome, scratch: Scratch) -> str:
    """The first path that is not as recorded, or was changed and is no output; else empty."""
    outputs = {output.path for output in outcome.outputs}
    for output in outcome.outputs:
        what = _output_difference(output, scratch)
        if what:
            return f"output {text(output.path)}: {what}"
    for path in scratch.changed():
        if path not in outputs and not _is_as_before(path, scratch):
            return f"{text(path)} was changed, which is not recorded"
    return ""


def streams_difference(outcome: Outcome, written: dict[int, bytes], blobs: Blobs) -> str:
    """The first descriptor that other bytes were written to than recorded; else empty.

    Only descriptors in `written` are compared.  Raises StoreError.
    """
    recorded = streams(outcome, blobs)
    for number, data in written.items():
        if number and not same_stream(recorded.get(number, b""), data):
            return stream_name(number)
    return ""


def _output_difference(output: Output, scratch: Scratch) -> str:
    place = scratch.place_of(output.path)
    if output.kind == b"-":
        return "" if place is None else "it is there"
    if place is None:
        return "it is not there"
    st = os.lstat(place)
    if output.kind == b"t":
        return ""
    if output.kind == b"r":
        return ""  # what it is, is that of the file that was there
    if output.kind == b"h":
        other = scratch.place_of(output.content)
        same = other is not None and os.path.samestat(st, os.lstat(other))
        return "" if same else "it is no such hard link"
    if output.kind in _TYPES and S_IFMT(st.st_mode) != _TYPES[output.kind]:
        return "its type"
    if output.kind == b"l":
        return "" if os.readlink(place) == output.content else "its target"
    if st.st_mode & 0o7777 != output.mode:
        return "its mode"
    if output.path.endswith(GIT_INDEX):
        return ""  # it holds the status of files, which are others in a copy
    if output.kind in (b"f", b"w") and _digest(place) != output.content:
        return "its content"
    if output.mtime_ns >= 0 and st.st_mtime_ns != output.mtime_ns:
        return "its modification time"
    return ""


def _is_as_before(path: bytes, scratch: Scratch) -> bool:
    """Whether a path that was copied in order to be changed is the same all the same."""
    place = scratch.place_of(path)
    if place is None or not os.path.lexists(path):
        return place is None and not os.path.lexists(path)
    before, after = os.lstat(path), os.lstat(place)
    if before.st_mode != after.st_mode:
        return False
    kind = S_IFMT(after.st_mode)
    if kind == S_IFLNK:
        return os.readlink(path) == os.readlink(place)
    if S_ISDIR(kind):
        return not is_opaque(place)
    return kind != S_IFREG or _digest(path) == _digest(place)


def _digest(path: bytes) -> Digest:
    state = xxh3_128()
    with open(path, "rb", buffering=0) as file:
        while data := file.read(_PIECE):
            state.update(data)
    return state.digest()
