"""The verb `run`."""

from __future__ import annotations

import os

from pcache.cli.options import parse
from pcache.cli.recording import OPTIONS, recording_options, ring_bytes
from pcache.cli.sandbox import HELP as SANDBOX_HELP
from pcache.errors import EnvironmentProblem, UsageError

SUMMARY = "run a command: replay what holds, record what does not (root)"

HELP = """\
usage: sudo pcache run [OPTION...] COMMAND [ARG...]

Replays what holds and records what does not, in one go: COMMAND itself is looked up first; where
that fails it runs under the recorder, and each program it starts is looked up as it starts.  After
any run, the next one over unchanged inputs restores everything at once.  Under sudo the command
runs as you, in your environment, and the store is yours.

options:
  -q, --quiet            no summary on stderr
  -v, --explain          one line on stderr for each decision and each record, with the reason
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
Without root, or the service (`pcache help service`), nothing can be recorded: what is recorded is
replayed, as by `pcache replay`.

exit status: that of COMMAND (if a signal killed it, pcache ends by the same signal); 2 wrong usage,
125 pcache itself failed, 126 COMMAND cannot be executed, 127 COMMAND was not found.

examples:
  sudo pcache run make -j4
  sudo pcache run --explain sh build.sh
""".replace("{sandbox}", SANDBOX_HELP)


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, command = parse(args, OPTIONS)
    if not command:
        raise UsageError("no command to run", "usage: sudo pcache run [OPTION...] COMMAND [ARG...]")
    words = [os.fsencode(word) for word in command]
    wanted = recording_options(options)
    from pcache.linux.user import is_root
    from pcache.session.steps.privilege import split

    size = ring_bytes(options)
    try:
        user, probes = split(wanted.as_root, size)
    except (EnvironmentProblem, OSError) as error:
        if wanted.must_record:
            raise
        from pcache.session.steps.plainly import plainly

        return plainly(words, wanted, error)
    if not probes.there and not is_root():
        from pcache.session.steps.load_probes import nothing_recorded
        from pcache.session.steps.reporting import NOT_RUN, say
        from pcache.session.verbs.replay import Replay

        say(nothing_recorded("run", probes))
        if wanted.must_record:
            say(NOT_RUN)
            return EnvironmentProblem.status
        return Replay(
            words,
            quiet=wanted.quiet,
            json=wanted.json,
            sandbox=wanted.sandbox,
            timing=wanted.timing,
            progress=wanted.progress,
        ).run()
    from pcache.session.verbs.run import Run

    return Run(words, wanted, user, probes).run()
