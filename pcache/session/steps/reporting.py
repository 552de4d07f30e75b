"""What a verb that runs a command tells: messages, counters, and to its caller how that ended."""

from __future__ import annotations

import os

from pcache.errors import PcacheError, refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pcache.counters import Counters
    from pcache.timing import Timing

NOT_RUN = "pcache: so the command does not run: --must-record"
NESTED = "already below another pcache: the command runs under that one alone"


def say(text: str) -> None:
    """One line on stderr in one piece; nobody there to read it is no failure."""
    try:
        os.write(2, text.encode(errors="surrogateescape") + b"\n")
    except OSError:
        return


_held: list[str] = []
"""Lines for when the command has ended."""


def say_later(text: str) -> None:
    """One line about the command, for when it has ended (`say_held`).

    What it writes itself is not cut into that way, such as the progress bars of others.  Where
    standard error is a file, it has that open as well, with one offset for both: what is written
    there would move it, and some programs ask where it is (Python, of its stderr).
    """
    _held.append(text)


def say_held() -> None:
    """What was to be said of the command: it has ended, or is run without us."""
    if _held:
        say("\n".join(_held))
        _held.clear()


def say_trouble(error: Exception) -> None:
    """What went wrong, be it foreseen or not; the consequence is for the caller to tell."""
    if isinstance(error, PcacheError):
        say(error.report())
        return
    if "PCACHE_DEBUG" in os.environ:
        from traceback import print_exception

        print_exception(error)
    if isinstance(error, OSError):
        say(f"pcache: {refused(error)}")
        return
    say(f"pcache: internal error: {error!r}")


def afterwards(*steps: Callable[[], object]) -> None:
    """What is left to do when the command has ended: its status counts, whatever happens here."""
    for step in steps:
        try:
            step()
        except Exception as error:
            say_trouble(error)


def say_denied(denied: dict[str, int]) -> None:
    """What the sandbox made fail, by feature: the command may have done something else instead."""
    for feature, count in sorted(denied.items()):
        say(f"pcache: denied {feature} {count} times; to let it: --allow {feature}")


def say_timing(timing: Timing) -> None:
    """What `--timing` asks for."""
    if timing.on:
        say("\n".join(timing.lines()))


def end(status: int) -> int:
    """The exit status for a wait status; a death by signal becomes ours, so there is none."""
    signal = status & 0x7F
    if not signal:
        return status >> 8 & 0xFF
    from pcache.enforce import signals, syscalls

    syscalls.forbid_core(0)
    signals.die_by(signal)
    return 128 + signal


def write_json(
    path: str | None, status: int | None, counters: Counters, more: dict[str, object] | None = None
) -> None:
    """Writes what `--json` asks for; failing to costs only that."""
    if path is None:
        return
    import json

    # As pcache.report.schema.Counted has it: pydantic would cost more than the command.
    report = {"version": 1, "kind": "counters", "status": status, "counters": counters.as_dict()}
    report.update(more or {})
    if counters.timing.on:
        report["timing"] = counters.timing.as_dict()
    try:
        with open(path, "w") as file:
            json.dump(report, file, indent=1)
            file.write("\n")
    except OSError as error:
        say(f"pcache: cannot write {path}: {error.strerror}; the counters are lost")
