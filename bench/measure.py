"""One run of a command: how long it took, what it used, what it printed."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PYTHON = "/usr/bin/python3"
_SPAWN = str(Path(__file__).with_name("spawn.py"))


@dataclass(frozen=True)
class Measured:
    """What a run took and what it said."""

    wall: float
    """Seconds from the start of the command to its end."""
    cpu: float
    """Seconds in user and kernel mode of the process and all descendants that were waited for."""
    peak: int
    """KiB of memory of the largest of these processes."""
    status: int
    """Exit status; minus the signal's number if one killed it."""
    stdout: bytes
    stderr: bytes


def measure(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
) -> Measured:
    """Run `command` with stdin from /dev/null and its output into files.

    The environment is exactly `env`.  After `timeout` seconds its process group is killed.
    """
    read_end, write_end = os.pipe()
    with tempfile.TemporaryDirectory() as folder, open(read_end, "rb") as result:
        # Write-only and with a name, like the files of a shell's `>`.
        paths = [Path(folder, name) for name in ("stdout", "stderr")]
        out, err = (os.open(path, os.O_WRONLY | os.O_CREAT, 0o644) for path in paths)
        process = subprocess.Popen(
            [_PYTHON, "-ISE", _SPAWN, str(write_end), *command],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            pass_fds=(write_end,),
            process_group=0,
        )
        for fd in (write_end, out, err):
            os.close(fd)
        alarm = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
        alarm.start()
        try:
            process.wait()
        except BaseException:
            # Interrupted: in a group of its own, it has not heard of that.
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            alarm.cancel()
        numbers = result.read().split()
        stdout, stderr = (path.read_bytes() for path in paths)
    if process.returncode < 0:
        # Killed with everything in its group: it took too long.
        stderr += f"bench: killed after {timeout:g} seconds\n".encode()
        return Measured(timeout, 0.0, 0, process.returncode, stdout, stderr)
    if not numbers:
        raise OSError(f"cannot start {command[0]}: {stderr.decode(errors='replace')}")
    wall, cpu, peak, status = numbers
    return Measured(float(wall), float(cpu), int(peak), int(status), stdout, stderr)
