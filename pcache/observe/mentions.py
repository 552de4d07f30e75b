"""Interpreted programs that say they go by modification times: `[ a -nt b ]`, `os.path.getmtime`.

Which of the files that they look at are compared does not show, nor with which others; that they
compare any does, in what they are told to do.
"""

from __future__ import annotations

import posixpath
import re
from stat import S_ISREG

from pcache.linux.unseen import open_unseen
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation
from pcache.observe.shells import SHELLS

_TOKENS = {
    **dict.fromkeys(
        (*SHELLS, b"fish", b"test", b"["), re.compile(rb"(?:^|[\s\0])-[no]t(?:[\s\0]|$)")
    ),
    **dict.fromkeys((b"python", b"pypy"), re.compile(rb"getmtime|st_mtime")),
    b"perl": re.compile(rb"\bl?stat\b|mtime|(?:^|[\s({,!])-[MAC]\s"),
    b"ruby": re.compile(rb"mtime"),
    **dict.fromkeys((b"node", b"nodejs", b"deno", b"bun"), re.compile(rb"mtime")),
    b"php": re.compile(rb"filemtime|getMTime"),
    b"tclsh": re.compile(rb"\bmtime\b"),
    b"lua": re.compile(rb"modification"),
}
"""By name of the interpreter without its version."""
_CODE = frozenset(
    (
        *(b".sh", b".bash", b".py", b".pyc", b".pl", b".pm", b".rb", b".js", b".mjs"),
        *(b".cjs", b".ts", b".php", b".tcl", b".lua"),
    )
)
"""Endings of what interpreters read as a program."""
_LIBRARIES = (b"/usr/", b"/lib/", b"/lib64/", b"/etc/", b"/opt/")
_PACKAGES = (b"/site-packages/", b"/dist-packages/", b"/node_modules/", b"/gems/")
"""Code for all purposes, of which most is not used."""
_LARGEST = 4 << 20


class Mentions:
    """Remembers of each script whether it goes by times."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes, int, int], bool] = {}

    def times(self, execution: Execution) -> bool:
        """Whether it may compare modification times."""
        name = posixpath.basename(execution.executable).rstrip(b"0123456789.-")
        tokens = _TOKENS.get(name)
        if tokens is None:
            return False
        if tokens.search(bytes(execution.arguments[: execution.argv_size])):
            return True
        words = {posixpath.basename(word) for word in execution.argv()[1:]}
        return any(
            self._in_file(name, tokens, observation)
            for observation in execution.inputs.values()
            if observation.opened and _is_code(observation.name, words)
        )

    def _in_file(self, family: bytes, tokens: re.Pattern[bytes], observation: Observation) -> bool:
        stamp = observation.stamp
        if stamp is None or not S_ISREG(stamp.st_mode):
            return False
        key = family, observation.name, stamp.st_mtime_ns, stamp.st_size
        found = self._known.get(key)
        if found is None:
            try:
                fd = open_unseen(observation.place, stamp.st_uid)
                with open(fd, "rb") as file:
                    found = bool(tokens.search(file.read(_LARGEST)))
            except OSError:
                found = True
            self._known[key] = found
        return found


def _is_code(name: bytes, words: set[bytes]) -> bool:
    """Whether a file is a program by its name, or because it is among the arguments."""
    return (
        (posixpath.splitext(name)[1] in _CODE or posixpath.basename(name) in words)
        and not name.startswith(_LIBRARIES)
        and not any(package in name for package in _PACKAGES)
    )
