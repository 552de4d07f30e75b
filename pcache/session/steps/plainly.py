"""The command without pcache: whatever is wrong with us is no reason for it not to run."""

from __future__ import annotations

import os

from pcache.counters import Counters
from pcache.session.steps.reporting import say, say_trouble, write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.session.steps.options import Options


def plainly(words: list[bytes], options: Options, error: Exception) -> int:
    """Becomes it, having told why; an exit status if that fails.

    Not where a sandbox was asked for, which has to be put together first, nor as root for somebody
    who called sudo.  Raises CommandNotFound or CommandNotExecutable, and `error` then.
    """
    if options.sandbox is not None or (os.geteuid() == 0 and b"SUDO_UID" in os.environb):
        raise error
    from pcache.enforce.spawn import execute_or_tell
    from pcache.session.steps.command import Command

    say_trouble(error)
    say("pcache: the command runs without pcache")
    command = Command(words)
    write_json(options.json, None, Counters())
    return execute_or_tell(command.to_execute())
