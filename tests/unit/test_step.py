"""tools/step: a line for each thing done; what it prints is in a log that a failure shows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.conftest import CHECKOUT


def step(directory: Path, script: str) -> subprocess.CompletedProcess[str]:
    command = [CHECKOUT / "tools/step", "thing", "sh", "-c", script]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def test_what_it_prints_goes_to_the_log(tmp_path: Path) -> None:
    done = step(tmp_path, "echo out; echo WARNING: noise >&2")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"thing \.\.\. \d+\.\d s\n", done.stdout)
    log = (tmp_path / "build/thing.log").read_text()
    assert log == "\n== thing\nout\nWARNING: noise\n"


def test_a_failure_shows_the_end_of_the_log_and_its_name(tmp_path: Path) -> None:
    done = step(tmp_path, "seq 100; exit 3")
    assert (done.returncode, done.stdout) == (3, "thing ... failed\n")
    *lines, last = done.stderr.splitlines()
    assert lines == [str(number) for number in range(61, 101)]
    assert last == f"pcache: failed: thing; the whole output is in {tmp_path}/build/thing.log"


def test_a_script_that_uses_it_ends_there(tmp_path: Path) -> None:
    """Also where it is a function that fails in its middle, or one that ends the script."""
    for body in ("true; false; echo on", "echo reason; exit 7"):
        script = (
            f"set -euo pipefail; source {CHECKOUT}/tools/step; log=$PWD/log; act() {{ {body}; }}"
        )
        done = subprocess.run(
            ["bash", "-c", f"{script}; step 'first part' act; echo reached"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == (7 if "exit" in body else 1)
        assert done.stdout == "first part ... failed\n"
        assert ("reason" in done.stderr) == ("exit" in body)
        assert done.stderr.endswith(f"failed: first part; the whole output is in {tmp_path}/log\n")
