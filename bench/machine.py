"""What machine this is."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path

from bench.results import Machine
from bench.tools import Tool


def machine(tools: Iterable[Tool]) -> Machine:
    """This machine, with the versions of `tools`."""
    versions = {tool.name: tool.version() for tool in tools}
    return Machine(
        kernel=f"{platform.system()} {platform.release()}",
        cpu=_cpu(),
        cpus=os.cpu_count() or 1,
        memory_mib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        python=platform.python_version(),
        versions={name: text for name, text in versions.items() if text},
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
