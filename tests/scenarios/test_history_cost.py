"""What the notes on a session cost: under a hundredth of what recording it takes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.system_files]

PROGRAMS = 300
SHARE = 0.01

# In place of main.py beside the command: what takes notes is timed, in processor time, without
# what it tells others.
TIMED = """
import json, os, sys, time
spent = [0.0]

def timed(owner, name):
    inner = getattr(owner, name)
    def call(*args):
        began = time.thread_time()
        try:
            return inner(*args)
        finally:
            spent[0] += time.thread_time() - began
    setattr(owner, name, call)

{imports}
import pcache.cli.main
from pcache.session.steps import notes, noting
for name in ("finish", "find_cause"):
    timed(notes.Notes, name)
timed(noting, "recorded")
timed(noting.Noting, "_note")
timed(noting.Noting, "enter")
began = time.monotonic()
status = pcache.cli.main.main()
with open({result!r}, "w") as file:
    json.dump([spent[0], time.monotonic() - began], file)
os._exit(status)
"""


@pytest.mark.parametrize("verb", ["trace", "run"])
def test_of_a_recording(pcache: str, tmp_path: Path, verb: str) -> None:
    result, script = tmp_path / "result", tmp_path / "timed.py"
    imports = "\n".join(
        line
        for line in Path(pcache).with_name("main.py").read_text().splitlines()
        if "path" in line
    )
    script.write_text(TIMED.format(imports=imports, result=str(result)))
    work = tmp_path / "work"
    work.mkdir()
    (work / "script").write_text("".join(f"expr {n} + 1 >out{n}\n" for n in range(PROGRAMS)))
    env = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    python = os.path.realpath("/usr/bin/python3")
    done = subprocess.run(
        [python, "-IS", script, verb, "sh", "script"],
        cwd=work, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"{PROGRAMS + 1} ran" in done.stderr or f"{PROGRAMS + 1} programs ran" in done.stderr
    noted = subprocess.run(
        [pcache, "log", "--json"], env=env, capture_output=True, text=True, check=True
    )
    assert json.loads(noted.stdout)["sessions"][0]["programs"] == PROGRAMS + 1
    notes_s, all_s = json.loads(result.read_text())
    assert 0 < notes_s < SHARE * all_s, (notes_s, all_s)
