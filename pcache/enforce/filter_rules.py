"""What a seccomp filter is built from: types that its builder and those who ask for it share."""

from __future__ import annotations

Condition = tuple[tuple[int, str, int], ...]
"""(argument number, `==` or `!=`, value), all of which must hold."""
Rule = tuple[str, Condition]
"""A system call that notifies, and when."""
Refusal = tuple[str, int, Condition]
"""A system call that fails by itself: its name, the error, and when."""
