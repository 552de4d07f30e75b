"""How the evidence for a reason is put."""

from __future__ import annotations


def text(path: bytes) -> str:
    """A path for people."""
    return path.decode(errors="backslashreplace")
