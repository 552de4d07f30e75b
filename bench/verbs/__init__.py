"""The verbs of the command line, a file for each."""

from pathlib import Path

LATEST = Path(__file__).parent.with_name("results") / "local/latest.json"
"""Where results go and are looked for if nothing else is said."""


class BadRequest(Exception):
    """What was asked for cannot be done."""
