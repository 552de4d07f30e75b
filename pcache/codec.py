"""Byte strings and integers packed for storage and hashing; a checksum finds every damaged row.

Layout of a packed value: varint number of fields, one varint length per field, the fields one after
another, and 8 bytes of XXH3-64 over all of that.  The encoding is canonical: equal fields give
equal bytes, so packed values can be hashed and compared instead of their fields.
"""

from __future__ import annotations

from xxhash import xxh3_64_digest

from pcache.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CHECKSUM = 8


class DamagedRow(StoreError):
    """A row of the index is not as it was written."""


def _varint(number: int, into: bytearray) -> None:
    """Appends a number >= 0 as LEB128: seven bits a byte, least significant first."""
    while number > 0x7F:
        into.append(number & 0x7F | 0x80)
        number >>= 7
    into.append(number)


def _varints(data: bytes, count: int, at: int = 0) -> tuple[list[int], int]:
    """`count` numbers and the offset behind them.  Raises IndexError when `data` is too short."""
    numbers = []
    for _ in range(count):
        byte = data[at]
        at += 1
        if byte > 0x7F:
            number, shift = byte & 0x7F, 7
            while True:
                byte = data[at]
                at += 1
                number |= (byte & 0x7F) << shift
                if byte <= 0x7F:
                    break
                shift += 7
            byte = number
        numbers.append(byte)
    return numbers, at


def join(fields: Sequence[bytes]) -> bytes:
    """The fields in one unambiguous string, without checksum: what fingerprints are taken of."""
    head = bytearray()
    _varint(len(fields), head)
    lengths = list(map(len, fields))
    if max(lengths, default=0) <= 0x7F:  # a byte each, as almost always
        head += bytes(lengths)
    else:
        for length in lengths:
            if length <= 0x7F:
                head.append(length)
            else:
                _varint(length, head)
    return b"".join((head, *fields))


def pack(fields: Iterable[bytes]) -> bytes:
    """The fields in one string that `unpack` takes apart."""
    body = join(tuple(fields))
    return body + xxh3_64_digest(body)


def unpack(data: bytes) -> list[bytes]:
    """The fields given to `pack`.  Raises DamagedRow if any bit of `data` is not as packed, or
    if it is no bytes, as what SQLite finds in a damaged file may be."""
    if not isinstance(data, bytes):
        raise DamagedRow("a stored row is damaged (it is of another type)")
    body = data[:-_CHECKSUM]
    if len(data) <= _CHECKSUM or xxh3_64_digest(body) != data[-_CHECKSUM:]:
        raise DamagedRow("a stored row is damaged (its checksum does not match)")
    try:
        (count,), at = _varints(body, 1)
        lengths, at = _varints(body, count, at)
    except IndexError:
        raise DamagedRow("a stored row is malformed") from None
    fields = []
    for length in lengths:
        fields.append(body[at : at + length])
        at += length
    if at != len(body):
        raise DamagedRow("a stored row is malformed")
    return fields


def pack_ints(numbers: Iterable[int]) -> bytes:
    """Integers of any size and sign (zigzag: 0, -1, 1, -2, ... become 0, 1, 2, 3, ...)."""
    packed = bytearray()
    for number in numbers:
        if 0 <= number <= 0x3F:
            packed.append(number << 1)
        else:
            _varint(number << 1 if number >= 0 else (-number << 1) - 1, packed)
    return bytes(packed)


def unpack_ints(data: bytes) -> list[int]:
    """The integers given to `pack_ints`.  Raises DamagedRow if the last one is cut off."""
    numbers = []
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte <= 0x7F:
            numbers.append(number >> 1 if not number & 1 else -(number + 1 >> 1))
            number = shift = 0
    if shift:
        raise DamagedRow("a stored row is malformed")
    return numbers
