"""The verb `trace`."""

from __future__ import annotations

import os

from pcache.cli.options import parse
from pcache.cli.sandbox import HELP as SANDBOX_HELP
from pcache.cli.sandbox import OPTIONS as SANDBOX_OPTIONS
from pcache.cli.sandbox import sandbox_of
from pcache.errors import UsageError

SUMMARY = "run a command and record what each of its executions reads and writes (root)"

HELP = """\
usage: sudo pcache trace [OPTION...] COMMAND [ARG...]

Runs COMMAND at full speed while probes in the kernel record, for every program it starts, what it
reads, looks for, lists, writes, renames and deletes.  What can be vouched for is stored, so that
`pcache replay` can restore it.  Under sudo the command runs as you, in your environment, and the
store is yours.

options:
  -q, --quiet            no summary on stderr
      --explain          one line on stderr for each execution: stored, or why it cannot be
      --as-root          run the command as root, in sudo's environment, with root's store
      --ring-size MIB    size of the kernel's event buffer, a power of two (default 128)
      --timing           how long each phase took, on stderr
      --json FILE        write the counters to FILE
  -h, --help             this text

{sandbox}
If recording cannot start (no root, no BPF, no store), pcache says why and runs COMMAND plainly.

exit status: that of COMMAND (if a signal killed it, pcache ends by the same signal); 2 wrong usage,
125 pcache itself failed, 126 COMMAND cannot be executed, 127 COMMAND was not found.

examples:
  sudo pcache trace make -j4
  sudo pcache trace --explain sh build.sh
""".replace("{sandbox}", SANDBOX_HELP)

OPTIONS = {
    "-q": "quiet",
    "--quiet": "quiet",
    "--explain": "explain",
    "--as-root": "as-root",
    "--ring-size": "ring-size=",
    "--timing": "timing",
    "--json": "json=",
    **SANDBOX_OPTIONS,
}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, command = parse(args, OPTIONS)
    if not command:
        raise UsageError(
            "no command to trace", "usage: sudo pcache trace [OPTION...] COMMAND [ARG...]"
        )
    sandbox = sandbox_of(options)
    from pcache.session.steps.load_probes import Probes

    probes = Probes(ring_bytes(options.get("ring-size")))
    probes.start()  # the kernel works on them while Python imports the rest
    from pcache.session.steps.record import Options
    from pcache.session.verbs.trace import Trace

    json = options.get("json")
    try:
        return Trace(
            [os.fsencode(word) for word in command],
            Options(
                as_root=bool(options.get("as-root")),
                quiet=bool(options.get("quiet")),
                explain=bool(options.get("explain")),
                json=None if json is None else str(json),
                sandbox=sandbox,
                timing=bool(options.get("timing")),
            ),
            probes,
        ).run()
    finally:
        probes.close()


def ring_bytes(option: str | bool | None) -> int:
    """The size that --ring-size asks for: MiB, or KiB with a final K.  Raises UsageError."""
    if option is None:
        return 128 << 20  # so that 100 MB of output fit while the disk is slow
    text = str(option)
    unit, number = (1 << 10, text[:-1]) if text.endswith("K") else (1 << 20, text)
    size = int(number) * unit if number.isdigit() else 0
    if size < 4096 or size & (size - 1) or size > 1 << 30:
        raise UsageError(f"--ring-size {text}: a power of two from 4K to 1024 (MiB)")
    return size
