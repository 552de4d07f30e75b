"""Whence it comes that a program always runs, for people."""

from __future__ import annotations

from pcache.settings.defaults import AGES, NEVER_CACHED
from pcache.settings.rules import programs_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcache.settings.rules import Policy


def never_because(policy: Policy, executable: bytes, argv: Sequence[bytes]) -> str:
    """What says so, for a program that is never cached: a setting, or a default with its reason."""
    programs = programs_of(executable, argv)
    for rule in reversed(policy.rules):
        if rule.never_cache is not None and any(map(rule.concerns, programs)):
            return f'the setting never_cache of program."{rule.pattern.decode(errors="replace")}"'
    reasons = dict(NEVER_CACHED) | {name: reason for name, _, reason in AGES}
    names = [program.rpartition(b"/")[2] for program in programs]
    return "by default: " + "".join(reasons[name] for name in names if name in reasons)
