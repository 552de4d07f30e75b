"""Values of facts are equal exactly if what they are about is."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from pcache.values import listing_value, narrowed_order, order_files, order_path, order_value

TIMES = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=8)
NAMES = [b"/%d" % number for number in range(8)]


def relation(times: list[int], flags: list[bool]) -> list[bool]:
    """What the fact is about: for each decisive file and each other one, whether that is newer."""
    return [
        other > time
        for time, decisive in zip(times, flags, strict=True)
        if decisive
        for other in times
    ]


@given(TIMES, st.lists(st.integers(0, 5), min_size=8, max_size=8))
def test_values_are_equal_exactly_if_the_order_is(
    files: list[tuple[int, bool]], others: list[int]
) -> None:
    times, flags = [time for time, _ in files], [flag for _, flag in files]
    other = others[: len(times)]
    same = relation(times, flags) == relation(other, flags)
    assert (order_value(times, flags) == order_value(other, flags)) == same


@given(TIMES, st.sets(st.sampled_from(NAMES)))
def test_narrowing_is_as_if_only_those_had_been_looked_at(
    files: list[tuple[int, bool]], kept: set[bytes]
) -> None:
    times, flags = [time for time, _ in files], [flag for _, flag in files]
    names = NAMES[: len(files)]
    path, value = order_path(zip(names, flags, strict=True)), order_value(times, flags)
    rest = [entry for entry in zip(names, flags, times, strict=True) if entry[0] in kept]
    narrowed = narrowed_order(path, value, kept.__contains__)
    if len(rest) < 2 or not any(flag for _, flag, _ in rest):
        assert narrowed is None
    else:
        expected = order_path((name, flag) for name, flag, _ in rest)
        flags = [flag for _, flag, _ in rest]
        assert narrowed == (expected, order_value([time for _, _, time in rest], flags))


@given(st.lists(st.tuples(st.binary(max_size=20), st.booleans())))
def test_paths_come_back(files: list[tuple[bytes, bool]]) -> None:
    assert order_files(order_path(files)) == files


def test_pairs_of_equal_files() -> None:
    for one, other in combinations(((1, 1), (1, 2), (2, 1)), 2):
        assert order_value(one, (True, True)) != order_value(other, (True, True))


@given(st.sets(st.tuples(st.binary(min_size=1, max_size=8), st.integers(0, 14))), st.randoms())
def test_listing_value_does_not_depend_on_order(
    entries: set[tuple[bytes, int]], random: object
) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert listing_value(shuffled) == listing_value(entries)
    assert listing_value([*shuffled, (b"one more", 8)]) != listing_value(entries)
