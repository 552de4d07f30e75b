"""Who may go by the sizes, and numbers of names, of files that it looks at: `[ -s log ]`.

What is replaced or removed after somebody has looked at it, and was never read, is often another
one each time, as a compiler's old output is.  What there was of it is an input as far as somebody
may have gone by it: that it was there, or its size as well.
"""

from __future__ import annotations

import posixpath

from pcache.model import Kind
from pcache.observe.executions import Execution
from pcache.observe.mentions import Mentions, names_of
from pcache.observe.shells import SHELLS
from pcache.pattern import Pattern
from pcache.settings.defaults import UNWEIGHED
from pcache.settings.rules import Settings, is_given

_TESTING = Pattern(rb"(?:^|[\s\0])-(?:[sN]|ef)(?:[\s\0]|$)")
_SCRIPTED: dict[bytes, Pattern] = {
    **dict.fromkeys((*SHELLS, b"fish", b"test", b"[", b"[["), _TESTING),
    b"zsh": Pattern(rb"(?:^|[\s\0])-(?:[sN]|ef)(?:[\s\0]|$)|\bzstat\b|\([^)\s]*[LlO]"),
    **dict.fromkeys((b"python", b"pypy"), Pattern(rb"stat\b|getsize|st_(?:size|nlink)")),
    b"perl": Pattern(rb"\bl?stat\b|-[sz]\b"),
    b"ruby": Pattern(rb"\bl?stat\b|\bsize|zero\?|empty\?"),
    **dict.fromkeys((b"node", b"nodejs", b"deno", b"bun"), Pattern(rb"\bsize\b|nlink")),
    b"php": Pattern(rb"stat\b|filesize|getSize"),
    b"tclsh": Pattern(rb"\bfile\s+(?:size|l?stat)\b"),
    b"java": Pattern(rb"\blength\(|[sS]ize\("),
    b"cmake": Pattern(rb"\bSIZE\b"),
}
"""By name of the interpreter without its version: what says that it may go by them."""
_UNWEIGHED = {name: options for name, options, _ in UNWEIGHED}


def apply(execution: Execution, settings: Settings, mentions: Mentions) -> None:
    """Notes the files whose sizes an execution may have gone by, if they were not read."""
    if _weighs(execution, settings, mentions):
        execution.weighed.update(
            key
            for key, observation in execution.inputs.items()
            if key[0] in (Kind.CONTENT, Kind.LCONTENT)
            and observation.stamp is not None
            and observation.value is None
            and not observation.opened
        )


def _weighs(execution: Execution, settings: Settings, mentions: Mentions) -> bool:
    argv = execution.argv()
    names = names_of(execution)
    scripted = [_SCRIPTED[name] for name in names if name in _SCRIPTED]
    if scripted:
        return any(mentions.says(execution, tokens) for tokens in scripted)
    if settings.strict(argv):
        return True
    program = posixpath.basename(execution.executable)
    for name in (program, program.rpartition(b"-")[2], names[0], names[0].rpartition(b"-")[2]):
        options = _UNWEIGHED.get(name)
        if options is not None:
            return any(is_given(option, argv[1:]) for option in options)
    return True
