"""Outcomes and manifests: what goes in comes out, and rubbish is refused."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcache.codec import pack, unpack
from pcache.model import Kind, Outcome, Output
from pcache.remote.errors import Untrusted
from pcache.remote.forms import (
    Shared,
    check_paths,
    decode_manifest,
    decode_outcome,
    encode_manifest,
    encode_outcome,
    renamed,
)
from pcache.remote.names import keys_of, path_set, state_name
from pcache.sha256 import sha256_digest

STATE = b"s" * 32
CONTENT, PRINTED = b"c" * 32, b"p" * 32
SHARED = Shared(
    Outcome(
        0x300,
        (
            Output(b"d", b"./out", 0o755),
            Output(b"f", b"./out/f", 0o644, CONTENT, extents=(0, 5, 10)),
            Output(b"l", b"./link", 0, b"out/f"),
            Output(b"-", b"./gone"),
        ),
        ((1, 3), (2, 4)),
        PRINTED,
        ((0, 17),),
        5_000_000,
        4_000_000,
    ),
    {CONTENT: 10, PRINTED: 7},
)


def test_outcome_comes_back() -> None:
    found = decode_outcome(STATE, encode_outcome(STATE, SHARED))
    assert (found.outcome, found.sizes) == (SHARED.outcome, SHARED.sizes)
    local = renamed(found.outcome, {CONTENT: b"1", PRINTED: b"2"})
    assert [one.content for one in local.outputs] == [b"", b"1", b"out/f", b""]
    assert local.data == b"2"


def test_outcome_of_another_state() -> None:
    with pytest.raises(Untrusted):
        decode_outcome(b"t" * 32, encode_outcome(STATE, SHARED))


@given(st.binary(max_size=200))
def test_rubbish(data: bytes) -> None:
    with pytest.raises(Untrusted):
        decode_outcome(STATE, data)
    with pytest.raises(Untrusted):
        decode_manifest(STATE, data)
    with pytest.raises(Untrusted):
        decode_manifest(STATE, STATE + data)


@given(st.integers(0, 34), st.binary(max_size=12))
def test_a_field_replaced(number: int, data: bytes) -> None:
    """Whatever is in one field, it is decoded to something that is well-formed, or refused."""
    fields = unpack(encode_outcome(STATE, SHARED))
    fields[number % len(fields)] = data
    try:
        found = decode_outcome(STATE, pack(fields))
    except Untrusted:
        return
    assert sum(size for _, size in found.outcome.chunks) == found.sizes.get(found.outcome.data, 0)
    assert not any(one.mode & 0o6000 for one in found.outcome.outputs)
    assert all(len(name) == 32 for name in found.sizes)


def test_bomb() -> None:
    """A few bytes that would unpack to very many."""
    with pytest.raises(Untrusted):
        decode_manifest(STATE, STATE + zlib.compress(bytes(300 << 20), 9))


def test_manifest_comes_back() -> None:
    facts = [((Kind.CONTENT, b"./in"), b"f644:" + CONTENT), ((Kind.EXISTS, b"/usr"), b"d755:0:0")]
    one, other = encode_outcome(STATE, SHARED), encode_outcome(b"t" * 32, SHARED)
    data = encode_manifest(
        b"m" * 32,
        {b"umask": b"022"},
        [(b"a" * 32, facts, one), (b"b" * 32, facts[:1], other)],
        [b"small", b""],
    )
    found = decode_manifest(b"m" * 32, data)
    assert found.about == {b"umask": b"022"}
    assert found.contents == {sha256_digest(content): content for content in (b"small", b"")}
    first, second = found.entries
    assert (first.call, second.call) == (b"a" * 32, b"b" * 32)
    assert keys_of(first.path_set) == tuple(key for key, _ in facts)
    assert first.path_set == path_set(key for key, _ in facts)[0]
    assert first.values == [value for _, value in facts]
    assert (first.outcome, second.outcome) == (one, other)
    with pytest.raises(Untrusted):
        decode_manifest(b"n" * 32, data)


@pytest.mark.parametrize(
    "path", [b"", b"/", b"x", b"./x", b"/a/../b", b"/a/./b", b"/a//b", b"/a/", b"/a/..", b"/a\0b"]
)
def test_paths_that_are_none(path: bytes) -> None:
    for output in (
        Output(b"f", path, 0o644),
        Output(b"h", b"/ok", 0, path),
        Output(b"r", b"/ok", 0, path),
    ):
        with pytest.raises(Untrusted):
            check_paths(Outcome(0, (output,)), lambda _: True)


def test_paths_below_a_link() -> None:
    outputs = (Output(b"f", b"/w/l/x", 0o644), Output(b"l", b"/w/l", 0, b"/etc"))
    with pytest.raises(Untrusted):
        check_paths(Outcome(0, outputs), lambda _: True)
    check_paths(Outcome(0, outputs[1:]), lambda _: True)
    with pytest.raises(Untrusted):
        check_paths(Outcome(0, outputs[1:]), lambda path: path != b"/w/l")


def test_names_depend_on_everything() -> None:
    encoded, keys = path_set([(b"c", b"/b"), (b"c", b"/a"), (b"c", b"/b")])
    assert keys == ((b"c", b"/a"), (b"c", b"/b"))
    assert keys_of(encoded) == keys
    names = {
        state_name(STATE, encoded, [b"1", b"2"]),
        state_name(STATE, encoded, [b"12", b""]),
        state_name(STATE, encoded, [b"", b"12"]),
        state_name(STATE, b"", [b"1", b"2"]),
        state_name(b"t" * 32, encoded, [b"1", b"2"]),
    }
    assert len(names) == 5
