"""Starts one command and says what it took: spawn.py FD COMMAND [ARG...], run by bench/measure.py.

A program of its own because the peak memory of a process counts from before its exec: forked from
the harness itself, every command would seem to need what the harness needs, and take as long to
start as that takes to copy.
"""

import os
import sys
import time

if __name__ == "__main__":
    result, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(result, False)
    start = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    # wait4: what is counted must be this command's own and that of its descendants.
    _, status, usage = os.wait4(pid, 0)
    wall = time.monotonic() - start
    cpu = usage.ru_utime + usage.ru_stime
    code = os.waitstatus_to_exitcode(status)
    os.write(result, f"{wall} {cpu} {usage.ru_maxrss} {code}".encode())
