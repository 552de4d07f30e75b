"""The service's units: systemd finds no fault with them, and does what they are for."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pcache.session.verbs.service import Settings, units
from tests.conftest import open_directory
from tests.lib import booted

pytestmark = pytest.mark.root

GRANTED = 1 << 38 | 1 << 39
"""CAP_PERFMON and CAP_BPF."""
EXPOSURE = 25
"""Of 100: what `systemd-analyze security` makes of it at most."""


@pytest.fixture
def written(tmp_path: Path) -> list[Path]:
    """The units, as files."""
    files = []
    for name, text in units(Settings(None, "users", None)):
        files.append(tmp_path / name)
        files[-1].write_text(text)
    return files


def test_units_are_valid(written: list[Path]) -> None:
    words = ["systemd-analyze", "verify", "--man=no", *written]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_service_is_confined(written: list[Path]) -> None:
    (service,) = [path for path in written if path.suffix == ".service"]
    words = ["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE}", service]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


SCRIPT = """\
cp -r {shared}/lib /opt/pcache
printf '#!/bin/sh\\nexec /usr/bin/python3 -IS /opt/pcache/main.py "$@"\\n' >/usr/local/bin/pcache
chmod 755 /usr/local/bin/pcache
useradd --create-home member
useradd --create-home other
pcache service install
usermod --append --groups pcache member
as() {{
    name=$1
    shift
    setpriv --reuid=$name --regid=$name --init-groups env HOME=/home/$name "$@"
}}
cd /home/member
as member pcache trace sh -c 'chrt -p $(pgrep -n pcache-recorder)'
for n in 1 2; do as member pcache run ls /usr; done
as other pcache run echo ran
main=$(systemctl show --property=MainPID --value pcache.service)
chrt -p $main
cat /proc/$main/status >{shared}/status
stat -c '%n: %A %U %G' /run/pcache/recorder.sock
systemctl stop pcache.service
as member pcache run echo started again
pcache service stop
as member pcache service status
"""


@pytest.mark.slow
@pytest.mark.system_files
def test_under_systemd(pcache: str) -> None:
    """Installed, started by who connects, stopped."""
    with open_directory() as directory:
        shared = directory / "shared"
        shutil.copytree(Path(pcache).parent, shared / "lib")
        main = shared / "lib/main.py"
        main.write_text(main.read_text().replace(str(Path(pcache).parent), "/opt/pcache"))
        said = booted.run(SCRIPT.format(shared=booted.WITHIN), directory)
        status = dict(re.findall(r"(\w+):\s*(.*)\n", (shared / "status").read_text()))
    said = re.sub(r"^\+.*\n", "", said, flags=re.MULTILINE)
    # A session's process, while it records, and the service: RestrictRealtime lets them be so.
    assert said.count("current scheduling policy: SCHED_RR") == 2, said
    assert said.count("recorded as a whole") == 2 and "brought back as a whole" in said, said
    assert "service cannot be used: Permission denied" in said
    assert "/run/pcache/recorder.sock: srw-rw---- root pcache\n" in said
    assert said.endswith(
        "the recorder is stopped\nthe recorder's service cannot be used: Connection refused\n"
    )
    assert "0" not in status["Uid"].split() and status["NoNewPrivs"] == "1"
    assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")} == {GRANTED}
    assert {int(status[name], 16) for name in ("CapInh", "CapAmb")} == {0}
