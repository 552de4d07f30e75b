"""Path sets of others: whatever is in them, nothing worse than a miss comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcache.counters import Counters
from pcache.linux.descriptors import OwnFds
from pcache.linux.user import User
from pcache.model import Key, Kind
from pcache.remote.evaluation import Evaluation, strong_digests
from pcache.remote.names import path_set
from pcache.remote.places import Places
from pcache.settings.rules import Policy
from pcache.store.index import Store

KINDS = sorted(value for name, value in vars(Kind).items() if name.isupper())
HUGE = b"9" * 30
PATHS = st.one_of(
    st.binary(max_size=20).map(lambda data: data.replace(b"\0", b"0")),
    st.sampled_from(
        (
            *(b"/etc/passwd", b"/etc", b"/dev/zero", b"/proc/self/mem", b"~/x", b"./x", b"", b":"),
            *(b"1:2", b"10:1:0:00", b"2:1:0:0000000000000000", b"ok:/etc", b"0:", b"5+/a"),
            *(b"limit 99", b"limit x", b"file environ", b"signal 700", b"affinity", HUGE),
            *(HUGE + b":/etc", b"%b:%b:%b" % (HUGE, HUGE, HUGE), HUGE + b"+/etc", b"644:" + HUGE),
            *(
                b"-1:1:1",
                b"2:-1:0",
                b"open",
                b"open 99999999999999999999",
                b"/etc/passwd\xff" * 400,
            ),
        )
    ),
)


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluation]:
    directory = tmp_path_factory.mktemp("store")
    user = User.current()
    with Store.open(bytes(directory / "s"), counters=Counters(), policy=Policy()) as store:
        digests = strong_digests(store)
        yield Evaluation(store, digests, Places(store.policy, user, ()), OwnFds(), user.uid)
        digests.close()


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=400)
@given(keys=st.lists(st.tuples(st.sampled_from(KINDS), PATHS), min_size=1, max_size=3))
def test_keys_of_attackers(evaluation: Evaluation, keys: list[Key]) -> None:
    try:
        evaluation.path_set(path_set(keys)[0])
    except OSError:
        pass  # said, and a miss


def test_what_would_take_too_long(evaluation: Evaluation, tmp_path: Path) -> None:
    """Somebody names a file of a terabyte, which it costs nothing to have."""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    asked: list[int] = []

    def worth(size: int) -> bool:
        asked.append(size)
        return False

    encoded, _ = path_set([(Kind.CONTENT, bytes(tmp_path / "sparse"))])
    assert evaluation.path_set(encoded, worth=worth) is None
    assert asked == [1 << 40]


def test_what_is_small_is_compared_first(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"edited")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    encoded, _ = path_set([(Kind.CONTENT, bytes(tmp_path / n)) for n in ("large", "small")])

    def worth(size: int) -> bool:
        raise AssertionError("nothing need be read")

    assert evaluation.path_set(encoded, [b"f644:1", b"f644:2"], worth) is None
