"""The end of a recording, whatever the recorder does."""

from __future__ import annotations

import tempfile
import time

import pytest

from pcache.session.steps import spooling
from pcache.session.steps.load_probes import Probes


class Silent(Probes):
    """A recorder that was attached, and then is stopped: it answers nothing and hands nothing
    over."""

    def attach(self) -> None:
        self.name = b"name"

    def ask_to_finish(self) -> None:
        pass

    def finished(self, timeout_s: float) -> dict[str, int] | None:
        return None

    def take(self, file: int | None) -> int:
        return 0


def test_a_recorder_that_stops_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "_PATIENCE_S", 0.1)
    with tempfile.TemporaryFile() as spool:
        spooler = spooling.Spooler(Silent(4096), spool.fileno())
        assert spooler.start() == b"name"
        assert spooler.finish() == {}
    assert spooler.failure == "the recorder does not answer any more"


def test_one_that_is_slow_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as events come."""
    monkeypatch.setattr(spooling, "_PATIENCE_S", 0.1)
    left = [100] * 60
    counts = {"events": 6000}

    def take(_: int | None) -> int:
        return left.pop() if left else 0

    def finished(_: float) -> dict[str, int] | None:
        time.sleep(0.01)
        return None if left else counts

    probes = Silent(4096)
    monkeypatch.setattr(probes, "take", take)
    monkeypatch.setattr(probes, "finished", finished)
    with tempfile.TemporaryFile() as spool:
        spooler = spooling.Spooler(probes, spool.fileno())
        monkeypatch.setattr(spooler, "_copy", lambda: None)
        spooler.start()
        assert spooler.finish() == counts
    assert spooler.failure == ""
