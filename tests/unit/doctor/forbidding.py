"""Probes run where a system call is forbidden."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from pcache.doctor.result import Result

FORBID = """
import errno, sys
from importlib import import_module
import pyseccomp
rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
rules.add_rule(pyseccomp.ERRNO(getattr(errno, sys.argv[2])), sys.argv[1])
rules.load()
module = import_module(sys.argv[3])
result = getattr(module, sys.argv[4])()
print(result.status, result.reason, result.remedy, sep="|")
"""
"""Runs one probe (argv[4] of the module argv[3]) where a system call (argv[1]) fails with an errno
(argv[2])."""


def forbidden(
    syscall: str, code: str, probe: Callable[[], Result], program: str = FORBID
) -> list[str]:
    """Status, reason and remedy of a probe where a system call fails with an errno."""
    command = [sys.executable, "-c", program, syscall, code, probe.__module__, probe.__name__]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n").split("|")
