"""Whether two outcomes of the same call over the same inputs contradict each other."""

from __future__ import annotations

from pcache.model import APPENDING
from pcache.wording import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.model import Outcome, Output
    from pcache.store.blobs import Blobs

_STREAMS = {0: "standard input", 1: "standard output", 2: "standard error"}


def difference(one: Outcome, other: Outcome, blobs: Blobs) -> str:
    """What differs first, for users to read; "" if both leave the same behind.

    Neither the order in which outputs were last changed, nor how the streams were interleaved, nor
    in which order whole lines came counts: with concurrent children (`make -j`) these are accidents
    of scheduling, and each of them is right.
    Raises StoreError if the bytes of a stream cannot be read.
    """
    if one.status != other.status:
        return f"exit status ({one.status:#x}, {other.status:#x})"
    ones = {output.path: output for output in one.outputs}
    others = {output.path: output for output in other.outputs}
    for path in sorted(ones.keys() | others.keys()):
        if _state(ones.get(path)) != _state(others.get(path)):
            return f"output {text(path)}"
    if (one.data, one.chunks) != (other.data, other.chunks):
        mine, theirs = streams(one, blobs), streams(other, blobs)
        for fd in sorted(mine.keys() | theirs.keys()):
            if not same_stream(mine.get(fd, b""), theirs.get(fd, b"")):
                return stream_name(fd)
    for fd, offset in sorted(set(one.offsets) ^ set(other.offsets)):
        return f"{'flags' if offset == APPENDING else 'offset'} of {stream_name(fd)}"
    return ""


def _state(output: Output | None) -> tuple[object, ...] | None:
    """All but where a sparse file has its holes, which the file system decides."""
    if output is None:
        return None
    return output.kind, output.path, output.mode, output.content, output.mtime_ns


def same_stream(one: bytes, other: bytes) -> bool:
    """Whether the same lines were written, in whatever order."""
    return one == other or sorted(one.splitlines()) == sorted(other.splitlines())


def stream_name(fd: int) -> str:
    """What users call a descriptor."""
    return _STREAMS.get(fd, f"descriptor {fd}")


def streams(outcome: Outcome, blobs: Blobs) -> dict[int, bytes]:
    """The bytes written to each descriptor.  Raises DamagedBlob."""
    data = memoryview(blobs.get_bytes(outcome.data) if outcome.data else b"")
    parts: dict[int, list[memoryview]] = {}
    at = 0
    for fd, length in outcome.chunks:
        parts.setdefault(fd, []).append(data[at : at + length])
        at += length
    return {fd: b"".join(pieces) for fd, pieces in parts.items()}
