"""Who goes by inode numbers or times of change (ctime), which a file that is made anew, or given
another mode and its old one again, does not keep: `ls -i`, `find -cnewer`, `os.path.getctime`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from stat import S_ISDIR

from pcache.memo.questions import shown_version, version_value
from pcache.model import Key, Kind
from pcache.observe.accesses.present import is_everybodys, seen_status
from pcache.observe.executions import Execution
from pcache.observe.mentions import Mentions, is_code, names_of
from pcache.observe.observations import OF_THE_SYSTEM, Observation
from pcache.pattern import Pattern
from pcache.settings.defaults import VERSIONED
from pcache.settings.rules import is_given

_OF_PYTHON = Pattern(rb"getctime|(?i:st_ctime|st_ino)|\.inode\(|birthtime")
_OF_NODE = Pattern(rb"ctime|\bino\b|birthtime")
_SCRIPTED: dict[bytes, Pattern] = {
    **dict.fromkeys((b"python", b"pypy"), _OF_PYTHON),
    b"perl": Pattern(rb"ctime\b|->ino\b|\[\s*(?:1|10)\s*\]|(?:^|[\s({,!])-C\s"),
    b"ruby": Pattern(rb"\bctime\b|\bino\b|birthtime"),
    **dict.fromkeys((b"node", b"nodejs", b"deno", b"bun"), _OF_NODE),
    b"php": Pattern(rb"file[ci](?:time|node)|get(?:CTime|Inode)"),
    b"tclsh": Pattern(rb"\bctime\b|\bino\b"),
    b"zsh": Pattern(rb"\bzstat\b|\([^)\s]*(?:[oO]c|c[Mwhms]?[+-]?\d)"),
}
"""By name of the interpreter without its version: what says that it goes by them."""
_VERSIONED = {name: options for name, options, _ in VERSIONED}
_FORMATS = (b"-c", b"--format", b"--printf", b"-f", b"--file-system")
_SHOWN = Pattern(rb"%[-+ #0']*\d*(?:\.\d*)?[iwWzZ]")
"""What stat(1) is to print them by."""
_KINDS = {
    **dict.fromkeys((Kind.CONTENT, Kind.EXISTS, Kind.RESOLVES), Kind.VERSION),
    **dict.fromkeys((Kind.LCONTENT, Kind.LEXISTS, Kind.LINK), Kind.LVERSION),
}
"""Kinds of what was looked at -> kinds of what it was."""


def apply(execution: Execution, mentions: Mentions) -> None:
    """Makes them inputs of an execution that goes by them, of all that it has looked at."""
    argv, names = execution.argv(), names_of(execution)
    if any(_shows(name, argv) for name in names):
        execution.observe_times(_seen(execution, b""))
    elif any(mentions.says(execution, _SCRIPTED.get(name)) for name in names):
        # Interpreters look at where they are, and at all that is above.
        execution.observe_times(_seen(execution, (execution.cwd or b"").rstrip(b"/") + b"/"))


def _shows(program: bytes, argv: list[bytes]) -> bool:
    if program == b"stat":
        arguments = argv[1:]
        formats = [word for word in arguments if word.startswith(_FORMATS)]
        return not formats or bool(_SHOWN.search(b" ".join(arguments)))
    options = _VERSIONED.get(program)
    return options is not None and any(is_given(option, argv[1:]) for option in options)


def _seen(execution: Execution, idle: bytes) -> Iterator[tuple[Key, Observation]]:
    """Of all that it has looked at, but for directories that everybody makes files in, and those
    that lead to `idle`."""
    for (kind, path), observation in list(execution.inputs.items()):
        name, ts = observation.name, observation.ts
        if kind == Kind.LISTING:
            for entry, _ in observation.entries or ():
                place, below = posixpath.join(path, entry), posixpath.join(name, entry)
                value = shown_version(place, follow=False)
                yield (Kind.LVERSION, place), Observation(ts, below, value)
        elif kind in _KINDS and not (name.startswith(OF_THE_SYSTEM) or (idle and is_code(name))):
            status = seen_status(observation)
            if status is None or (
                S_ISDIR(status.st_mode)
                and (is_everybodys(status) or idle.startswith(name.rstrip(b"/") + b"/"))
            ):
                continue
            value = version_value(status.st_ino, status.st_ctime_ns)
            yield (_KINDS[kind], path), Observation(ts, name, value)
