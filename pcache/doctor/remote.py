"""The shared store, if settings name one."""

from __future__ import annotations

import marshal
import os

from pcache.doctor.attempt import from_fork
from pcache.doctor.result import FAIL, OK, WARN, Result
from pcache.errors import PcacheError
from pcache.linux.user import User
from pcache.settings import config
from pcache.settings.remote import NEVER, unpacked

_NOBODY = b"\0" * 32


def remote() -> Result:
    """Whether a shared store answers, whom it is believed, and whether there is a key to push."""
    answer = from_fork(_answer)
    return Result(*marshal.loads(answer)) if answer else Result(FAIL, "the attempt was killed")


def _answer() -> bytes:
    """As the user: what settings say and name is his, and so are the rights to look at it."""
    try:
        user = User.invoking() if os.geteuid() == 0 else User.current()
        user.become()
        found = _look(user)
    except PcacheError as error:
        remedy = error.remedy or "see docs/remote.md: credentials, endpoint, region"
        found = Result(FAIL, str(error), remedy)
    except Exception as error:
        found = Result(FAIL, f"internal error: {error!r}")
    return marshal.dumps((found.status, found.reason, found.remedy))


def _look(user: User) -> Result:
    """Raises PcacheError."""
    try:
        packed = config.load(user, os.getcwdb()).remote
        if not packed:
            return Result(OK, "none is configured")
        settings = unpacked(packed)
        from pcache.remote.credentials import without_passwords
        from pcache.remote.objects import ObjectShelf
        from pcache.remote.trust import find_signer

        signer = find_signer(settings.key, user.env)
        ObjectShelf(settings, user.env).path_sets(_NOBODY)
    except ImportError as error:
        return Result(FAIL, f"it needs a package: {error}", "pip install 'pcache[remote]'")
    url = without_passwords(os.fsdecode(settings.url))
    text = f"{url} answers; {len(settings.trust)} keys are trusted"
    if settings.push != NEVER and signer is None:
        return Result(WARN, f"{text}; none to push with", "pcache key new FILE, and key = FILE")
    if not settings.trust and signer is None:
        return Result(WARN, f"{text}, so nothing is believed", "list keys in trust")
    return Result(OK, text)
