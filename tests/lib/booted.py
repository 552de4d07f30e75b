"""A system that systemd has booted: the file system of this one below an overlay, in namespaces."""

from __future__ import annotations

import subprocess
from pathlib import Path

CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
"""Where a unified hierarchy may be mounted: systemd's documents, CGROUP_DELEGATION."""
WITHIN = "/run/booted"
"""What is put there comes back."""
PATIENCE_S = 40

_BOOT = """\
echo $$ >"$3/cgroup.procs"
exec unshare --cgroup --pid --mount --ipc --uts --net --fork --kill-child sh -euc '
    mount --make-rprivate /
    cd "$1"
    mkdir upper work root
    mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work none root
    mount -t proc none root/proc
    mount -t sysfs -o ro none root/sys
    mount -t cgroup2 none root/sys/fs/cgroup
    for name in dev run tmp; do mount -t tmpfs none root/$name; done
    mkdir root/run/booted root/dev/shm root/dev/pts
    mount -t devpts -o ptmxmode=666 none root/dev/pts
    ln -s pts/ptmx root/dev/ptmx
    mount --bind "$2" root/run/booted
    for name in null zero full random urandom tty; do
        touch root/dev/$name
        mount --bind /dev/$name root/dev/$name
    done
    cp "$2"/booted.* root/etc/systemd/system/
    exec chroot root env -i container=oci PATH=/usr/local/bin:/usr/bin:/bin \\
        /lib/systemd/systemd --unit=booted.target --log-target=console
' sh "$1" "$2"
"""
_UNITS = {
    "booted.target": "[Unit]\nRequires=basic.target booted.service\n",
    "booted.service": f"""\
[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/sh -x {WITHIN}/script
StandardOutput=file:{WITHIN}/said
StandardError=inherit
ExecStopPost=/bin/systemctl --no-block exit
""",
}


def run(script: str, directory: Path) -> str:
    """What a script for sh says there, with what it executes (-x).

    `directory`: for the overlay, and what the script finds in WITHIN (the directory `shared`).
    """
    place, shared = directory / "overlay", directory / "shared"
    place.mkdir()
    shared.mkdir(exist_ok=True)
    (shared / "script").write_text(script)
    for name, text in _UNITS.items():
        (shared / name).write_text(text)
    (unified,) = [path for path in CGROUPS if (Path(path) / "cgroup.controllers").exists()]
    cgroup = Path(unified) / directory.name
    cgroup.mkdir()
    try:
        done = subprocess.run(
            ["sh", "-c", _BOOT, "sh", place, shared, cgroup],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_S,
            text=True,
            check=False,
        )
    finally:
        subprocess.run(
            ["find", cgroup, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"], check=True
        )
    said = shared / "said"
    assert said.exists(), done.stdout
    return said.read_text()
