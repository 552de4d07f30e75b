"""Times in contents: what is left for later is found as if it had been made at once."""

from __future__ import annotations

import random
import struct

import pytest

from pcache.observe.conditions.embedded import EmbeddedTimes

SECOND = 10**9
SECONDS = [1 << 27, (1 << 27) - 1, (1 << 40) // 1000, 1_700_000_000, 1 << 31, 2_305_843_009]
"""The first that is left for later; the last that is not; where milliseconds become longer."""
FRACTIONS = [0, 1, 999, 123_456_789, 500_000_000, 999_999_999]


def encodings(ns: int) -> list[bytes]:
    double = struct.pack("<d", ns / SECOND)
    filetime = 11_644_473_600 * 10_000_000 + ns // 100
    numbers = [n.to_bytes(8, "big") for n in (ns, ns // 1000, ns // 10**6, filetime)]
    found = [*numbers, *(number[::-1] for number in numbers), double, double[::-1]]
    found += [b"%d" % (ns // SECOND), b"%d.%09d" % divmod(ns, SECOND), b"%09d" % (ns % SECOND)]
    return found


def at_once(times: set[int]) -> EmbeddedTimes:
    """With all encodings made, because the first content might have held one."""
    found = EmbeddedTimes()
    found.add(set(times))
    found.find(b" 12345678 ")
    return found


@pytest.mark.parametrize("seconds", SECONDS)
def test_every_encoding_is_found(seconds: int) -> None:
    for fraction in FRACTIONS:
        ns = seconds * SECOND + fraction
        for encoding in encodings(ns):
            later = EmbeddedTimes()
            later.add({ns, ns + 7 * SECOND})
            data = b"\xff\xfe" + encoding + b"\xff\xfe"
            found = later.find(data)
            assert found == at_once({ns, ns + 7 * SECOND}).find(data)
            if encoding != b"000000000":
                assert ns in found[1], (ns, encoding)


def test_many_times_in_many_contents() -> None:
    rng = random.Random(1)
    for _ in range(200):
        times = {
            rng.choice(SECONDS) * SECOND + rng.choice([*FRACTIONS, rng.randrange(SECOND)])
            for _ in range(rng.randrange(1, 20))
        }
        later, eager = EmbeddedTimes(), at_once(times)
        later.add(set(times))
        for _ in range(4):
            parts = [rng.randbytes(rng.randrange(60)) for _ in range(4)]
            if rng.random() < 0.5:
                one = rng.choice(sorted(times)) + rng.choice([0, 0, 0, SECOND, 1])
                parts.insert(rng.randrange(4), rng.choice(encodings(one)))
            data = b"".join(parts)
            assert later.find(data) == eager.find(data)
        more = {rng.choice(SECONDS) * SECOND + rng.randrange(SECOND)}
        later.add(set(more))
        eager.add(set(more))
