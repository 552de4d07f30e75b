"""The verb `service`."""

from __future__ import annotations

import sys

from pcache.cli.options import parse
from pcache.errors import UsageError

SUMMARY = "let members of a group record without sudo: install, start, stop or look at the service"

HELP = """\
usage: sudo pcache service install|start|stop|status [OPTION...]

The service keeps the probes ready and records for members of the group `pcache`, who then type
`pcache run` and `pcache trace` without sudo.  It may load probes and nothing else: it is not root,
reads no file of theirs and tells each of them of his own programs only.

  install  make the group and, where there is systemd, the units; compile the probes
  start    let systemd start it; without systemd, or with --socket, serve in the foreground
  stop     let systemd stop it
  status   whether it answers

options:
      --socket PATH   where to listen, or to look (default /run/pcache/recorder.sock); users name
                      another one by PCACHE_SOCKET
      --group NAME    who may use it (default pcache)
      --idle SECONDS  end after so long without a session (default: 300 under systemd, else never)
      --json          as JSON, a line for each thing that is done: see docs/json.md
  -h, --help          this text

exit status: 0, 1 if `status` finds none, 2 wrong usage, 125 it failed

examples:
  sudo pcache service install
  sudo usermod --append --groups pcache "$USER"
  sudo pcache service start --socket /run/pcache/recorder.sock
"""

OPTIONS = {"--socket": "socket=", "--group": "group=", "--idle": "idle=", "--json": "json"}
_WHAT = ("install", "start", "stop", "status")


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    what, *rest = args or [""]
    if what not in _WHAT:
        # `parse` knows --help.
        parse(args, OPTIONS)
        raise UsageError(f"service {what}: it is one of {', '.join(_WHAT)}")
    options, more = parse(rest, OPTIONS)
    if more:
        raise UsageError(f"service {what} takes no argument: {more[0]!r}")
    idle = options.get("idle")
    if idle is not None and not str(idle).isdigit():
        raise UsageError(f"--idle {idle}: a number of seconds")
    from pcache.session.verbs.service import Settings, install, start, status, stop

    settings = Settings(
        None if "socket" not in options else str(options["socket"]),
        str(options.get("group", "pcache")),
        None if idle is None else float(idle),
    )
    as_json = bool(options.get("json"))
    if what == "status":
        said, found = status(settings)
        _say(said, as_json, found)
        return 0 if found else 1
    for line in {"install": install, "start": start, "stop": stop}[what](settings):
        _say(line, as_json)
    return 0


def _say(line: str, as_json: bool, answers: bool | None = None) -> None:
    if as_json:
        from pcache.report.schema_upkeep import Service

        line = Service(said=line, answers=answers).model_dump_json()
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
