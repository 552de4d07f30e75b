"""What machine this is."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from bench.results import Machine

_CHECKOUT = Path(__file__).resolve().parent.parent


def machine() -> Machine:
    """This machine, and the revision of this checkout."""
    return Machine(
        kernel=f"{platform.system()} {platform.release()}",
        distribution=platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        cpu=_cpu(),
        cpus=os.cpu_count() or 1,
        memory_mib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        python=platform.python_version(),
        revision=_revision(),
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _revision() -> str:
    """As git names it, with "-dirty" if something is changed."""
    command = ["git", "-C", str(_CHECKOUT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
