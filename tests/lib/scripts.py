"""Scenarios whose command is a shell script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.lib.edits import Edit, append, write
from tests.lib.launch import Stdio
from tests.lib.scenario import ROOT_HIT, Expect, Scenario, Step, only

SCRIPT = "run.sh"
_CHANGED = "\n# Another line: the script itself has to run again, what it starts does not.\n"


def script(
    name: str,
    text: str,
    *edits: Edit,
    shell: str = "dash",
    uncached: Sequence[str] = (),
    may: Sequence[str] = (),
    steps: Sequence[Step] = (),
    env: Mapping[str, str] | None = None,
    stdio: Stdio | None = None,
    first: Expect = ROOT_HIT,
    retrace: bool = True,
    masks: Mapping[str, str] | None = None,
    racy: bool = False,
    retraced: int = 0,
) -> Scenario:
    """`text` run by a shell.

    The scenario gets a step of its own, in which only the script itself changed: everything it
    starts must hit, except the commands that hold one of `uncached`, or perhaps
    of `may`.

    racy: it replaces what it has just read.  Whether pcache gets to see the former content is a
    matter of time, so what hits is left open; what comes out is not.
    """
    if racy:
        first, retrace = Expect(), False
        steps = [replace(step, expect=Expect(), record=True, root_hit=False) for step in steps]
    root = f"{shell} {SCRIPT}"
    comment = Step(
        "only the script changed",
        (append(SCRIPT, _CHANGED),),
        Expect() if racy else only(root, *uncached, may=may),
        root_hit=bool(first.root),
        record=retrace or racy,
    )
    return Scenario(
        name,
        (shell, SCRIPT),
        (write(SCRIPT, text), *edits),
        (comment, *steps),
        env=env or {},
        stdio=stdio or Stdio(),
        first=first,
        retrace=retrace,
        retraced=retraced,
        masks=masks or {},
    )
