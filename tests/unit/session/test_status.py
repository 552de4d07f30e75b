"""A status once known is the status, whatever goes wrong with us afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pcache.linux.user import User
from pcache.session.steps.load_probes import Probes
from pcache.session.steps.options import Options
from pcache.session.steps.recording import Recording
from pcache.session.verbs.run import Run
from pcache.session.verbs.trace import Trace


def fail(*_: Any) -> None:
    raise RuntimeError("of ours")


@pytest.mark.root
@pytest.mark.parametrize("broken", ["_finish", "_report"])
@pytest.mark.parametrize("verb", [Run, Trace])
def test_status_after_a_failure_of_ours(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    verb: type[Run] | type[Trace],
    broken: str,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(Recording, "load", lambda self: None)
    monkeypatch.setattr(verb, "_finish", lambda *_: None)
    monkeypatch.setattr(verb, broken, fail)
    monkeypatch.setattr(Trace, "_follow", lambda *_: 3 << 8)
    monkeypatch.setattr(
        "pcache.session.steps.record_supervised.record_supervised", lambda *_: (3 << 8, {})
    )
    session = verb([b"false"], Options(quiet=True), User.current(), Probes(4096))
    assert session.run() == 3
    assert "internal error: RuntimeError('of ours')" in capfd.readouterr().err
