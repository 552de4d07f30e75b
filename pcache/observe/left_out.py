"""Variables that are left out of calls, and who goes by them all the same.

They differ with each login or terminal (`settings.defaults`), so that only those depend on them
whose arguments or code name them, or who show their whole environment: as env(1) does.
"""

from __future__ import annotations

from pcache.linux.descriptors import variable_trait
from pcache.model import Outcome
from pcache.observe import makefiles
from pcache.observe.executions import Execution
from pcache.observe.mentions import Mentions, is_interpreter, names_of
from pcache.observe.shells import depend_on_variable
from pcache.pattern import Pattern
from pcache.settings.defaults import IGNORED_ENVIRONMENT, PARALLEL
from pcache.store.blobs import Blobs

_ELSEWHERE = (b"_", b"OLDPWD", *PARALLEL, b"PCACHE_*")
"""What every shell sets anew, `observe.shells`, `conditions.private`, and our own settings."""
_OF_TEMPLATES = (b"envsubst",)
"""What it reads may name any variable."""
_PATH = b"PATH="
_LEAST = 16
"""Bytes: of a shorter search path one may be shown that is not the environment's."""


def _named(variable: bytes) -> bytes:
    prefix = variable.removesuffix(b"*")
    return prefix if prefix == variable else prefix + rb"\w*"


_LEFT_OUT = tuple([name for name, _ in IGNORED_ENVIRONMENT if name not in _ELSEWHERE])
_PATTERNS = {
    name: Pattern(rb"(?<![A-Za-z0-9_])" + _named(name) + rb"(?![A-Za-z0-9_])") for name in _LEFT_OUT
}
_ANY = Pattern(
    rb"(?=[A-Z])(?<![A-Za-z0-9_])(?:" + b"|".join(map(_named, _LEFT_OUT)) + rb")(?![A-Za-z0-9_])"
)


def apply(execution: Execution, mentions: Mentions) -> None:
    """Notes which of them a program's arguments name, or its code."""
    if names_of(execution)[0] in _OF_TEMPLATES:
        _depend_on_all(execution)
    elif _names(execution, mentions, _ANY):
        for variable, pattern in _PATTERNS.items():
            if _names(execution, mentions, pattern):
                _depend(execution, variable)


def _names(execution: Execution, mentions: Mentions, pattern: Pattern) -> bool:
    program = names_of(execution)[0]
    if is_interpreter(program):
        return mentions.says(execution, pattern, environment=False)
    if pattern.search(execution.arguments[: execution.argv_size]):
        return True
    return makefiles.is_make(execution) and any(
        observation.opened
        and observation.name.endswith(makefiles.NAMES)
        and mentions.in_file(pattern, observation)
        for observation in execution.inputs.values()
    )


def depend_on_shown(execution: Execution, outcome: Outcome, blobs: Blobs) -> None:
    """The same of one that shows its environment in something small that it printed or wrote,
    which is told by the search path in it."""
    path = next(
        (one[len(_PATH) :] for one in execution.environment() if one.startswith(_PATH)), b""
    )
    if len(path) < _LEAST:
        return
    digests = [output.content for output in outcome.outputs if output.kind in (b"f", b"w")]
    if outcome.data:
        digests.append(outcome.data)
    if any(path in (blobs.small(digest) or b"") for digest in digests):
        _depend_on_all(execution)


def _depend_on_all(execution: Execution) -> None:
    for variable in _LEFT_OUT:
        _depend(execution, variable)


def _depend(execution: Execution, variable: bytes) -> None:
    depend_on_variable(execution.image, execution, variable_trait(variable))
