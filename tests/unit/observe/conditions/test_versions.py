"""Versions of files that cannot be told apart."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pcache.model import Reason
from pcache.observe.conditions import clock
from tests.lib.recorder import Lab

pytestmark = pytest.mark.root


def test_fresh_input(lab: Lab, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written just before it was read, by somebody else: a change right after would not show."""
    monkeypatch.setattr(clock, "GRAIN_NS", 10 * 10**9)

    def write() -> None:
        descriptor = os.open(work / "f", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(descriptor, b"x")
        os.close(descriptor)

    root = lab.record("/bin/cat", "f", cwd=work, prepare=write).root
    assert root.reasons == {Reason.INPUT_CHANGED: str(work / "f")}
