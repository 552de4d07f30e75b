"""The directory before the last cd, which only shells that are told to go by it depend on.

It differs with each user's last steps, so it is no part of a call: see `settings.defaults`.
"""

from __future__ import annotations

import posixpath

from pcache.linux.descriptors import OLDPWD, environment_trait, variable_trait
from pcache.model import Kind
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation

SHELLS = frozenset(
    {
        *(b"sh", b"dash", b"bash", b"rbash", b"ksh", b"ksh93", b"mksh", b"zsh", b"ash"),
        *(b"busybox", b"yash", b"posh"),
    }
)
"""Base names of their programs."""
_MENTIONS = (b"OLDPWD", b"cd -", b"~-")
_LONGEST_SCRIPT = 4 << 20
_LEVEL = variable_trait(b"SHLVL")
"""A shell hands on another one than it was handed, and makes that of it."""


def apply(execution: Execution) -> None:
    """Notes that a program's arguments name that directory, or a shell's script does."""
    words = execution.argv()[1:]
    mentioned = _mentioned(b"\0".join(words))
    if not mentioned and posixpath.basename(execution.executable) in SHELLS:
        scripts = [word for word in words[:2] if not word.startswith(b"-")]
        mentioned = any(_mentioned(_content(execution, word)) for word in scripts)
    if mentioned:
        depend_on_variable(execution.image, execution, OLDPWD)


def depend_on_variable(ts: int, execution: Execution, trait: bytes) -> None:
    """An execution went by a variable of its environment, and so did its ancestors, unless they
    were handed another one."""
    value = environment_trait(execution.environment(), trait)
    for at in execution.chain():
        handed = environment_trait(at.environment(), trait)
        if handed == value or trait == _LEVEL:
            at.observe((Kind.TRAIT, trait), Observation(ts, b"", handed))


def _mentioned(text: bytes) -> bool:
    return any(mention in text for mention in _MENTIONS)


def _content(execution: Execution, word: bytes) -> bytes:
    try:
        with open(posixpath.join(execution.cwd or b"/", word), "rb") as file:
            return file.read(_LONGEST_SCRIPT)
    except OSError:
        return b""
