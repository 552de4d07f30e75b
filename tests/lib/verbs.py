"""The verbs that run a command, as one argument list each, so that a test can try them all."""

from __future__ import annotations

VERBS = {
    "trace": ["trace", "-q", "--as-root"],
    "trace in a sandbox": ["trace", "-q", "--as-root", "--no-network"],
    "run": ["run", "-q", "--as-root"],
    "replay": ["replay", "-q"],
}


def aloud(verb: str) -> list[str]:
    """The same with what pcache says about it."""
    return [word for word in VERBS[verb] if word != "-q"]
