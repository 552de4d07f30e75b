"""`base_dir`: what is stored is the same in every checkout, and found again in each."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcache.counters import Counters
from pcache.model import Fact, Kind, Outcome, Output, Record
from pcache.observe.relocation import BaseDirSearch
from pcache.settings.base_dir import Base
from pcache.settings.rules import Policy
from pcache.store.blobs import Blobs
from pcache.store.fingerprint import weak_fingerprint
from pcache.store.index import Store
from pcache.values import (
    grouped_value,
    one_path,
    order_files,
    order_path,
    replaceable_path,
    resolves_value,
)
from tests.lib.stores import make_call

ONE, OTHER = Base(b"/home/me/one"), Base(b"/srv/another")

NAMES = st.binary(min_size=1, max_size=6).filter(lambda name: not set(name) & set(b"/\0"))
PATHS = st.builds(
    lambda top, names: top + b"".join(b"/" + name for name in names),
    st.sampled_from([ONE.path, b"/usr", ONE.path + b"2", b"", b"/home"]),
    st.lists(NAMES, max_size=3),
).filter(bool)


@given(PATHS)
def test_paths_are_found_again(path: bytes) -> None:
    assert ONE.show(ONE.hide(path)) == path


@given(PATHS, PATHS)
def test_different_paths_stay_different(one: bytes, other: bytes) -> None:
    assert (ONE.hide(one) == ONE.hide(other)) == (one == other)


@given(PATHS)
def test_paths_mean_the_same_elsewhere(path: bytes) -> None:
    below = path == ONE.path or path.startswith(ONE.path + b"/")
    elsewhere = OTHER.show(ONE.hide(path))
    assert elsewhere == (path.replace(ONE.path, OTHER.path, 1) if below else path)


def test_keys_and_values_of_all_forms() -> None:
    files = [(ONE.path + b"/a", True), (b"/usr/b", False), (ONE.path + b"/c:2+x", True)]
    shown = OTHER.show_key(ONE.hide_key((Kind.ORDER, order_path(files))))
    assert order_files(shown[1]) == [
        (OTHER.path + b"/a", True),
        (b"/usr/b", False),
        (OTHER.path + b"/c:2+x", True),
    ]
    key = (Kind.REPLACEABLE, replaceable_path(0o644, ONE.path + b"/a:b"))
    assert OTHER.show_key(ONE.hide_key(key)) == (Kind.REPLACEABLE, b"644:/srv/another/a:b")
    one, group = (Kind.ONE, one_path([ONE.path + b"/a", b"/usr/b"])), [ONE.path, b"/b", b"/usr/c"]
    shown = OTHER.show_key(ONE.hide_key(one))
    assert shown == (Kind.ONE, one_path([OTHER.path + b"/a", b"/usr/b"]))
    assert OTHER.show_value(Kind.ONE, ONE.hide_value(Kind.ONE, grouped_value([group]))) == (
        grouped_value([[OTHER.path, b"/b", b"/usr/c"]])
    )
    for key in ((Kind.FD, b"0"), (Kind.TRAIT, b"groups"), (Kind.BASE, b"base")):
        assert OTHER.show_key(ONE.hide_key(key)) == key
    for value in (b"-", b"!20", resolves_value(b"d755:0:0", b"/usr")):
        assert OTHER.show_value(Kind.RESOLVES, ONE.hide_value(Kind.RESOLVES, value)) == value
    value = ONE.hide_value(Kind.RESOLVES, resolves_value(b"d755:0:0", ONE.path))
    assert OTHER.show_value(Kind.RESOLVES, value) == b"d755:0:0>" + OTHER.path


def test_records_of_one_checkout_are_those_of_another(tmp_path: Path) -> None:
    for base in (ONE, OTHER):
        policy = Policy(base_dir=base.path)
        facts = (
            Fact(Kind.CONTENT, base.path + b"/in", b"fX"),
            Fact(Kind.RESOLVES, base.path + b"/d/..", resolves_value(b"d755:0:0", base.path)),
        )
        outputs = (
            Output(b"-", base.path + b"/gone"),
            Output(b"h", base.path + b"/hard", 0o644, base.path + b"/in"),
            Output(b"l", base.path + b"/link", 0o777, b"in"),
        )
        call = make_call(base.path + b"/in")
        weak = weak_fingerprint(call, policy)
        with Store.open(bytes(tmp_path / "store"), policy=policy) as store:
            answer = store.add(Record(call, weak, facts, Outcome(0, outputs)))
            assert answer == ("stored" if base is ONE else "known")
            (paths,) = store.path_sets(weak)
            values = [fact.value for fact in sorted(facts, key=lambda fact: (fact.kind, fact.path))]
            strong = store.strong_fingerprint(weak, paths, values)
            assert store.latest_facts(weak, paths) == sorted(
                facts, key=lambda fact: (fact.kind, fact.path)
            )
            found = store.outcome(strong)
            assert found is not None and found.outputs == outputs


@pytest.fixture
def search(tmp_path: Path) -> BaseDirSearch:
    store = Store.open(bytes(tmp_path / "store"))
    return BaseDirSearch(ONE, store.blobs)


def content(tmp_path: Path, data: bytes) -> Fact:
    """A fact about a file outside."""
    from xxhash import xxh3_128_digest

    path = tmp_path / "file"
    path.write_bytes(data)
    return Fact(Kind.CONTENT, bytes(path), b"f644:" + xxh3_128_digest(data))


@pytest.mark.parametrize("at", [0, 5, (1 << 20) - 6, (1 << 20) - 1, 1 << 20, 3 << 20])
def test_contents_are_searched_to_their_end(search: BaseDirSearch, tmp_path: Path, at: int) -> None:
    for data, shows in ((b"x" * at + ONE.path, True), (b"x" * at + ONE.path[:-1], False)):
        assert search.shows([content(tmp_path, data)], Outcome(0)) is shows
        assert search.shows([content(tmp_path, data)], Outcome(0)) is shows  # remembered


def test_what_is_not_what_was_read_shows(search: BaseDirSearch, tmp_path: Path) -> None:
    fact = content(tmp_path, b"harmless")
    (tmp_path / "file").write_bytes(b"something else")
    assert search.shows([fact], Outcome(0))
    (tmp_path / "file").unlink()
    assert search.shows([content(tmp_path, b"gone")], Outcome(0)) is False
    (tmp_path / "file").unlink()
    assert search.shows([Fact(Kind.CONTENT, fact.path, b"f644:" + b"?" * 16)], Outcome(0))


def test_paths_that_only_mention_it_show(search: BaseDirSearch) -> None:
    for path in (ONE.path + b"2/x", b"/tmp" + ONE.path, ONE.path + b"/x" + ONE.path):
        assert search.shows([Fact(Kind.EXISTS, path, b"-")], Outcome(0))
        assert search.shows([], Outcome(0, (Output(b"-", path),)))
    inside = ONE.path + b"/x"
    assert not search.shows([Fact(Kind.EXISTS, inside, b"-")], Outcome(0))
    assert not search.shows([], Outcome(0, (Output(b"l", inside, 0o777, b"../y"),)))
    assert search.shows([], Outcome(0, (Output(b"l", inside, 0o777, inside),)))
    assert search.shows([Fact(Kind.LCONTENT, inside, b"l" + inside)], Outcome(0))


def test_printed_and_written(tmp_path: Path) -> None:
    with Store.open(bytes(tmp_path / "store"), counters=Counters()) as store:
        blobs: Blobs = store.blobs
        search = BaseDirSearch(ONE, blobs)
        for data, shows in ((b"in " + ONE.path, True), (b"y" * 2_000_000, False)):
            digest = blobs.put_bytes(data)
            written = Outcome(0, (Output(b"f", b"/tmp/out", 0o644, digest),))
            assert search.shows([], written) is shows
            assert search.shows([], Outcome(0, (), ((1, len(data)),), digest)) is shows
        assert search.shows([], Outcome(0, (), ((1, 3),), b"?" * 16))  # lost
