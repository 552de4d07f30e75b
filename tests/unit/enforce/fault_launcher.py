"""pcache with a fault built in: one of its functions fails at its Nth call.

usage: fault_launcher.py LIBRARY SITE FAULT VERB [ARG...]

LIBRARY holds pcache, SITE the packages it needs.  FAULT is MODULE:NAME:N:KIND; NAME may have a
class in front (`Store.open`), KIND is `bug` (ZeroDivisionError), `full` (ENOSPC), `many` (EMFILE)
or `kill` (SIGKILL to ourselves).
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from importlib import import_module
from typing import Any


def build_in(fault: str) -> None:
    module, name, count, kind = fault.split(":")
    owner: Any = import_module(module)
    *outer, last = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    kept = vars(owner)[last]
    bound = kept.__func__ if isinstance(kept, classmethod | staticmethod) else kept
    remaining = [int(count)]

    def faulty(*arguments: Any, **keywords: Any) -> Any:
        remaining[0] -= 1
        if remaining[0] == 0:
            if kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if kind == "bug":
                raise ZeroDivisionError("a fault that was built in")
            raise OSError({"full": errno.ENOSPC, "many": errno.EMFILE}[kind], "built in")
        return bound(*arguments, **keywords)

    wrapped = type(kept)(faulty) if bound is not kept else faulty
    setattr(owner, last, wrapped)


library, site, fault = sys.argv[1:4]
del sys.argv[1:4]
sys.path[:0] = [library]
sys.path += [site, "/usr/lib/python3/dist-packages"]
from pcache.cli.main import launch  # noqa: E402

build_in(fault)
launch()
