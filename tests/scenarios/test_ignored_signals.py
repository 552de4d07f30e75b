"""Signals that a caller ignores are ignored for the command, although Python hides two of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lib.verbs import VERBS

pytestmark = pytest.mark.root


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("ignored", ["", "PIPE", "XFSZ", "PIPE XFSZ", "HUP PIPE", "USR1"])
def test_ignored(pcache: str, tmp_path: Path, verb: str, ignored: str) -> None:
    def found(*prefix: str) -> str:
        trap = f"trap '' {ignored}; " if ignored else ""
        words = ["sh", "-c", trap + '"$@"', "sh", *prefix, "grep", "SigIgn", "/proc/self/status"]
        env = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path)}
        return subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout

    plain = found()
    for _ in range(2):
        assert found(pcache, *VERBS[verb]) == plain
