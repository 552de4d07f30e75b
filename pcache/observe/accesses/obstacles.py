"""What kept a call from making, removing or replacing something."""

from __future__ import annotations

import os
import posixpath
import time

from pcache.model import Kind
from pcache.observe.accesses.context import Context
from pcache.observe.accesses.event import Event
from pcache.observe.observations import Observation
from pcache.values import ABSENT, OK


def not_made(context: Context, event: Event, path: bytes, *, alone: bool) -> None:
    """A call that was to make something at `path` failed with ENOENT; `alone`: nothing else can
    have been missing.

    If its directory was missing it must still be: that nothing is at `path` would be true of an
    empty directory as well.
    """
    context.not_only_looking()
    body = event.body
    if b"" in ((body.raw_path,) if body.raw_path2 is None else (body.raw_path, body.raw_path2)):
        return  # what has no name is nowhere
    reached = context.names.canonical(path, follow=True)
    if reached != context.names.canonical(path, follow=False):
        context.led_to(event, path, reached)
        path = reached  # by a dangling link
    parent = posixpath.dirname(path.rstrip(b"/")) or b"/"
    name = context.names.canonical(parent, follow=True)
    observation = Observation(event.ts, name, ABSENT)
    if not alone:
        # Of a call with two paths the other one may be to blame.
        observation.value = OK if os.path.isdir(parent) else ABSENT
        observation.looked = time.monotonic_ns()
    event.execution.observe((Kind.DIRECTORY, parent), observation)


def not_empty(context: Context, event: Event, path: bytes) -> None:
    """A directory could not be removed or replaced for what is in it."""
    context.not_only_looking()
    name = context.names.canonical(path, follow=False)
    if not os.path.isdir(name):
        return
    context.observe(event, Kind.NAMES, path, name)
    now = time.monotonic_ns()
    for execution in event.execution.chain():
        if not execution.determined(name, event.ts):
            execution.prefix_checks.append((name + b"/", event.ts, now))
