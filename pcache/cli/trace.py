"""The verb `trace`."""

from __future__ import annotations

import os

from pcache.cli.options import parse
from pcache.cli.recording import OPTIONS, recording_options, ring_bytes
from pcache.cli.sandbox import HELP as SANDBOX_HELP
from pcache.errors import EnvironmentProblem, UsageError

SUMMARY = "run a command and record what each of its executions reads and writes (root)"

HELP = """\
usage: sudo pcache trace [OPTION...] COMMAND [ARG...]

Runs COMMAND at full speed while probes in the kernel record, for every program it starts, what it
reads, looks for, lists, writes, renames and deletes.  What can be vouched for is stored, so that
`pcache replay` can restore it.  Under sudo the command runs as you, in your environment, and the
store is yours.

options:
  -q, --quiet            no summary on stderr
  -v, --explain          one line on stderr for each execution: stored, or why it cannot be
      --verbose          the same
      --as-root          run the command as root, in sudo's environment, with root's store;
                         where this user is not root, it does not run
      --ring-size MIB    size of the kernel's event buffer, a power of two (default 128)
      --progress WHEN    a live line in the last row of the terminal, for commands that take
                         more than two seconds:
                         auto    if stderr is a terminal, and not in CI (default)
                         always  if stderr is a terminal
                         never
      --no-progress      --progress never
      --must-record      if recording cannot start, do not run COMMAND either (125): for CI
      --timing           how long each phase took, on stderr
      --json FILE        write the counters to FILE
  -h, --help             this text

{sandbox}
Without root it takes the service (`pcache help service`).  If recording cannot start (no rights,
no BPF, no store), pcache says why and runs COMMAND plainly.

exit status: that of COMMAND (if a signal killed it, pcache ends by the same signal); 2 wrong usage,
125 pcache itself failed, 126 COMMAND cannot be executed, 127 COMMAND was not found.

examples:
  sudo pcache trace make -j4
  sudo pcache trace --explain sh build.sh
""".replace("{sandbox}", SANDBOX_HELP)


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, command = parse(args, OPTIONS)
    if not command:
        raise UsageError(
            "no command to trace", "usage: sudo pcache trace [OPTION...] COMMAND [ARG...]"
        )
    from pcache.session.steps.privilege import split

    size = ring_bytes(options)
    wanted = recording_options(options)
    words = [os.fsencode(word) for word in command]
    try:
        user, probes = split(wanted.as_root, size)
    except (EnvironmentProblem, OSError) as error:
        if wanted.must_record:
            raise
        from pcache.session.steps.plainly import plainly

        return plainly(words, wanted, error)
    probes.start(gate=True)  # loaded while Python imports the rest
    from pcache.session.verbs.trace import Trace

    try:
        return Trace(words, wanted, user, probes).run()
    finally:
        probes.close()
