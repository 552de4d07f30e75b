"""What others do to an input while it is open."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pcache.model import Reason
from tests.lib.recorder import Lab

pytestmark = pytest.mark.root


def test_reader_overtaken_by_a_writer(lab: Lab, work: Path) -> None:
    """It opened the old content, but read the new: its record may say neither."""
    (work / "f").write_text("old")
    seen = lab.shell(
        "sh -c 'exec 3<f; sleep 0.3; cat <&3' >out & sleep 0.15; echo new >f; wait", cwd=work
    )
    reader = next(one for one in seen.all[1:] if one.label.startswith("sh -c exec 3<f"))
    assert Reason.INPUT_CHANGED in reader.reasons


def test_reader_overtaken_by_an_outsider(lab: Lab, work: Path) -> None:
    (work / "f").write_text("old")

    def write(_: int) -> None:
        time.sleep(0.15)
        (work / "f").write_text("new")

    root = lab.shell("exec 3<f; sleep 0.3; cat <&3", cwd=work, during=write).root
    assert Reason.INPUT_CHANGED in root.reasons
