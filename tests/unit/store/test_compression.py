"""Contents are compressed where that pays, and whatever is wrong with a file of them is found."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash
import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcache.errors import DamagedBlob, Malformed
from pcache.linux.descriptors import OwnFds
from pcache.memo import restore
from pcache.model import Outcome, Output
from pcache.settings.rules import Policy
from pcache.store import blobs as module
from pcache.store.blobs import SMALL
from pcache.store.compression import PIECE, Compressed, compress, in_pieces
from pcache.store.gc import Collector
from pcache.store.index import Store
from pcache.store.inspect import statistics
from pcache.store.verify import Verifier
from tests.conftest import CHECKOUT

TEXT = b"".join(b"line %d of a text\n" % number for number in range(8000))
LARGE = TEXT * 40  # several pieces, and too large to be compressed when it is put


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(bytes(tmp_path / "store")) as opened:
        yield opened


@pytest.fixture
def target(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def stored(store: Store) -> list[Path]:
    return list(Path(os.fsdecode(store.directory), "objects").glob("*/*"))


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)


def parts(data: bytes) -> bytes:
    """The compressed form."""
    found: list[bytes] = []
    compress(in_pieces(data), found.append)
    return b"".join(found)


def put_compressed(store: Store, data: bytes, form: bytes) -> bytes:
    """Puts a content and exchanges its compressed form."""
    digest = store.blobs.put_bytes(data)
    (path,) = stored(store)
    assert path.suffix == ".zst"
    overwrite(path, form)
    return digest


def as_file(tmp_path: Path, data: bytes) -> int:
    path = tmp_path / "form"
    path.write_bytes(data)
    return os.open(path, os.O_RDONLY)


@pytest.mark.parametrize("way", ["bytes", "file"])
def test_what_pays_is_compressed_and_comes_back(
    store: Store, tmp_path: Path, target: int, way: str
) -> None:
    (tmp_path / "f").write_bytes(TEXT)
    blobs = store.blobs
    digest = blobs.put_bytes(TEXT) if way == "bytes" else blobs.put_file(bytes(tmp_path / "f"))
    (path,) = stored(store)
    assert path.suffix == ".zst"
    assert path.stat().st_mode & 0o777 == 0o400
    assert path.stat().st_size < len(TEXT) / 3
    assert digest == xxhash.xxh3_128_digest(TEXT)
    assert blobs.has(digest)
    assert blobs.get_bytes(digest) == TEXT
    assert blobs.objects.size(digest) == blobs.verify(digest) == len(TEXT)
    assert blobs.copy_to(digest, target) == len(TEXT)
    assert os.pread(target, len(TEXT) + 1, 0) == TEXT
    with open(blobs.open(digest), "rb") as file:
        assert file.read() == TEXT
    assert store.counters["bytes stored"] == path.stat().st_size
    # Once more, and by its digest alone: it is there already.
    blobs.put_bytes(TEXT)
    blobs.put_file(bytes(tmp_path / "gone"), known=digest)
    assert store.counters["blobs stored"] == 1
    assert stored(store) == [path]


def test_zstd_itself_reads_it(store: Store) -> None:
    store.blobs.put_bytes(TEXT * 5)
    (path,) = stored(store)
    frames = path.read_bytes()
    table = struct.pack("<I", 0x184D2A5E)
    assert frames.count(table) == 1
    assert zstd.uncompress(frames[: frames.index(table)]) == TEXT * 5


@pytest.mark.parametrize(
    "data",
    [os.urandom(200_000), os.urandom(SMALL + 1), TEXT[:SMALL], LARGE],
    ids=["random", "random, two blocks", "small", "large"],
)
def test_what_does_not_pay_is_stored_plainly(store: Store, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "f").write_bytes(data)
    digest = store.blobs.put_file(bytes(tmp_path / "f"))
    store.blobs.put_bytes(data)
    assert [path.stat().st_size for path in stored(store)] == [len(data)] * (len(data) > SMALL)
    assert store.blobs.get_bytes(digest) == data


def test_a_large_content_is_sampled_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []

    def counted(data: bytes, *arguments: int) -> bytes:
        lengths.append(len(data))
        return real(data, *arguments)

    real = zstd.compress
    monkeypatch.setattr(zstd, "compress", counted)
    store.blobs.put_bytes(os.urandom(2 << 20))
    assert sum(lengths) < 100_000
    store.blobs.put_bytes(TEXT * 8)
    assert sum(lengths) > len(TEXT * 8)
    assert sorted(path.suffix for path in stored(store)) == ["", ".zst"]


def test_configured_off(tmp_path: Path) -> None:
    with Store.open(bytes(tmp_path / "store"), policy=Policy(compress=False)) as store:
        digest = store.blobs.put_bytes(TEXT)
        Collector(store).run()
        assert [path.stat().st_size for path in stored(store)] == [len(TEXT)]
        assert store.blobs.get_bytes(digest) == TEXT


def test_a_plain_store_is_read_and_compressed_by_the_collector(tmp_path: Path) -> None:
    place = bytes(tmp_path / "store")
    contents = [TEXT, LARGE, os.urandom(100_000)]
    with Store.open(place, policy=Policy(compress=False)) as store:
        digests = [store.blobs.put_bytes(content) for content in contents]
        before = statistics(store)
    with Store.open(place) as store:
        assert list(map(store.blobs.get_bytes, digests)) == contents
        store.blobs.put_bytes(b"held" * 5000)  # by a session: so nothing is collected
        report = Collector(store).run()
        assert report.compressed == 2
        assert report.size_after < report.size_before - len(LARGE) / 2
        assert sorted(path.suffix for path in stored(store)) == ["", ".zst", ".zst", ".zst"]
        assert list(map(store.blobs.get_bytes, digests)) == contents
        after = statistics(store)
        assert Collector(store).run().compressed == 0
    assert before["bytes of blobs"] == before["bytes of blobs uncompressed"]
    assert after["bytes of blobs uncompressed"] == before["bytes of blobs"] + 20_000
    assert after["bytes of blobs"] < before["bytes of blobs"] / 2
    assert after["blobs"] == before["blobs"] + 1


def test_the_collector_removes_both_forms(store: Store) -> None:
    digest = store.blobs.put_bytes(TEXT)
    (path,) = stored(store)
    path.with_suffix("").write_bytes(TEXT)
    for each in stored(store):
        os.utime(each, (1, 1))
    store.blobs.close()
    assert Collector(store).run().blobs == 1
    assert not store.blobs.has(digest)
    assert stored(store) == []


def test_damage_of_a_large_plain_content_is_not_compressed_away(store: Store) -> None:
    digest = store.blobs.put_bytes(LARGE)
    (path,) = stored(store)
    overwrite(path, b"x" + LARGE[1:])
    assert Collector(store).run().compressed == 0
    assert len(Verifier(store).run().faults) == 1
    store.blobs.put_bytes(LARGE)
    assert store.blobs.get_bytes(digest) == LARGE


GOOD = parts(TEXT)
FRAME = zstd.compress(TEXT, 1, 1)


def table(*entries: tuple[int, int], length: int | None = None) -> bytes:
    body = b"".join(struct.pack("<II", *entry) for entry in entries)
    body += struct.pack("<IBI", len(entries), 0, 0x8F92EAB1)
    return struct.pack("<II", 0x184D2A5E, len(body) if length is None else length) + body


def bomb(size: int) -> bytes:
    """A frame that announces `size` bytes and consists of one of run-length blocks of 1 byte."""
    return b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", size) + b"\x0b\0\0x"


DAMAGED = {
    "empty": b"",
    "short": GOOD[:-1],
    "no table": FRAME,
    "half": GOOD[: len(GOOD) // 2],
    "table only": table(),
    "frame cut off": FRAME[:-5] + table((len(FRAME) - 5, len(TEXT))),
    "no frame": b"plain" * 20 + table((100, len(TEXT))),
    "another content": parts(TEXT[::-1]),
    "a byte more": parts(TEXT + b"x"),
    "plain": TEXT,
    "table of another length": FRAME + table((len(FRAME), len(TEXT)), length=8),
    "table does not fit": FRAME + table((len(FRAME) + 1, len(TEXT))),
    "two frames for one": FRAME + FRAME + table((2 * len(FRAME), len(TEXT))),
    "a frame announces more": bomb(1 << 40) + table((len(bomb(0)), len(TEXT))),
    "a second frame announces more": FRAME
    + bomb(1 << 40)
    + table((len(FRAME) + len(bomb(0)), len(TEXT))),
    "the table announces more": bomb(PIECE + 1) + table((len(bomb(0)), PIECE + 1)),
    "a piece as long as announced": bomb(1) + table((len(bomb(0)), 1)),
    "skippable": struct.pack("<II", 0x184D2A50, 4) + b"abcd" + table((12, 0)),
    "many entries": table() + struct.pack("<IBI", 0xFFFFFFFF, 0, 0x8F92EAB1),
}


@pytest.mark.parametrize("form", DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_is_found_in_little_memory_and_repaired(
    store: Store, target: int, form: bytes
) -> None:
    digest = put_compressed(store, TEXT, form)
    tracemalloc.start()
    try:
        for read in (
            store.blobs.get_bytes,
            store.blobs.verify,
            store.blobs.open,
            lambda digest: store.blobs.copy_to(digest, target),
        ):
            with pytest.raises(DamagedBlob) as caught:
                read(digest)
            assert caught.value.remedy
        assert tracemalloc.get_traced_memory()[1] < 3 * PIECE
    finally:
        tracemalloc.stop()
    assert len(Verifier(store).run().faults) == 1
    store.blobs.put_bytes(TEXT)
    assert store.blobs.get_bytes(digest) == TEXT
    assert Verifier(store).run().faults == []
    Collector(store).run()
    assert [path.suffix for path in stored(store)] == [".zst"]
    assert store.blobs.get_bytes(digest) == TEXT


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=3),
    st.integers(0, len(GOOD)),
)
def test_any_damage_gives_the_content_or_none(
    tmp_path: Path, changes: list[tuple[int, int]], end: int
) -> None:
    form = bytearray(GOOD)
    for at, byte in changes:
        form[at] = byte
    for data in (bytes(form), GOOD[:end]):
        fd = as_file(tmp_path, data)
        try:
            content = Compressed(fd)
            read = b"".join(content.pieces())
        except Malformed:
            continue
        finally:
            os.close(fd)
        assert len(read) == content.size <= len(TEXT) + PIECE


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65791, 65792, PIECE - 1, PIECE, PIECE + 1])
@pytest.mark.parametrize("kind", ["zeros", "random", "text"])
def test_contents_of_any_size(tmp_path: Path, size: int, kind: str) -> None:
    """Frames announce their sizes in four ways, depending on how large they are."""
    data = {"zeros": bytes(size), "random": random.Random(1).randbytes(size), "text": LARGE[:size]}
    fd = as_file(tmp_path, parts(data[kind]))
    try:
        content = Compressed(fd)
        assert content.size == size
        assert b"".join(content.pieces()) == data[kind]
    finally:
        os.close(fd)


def test_a_damaged_content_is_a_miss_that_changes_nothing(store: Store, tmp_path: Path) -> None:
    digest = put_compressed(store, TEXT, DAMAGED["a byte more"])
    out = tmp_path / "out"
    out.write_bytes(b"before")
    outcome = Outcome(0, (Output(b"f", bytes(out), 0o644, digest),))
    plan = restore.Plan(outcome, store, OwnFds(), store.counters)
    with pytest.raises(DamagedBlob):
        plan.prepare()
    assert out.read_bytes() == b"before"
    assert store.counters["blobs damaged"] == 1


def test_without_zstd(store: Store, monkeypatch: pytest.MonkeyPatch, target: int) -> None:
    digest = store.blobs.put_bytes(TEXT)
    monkeypatch.setitem(sys.modules, "zstd", None)
    for read in (store.blobs.get_bytes, lambda digest: store.blobs.copy_to(digest, target)):
        with pytest.raises(DamagedBlob, match="zstd"):
            read(digest)
    assert store.blobs.put_bytes(TEXT) == digest
    assert store.blobs.get_bytes(digest) == TEXT
    other = store.blobs.put_bytes(TEXT[1:])
    assert store.blobs.get_bytes(other) == TEXT[1:]
    store.blobs.put_bytes(LARGE)
    assert Collector(store).run().compressed == 0
    assert store.blobs.get_bytes(digest) == TEXT


def test_zstd_without_threads(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise zstd.Error("Compression error: Allocation error : not enough memory")

    monkeypatch.setattr(zstd, "compress", refuse)
    digest = store.blobs.put_bytes(TEXT)
    assert [path.stat().st_size for path in stored(store)] == [len(TEXT)]
    assert store.blobs.get_bytes(digest) == TEXT


def test_where_blocks_are_shared_nothing_is_compressed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clone(source: int, target: int) -> bool:
        os.pwrite(target, os.pread(source, 1 << 30, 0), 0)
        return True

    monkeypatch.setattr(module, "reflink", clone)
    (tmp_path / "f").write_bytes(TEXT)
    store.blobs.put_file(bytes(tmp_path / "f"))
    assert Collector(store).run().compressed == 0
    assert [path.suffix for path in stored(store)] == [""]


def test_zstd_is_loaded_when_the_first_compressed_content_is_restored(store: Store) -> None:
    plain = store.blobs.put_bytes(os.urandom(100_000))
    compressed = store.blobs.put_bytes(TEXT)
    code = (
        "import os, sys\n"
        "from pcache.memo.restore import Plan\n"
        "from pcache.store.index import Store\n"
        "with Store.open(sys.argv[1]) as store:\n"
        "    for digest in sys.argv[2:]:\n"
        "        store.blobs.copy_to(bytes.fromhex(digest), os.memfd_create('x'))\n"
        "        print('zstd' in sys.modules, 'pcache.store.compression' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, store.directory, plain.hex(), compressed.hex()],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False False\nTrue True\n"
