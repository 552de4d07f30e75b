"""Packed values come back as they were, and no damage goes unnoticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcache import codec
from pcache.errors import StoreError

FIELDS = st.lists(st.binary(max_size=400), max_size=20)


@given(FIELDS)
def test_fields_come_back(fields: list[bytes]) -> None:
    assert codec.unpack(codec.pack(fields)) == fields


@given(FIELDS, FIELDS)
def test_different_fields_are_packed_differently(one: list[bytes], other: list[bytes]) -> None:
    assert (codec.join(one) == codec.join(other)) == (one == other)


@given(st.lists(st.integers()))
def test_integers_of_any_size_come_back(numbers: list[int]) -> None:
    assert codec.unpack_ints(codec.pack_ints(numbers)) == numbers


@given(FIELDS, st.data())
def test_a_flipped_bit_is_found(fields: list[bytes], data: st.DataObject) -> None:
    packed = bytearray(codec.pack(fields))
    bit = data.draw(st.integers(0, len(packed) * 8 - 1))
    packed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(StoreError):
        codec.unpack(bytes(packed))


@given(FIELDS, st.data())
def test_a_cut_off_value_is_found(fields: list[bytes], data: st.DataObject) -> None:
    packed = codec.pack(fields)
    with pytest.raises(StoreError):
        codec.unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])


@given(st.binary(max_size=40))
def test_a_sound_checksum_over_nonsense_is_an_error_of_ours(body: bytes) -> None:
    import xxhash

    data = body + xxhash.xxh3_64_digest(body)
    try:
        fields = codec.unpack(data)
    except StoreError:
        return
    assert b"".join(fields) == body[len(body) - sum(map(len, fields)) :]


def test_a_cut_off_integer_is_found() -> None:
    with pytest.raises(StoreError):
        codec.unpack_ints(codec.pack_ints([1 << 40])[:-1])


@pytest.mark.parametrize("found", [5050371, 1.5, "text", None])
def test_a_value_of_another_type_is_found(found: object) -> None:
    """As SQLite gives one where the type in a row's header has changed."""
    with pytest.raises(StoreError):
        codec.unpack(found)  # type: ignore[arg-type]
