"""What makefiles say that make can make: of a file that is read by others, whether it is a source
or a target that was left as it is cannot be told by what is done with it."""

from __future__ import annotations

import os
import posixpath

from pcache.linux.unseen import open_unseen
from pcache.observe.executions import Execution
from pcache.observe.mentions import names_of
from pcache.observe.observations import Observation
from pcache.pattern import Pattern

_MAKE = frozenset((b"make", b"gmake", b"bmake", b"pmake", b"remake", b"ckati"))
_QUOTING = frozenset((b"rake", b"snakemake"))
"""Whose files have all names in quotes."""
NAMES = (b"akefile", b".mk", b".mak", b".make", b".rake", b".smk")
"""How those of makefiles end that have not been given by -f: Makefile, Rakefile, Snakefile."""
_LARGEST = 1 << 20
_BUILT_IN = (b".o", b".lo", b".a", b".la", b".so")
"""What make has rules for, or is hardly ever a source."""
_RULE = Pattern(
    rb"(?m)^([^\t#:=\n][^:=\n]*):(?!=)(?=[^\n]*(?:;|\n(?:[ \t]*(?:#[^\n]*)?\n)*\t)|[^\n]*%)"
)
"""Targets before a recipe, or of a pattern."""
_VARIABLE = Pattern(rb"(?m)^[ \t]*([\w.]+[ \t]*[:?+!]{0,2}=[^\n]*)")
_USE = Pattern(rb"\$[({]([\w.]+)[)}]")
_SUBSTITUTED = rb"\$[({](?:pat)?subst\s[^,]*,([^,]*),(?:[^()]|\([^()]*\))*[)}]"
"""Of which what takes the place of a source's name is a target's."""
_CALLED = rb"\$[({][a-z-]+\s(?:[^(){}]|[({][^(){}]*[)}])*[)}]"
_SUFFIX = Pattern(rb"[%=}](\.\w+)")
"""In patterns, and in what names are substituted by: `$(SOURCES:.c=.o)`."""
_QUOTED = Pattern(rb"[\"']([^\"'\n]+)[\"']")
_QUOTED_SUFFIX = Pattern(rb"[\"'](\.\w+)[\"']")
_DEPTH = 4
"""Of variables in the values of variables."""


def is_make(execution: Execution) -> bool:
    """Whether it reads makefiles."""
    return not _MAKE.isdisjoint(names_of(execution))


def targets(execution: Execution, files: set[bytes]) -> set[bytes]:
    """Those of some files that the makefiles of a program that goes by the order of times may have
    rules for; none if it has no makefiles."""
    names = names_of(execution)
    quoting = not _QUOTING.isdisjoint(names)
    if not quoting and _MAKE.isdisjoint(names):
        return set()
    reader = read_quoted if quoting else read
    words: set[bytes] = set()
    suffixes = set(_BUILT_IN)
    given = {posixpath.basename(word.removeprefix(b"-f")) for word in execution.argv()[1:]}
    for observation in execution.inputs.values():
        name = observation.name
        if observation.opened and (name.endswith(NAMES) or posixpath.basename(name) in given):
            reader(_content(observation), words, suffixes)
    endings = tuple(suffixes)
    return {one for one in files if one.endswith(endings) or posixpath.basename(one) in words}


def _content(observation: Observation) -> bytes:
    try:
        with open(open_unseen(observation.place, os.geteuid()), "rb") as file:
            return file.read(_LARGEST).replace(b"\\\n", b" ")
    except OSError:
        return b""


def read(text: bytes, words: set[bytes], suffixes: set[bytes]) -> None:
    """Adds the targets of a makefile: base names, and how those of patterns end."""
    values: dict[bytes, bytes] = {}
    for variable in _VARIABLE.findall(text):
        name, _, value = variable.partition(b"=")
        name = name.rstrip(b" \t:?+!")
        values[name] = values.get(name, b"") + b" " + value
    found = _without_calls(b" ".join(_RULE.findall(text)))
    used: set[bytes] = set()
    for _ in range(_DEPTH):
        new = set(_USE.findall(found)) - used
        if not new:
            break
        used |= new
        found += b" " + _without_calls(b" ".join([values.get(name, b"") for name in new]))
    suffixes.update(_SUFFIX.findall(found))
    words.update(map(posixpath.basename, found.split()))


def _without_calls(text: bytes) -> bytes:
    """Without functions of make, but for the results of substitutions."""
    from re import sub

    return sub(_CALLED, b"", sub(_SUBSTITUTED, rb"\1", text))


def read_quoted(text: bytes, words: set[bytes], suffixes: set[bytes]) -> None:
    """The same of a file that has targets and sources in quotes alike."""
    found = _QUOTED.findall(text)
    suffixes.update(_QUOTED_SUFFIX.findall(text))
    suffixes.update(_SUFFIX.findall(b" ".join(found)))
    words.update(map(posixpath.basename, found))
