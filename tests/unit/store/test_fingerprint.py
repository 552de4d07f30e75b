"""Which differences between calls matter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcache.model import Call, Kind
from pcache.settings.defaults import IGNORED_ENVIRONMENT
from pcache.store.fingerprint import (
    decode_keys,
    encode_keys,
    environment,
    path_set,
    strong_fingerprint,
    weak_fingerprint,
)

KINDS = st.sampled_from([value for name, value in vars(Kind).items() if name.isupper()])
PATHS = st.binary(min_size=1, max_size=30).filter(lambda path: b"\0" not in path)
KEYS = st.lists(st.tuples(KINDS, PATHS), max_size=20)


def call(**changed: object) -> Call:
    fields: dict[str, object] = {
        "executable": b"/usr/bin/cc",
        "argv": (b"cc", b"-c", b"a.c"),
        "env": (b"PATH=/bin", b"HOME=/home/u"),
        "cwd": b"/src",
        "umask": 0o22,
        "uid": 1000,
        "gid": 1000,
        "fds": (b"tty", b"tty", b"=1"),
    }
    return Call(**(fields | changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        {"executable": b"/usr/bin/gcc"},
        {"argv": (b"cc", b"-c", b"a.c", b"")},
        {"argv": (b"cc", b"-ca.c")},
        {"env": (b"PATH=/bin", b"HOME=/home/v")},
        {"env": (b"PATH=/bin",)},
        {"env": (b"PATH=/bin", b"HOME=/home/u", b"CPATH=")},
        {"env": (b"PATH=/bin", b"HOME=/home/u", b"oddity")},
        {"cwd": b"/src/b"},
        {"umask": 0o27},
        {"uid": 0},
        {"gid": 0},
        {"fds": (b"tty", b"null", b"tty")},
        {"fds": (b"tty", b"tty", b"closed")},
        {"fds": (b"tty", b"socket", b"=1")},
        {"env": (b"PATH=/bin", b"HOME=/home/u", b"PWD=/src")},
        {"ignored": 1 << 12},
    ],
)
def test_everything_the_program_was_handed_counts(changed: dict[str, object]) -> None:
    assert weak_fingerprint(call(**changed)) != weak_fingerprint(call())


@pytest.mark.parametrize(
    "fds",
    [(b"null", b"tty", b"=1"), (b"tty", b"pipe", b"tty"), (b"tty", b"file", b"pipe")],
)
def test_which_of_file_pipe_and_terminal_is_written_to_is_left_to_facts(
    fds: tuple[bytes, ...],
) -> None:
    assert weak_fingerprint(call(fds=fds)) == weak_fingerprint(call())


def test_the_order_of_variables_counts() -> None:
    swapped = call(env=tuple(reversed(call().env)))
    assert weak_fingerprint(swapped) != weak_fingerprint(call())


def test_where_an_ignored_variable_stands_does_not_count() -> None:
    first, second = call().env
    assert weak_fingerprint(call(env=(first, b"_=/bin/cc", second))) == weak_fingerprint(call())


@pytest.mark.parametrize("name", [name for name, _ in IGNORED_ENVIRONMENT])
def test_ignored_variables_do_not_count(name: bytes) -> None:
    name = name.replace(b"*", b"ANYTHING")
    noisy = call(env=(*call().env, name + b"=whatever"))
    assert weak_fingerprint(noisy) == weak_fingerprint(call())


@pytest.mark.parametrize("entry", [b"SHLVLX=1", b"_X=1", b"TERM=vt100", b"COLUMNS=40", b"KITTY=1"])
def test_variables_with_similar_names_count(entry: bytes) -> None:
    assert weak_fingerprint(call(env=(*call().env, entry))) != weak_fingerprint(call())


def test_whether_pwd_is_set_counts() -> None:
    assert environment((b"PWD=/src", b"A=1")) == (b"PWD=/src", b"A=1")
    assert environment((b"A=1",)) == (b"A=1",)


@pytest.mark.parametrize("name", [b"MAKEFLAGS", b"MFLAGS", b"CARGO_MAKEFLAGS"])
@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (b"", b""),
        (b" -j2 --jobserver-auth=3,4", b""),
        (b" -j --jobserver-auth=fifo:/tmp/GMfifo77", b""),
        (b" --jobserver-fds=3,4 -j", b""),
        (b"-j8", b""),
        (b"--jobs=8", b""),
        (b"ks -j16 --jobserver-auth=5,6", b"ks"),
        (b"w -j2 --jobserver-auth=3,4 -- CFLAGS=-j3\\ -O2", b"w -- CFLAGS=-j3\\ -O2"),
        (b" -- V=1", b" -- V=1"),
        (b"-junk --jobsxyz", b"-junk --jobsxyz"),
        (b"k --no-print-directory", b"k --no-print-directory"),
    ],
)
def test_parallelism_of_make_does_not_count(name: bytes, given_: bytes, kept: bytes) -> None:
    assert environment((name + b"=" + given_,)) == (name + b"=" + kept,)


@given(KEYS, st.randoms())
def test_a_path_set_does_not_depend_on_order_or_repetition(
    keys: list[tuple[bytes, bytes]], random: object
) -> None:
    shuffled = keys * 2
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert path_set(shuffled) == path_set(keys)
    assert set(path_set(keys).keys) == set(keys)


@given(KEYS, KEYS)
def test_different_path_sets_have_different_digests(
    one: list[tuple[bytes, bytes]], other: list[tuple[bytes, bytes]]
) -> None:
    assert (path_set(one).digest == path_set(other).digest) == (set(one) == set(other))


@given(KEYS)
def test_keys_come_back(keys: list[tuple[bytes, bytes]]) -> None:
    assert decode_keys(encode_keys(keys)) == tuple(keys)


def test_strong_fingerprint_tells_states_apart() -> None:
    states = [[b"a", b"b"], [b"b", b"a"], [b"ab", b""], [b"ab"], []]
    found = {strong_fingerprint(b"w" * 16, b"p" * 16, state) for state in states}
    found.add(strong_fingerprint(b"v" * 16, b"p" * 16, []))
    found.add(strong_fingerprint(b"w" * 16, b"q" * 16, []))
    assert len(found) == len(states) + 2
