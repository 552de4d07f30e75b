"""Programs side by side that touch the same path."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcache.model import Reason
from tests.lib.recorder import Lab

pytestmark = pytest.mark.root


def test_conflict_between_siblings(lab: Lab, work: Path) -> None:
    seen = lab.shell(
        "sh -c 'sleep 0.2; echo a >f; sleep 0.2' & sh -c 'sleep 0.3; cat f; sleep 0.2' >out & wait",
        cwd=work,
    )
    for one in seen.all[1:]:
        if one.label.startswith("sh -c"):
            assert Reason.CONFLICT in one.reasons, one.label
    assert not seen.root.reasons


def test_conflict_between_cousins(lab: Lab, work: Path) -> None:
    """The programs that touch the path are not the ones that were started side by side."""
    (work / "f").write_text("old")
    read = "exec 3<f; sleep 0.4; cat <&3"
    seen = lab.shell(
        f"sh -c \"sh -c '{read}'; true\" >out & sh -c 'sleep 0.2; cp /etc/hostname f; true' & wait",
        cwd=work,
    )
    reader = next(one for one in seen.all[1:] if one.label.startswith("sh -c exec 3<f"))
    assert reader.reasons
