"""The configuration, in a compiled form that costs next to nothing to read.

The files are parsed and checked by `pcache.settings.configfile` only when they have changed; the
outcome is kept in the store.
"""

from __future__ import annotations

import os
import time

from pcache.codec import DamagedRow, pack, unpack
from pcache.linux.files import open_file, replace_private_file
from pcache.linux.stamps import lasts
from pcache.settings.locations import project_file, user_file
from pcache.settings.rule_fields import FIELDS, pack_flag, pack_rule, unpack_rule
from pcache.settings.rules import DEFAULT, Policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.linux.user import User

_FORMAT = b"pcache config 6"


def load(user: User, cwd: bytes) -> Policy:
    """The rules for commands in `cwd`.  Raises ConfigError for a file that makes no sense."""
    paths = [path for path in (user_file(user), project_file(user, cwd)) if path is not None]
    stamps = [stamp for stamp in map(_stamp, paths) if stamp]
    if not stamps:
        return DEFAULT
    cache = user.store_dir + b"/config.cache"
    known = _read(cache, stamps)
    if known is not None:
        return known
    from pcache.settings.configfile import compile_files

    policy = compile_files(paths)
    _write(cache, stamps, policy)
    return policy


def _stamp(path: bytes) -> bytes:
    """What tells one state of a file from another; empty if there is none."""
    try:
        st = os.stat(path)
    except OSError:
        return b""
    numbers = (st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
    now = time.time_ns()
    if not lasts(st.st_ctime_ns, now):
        return path + b"\0%d" % now  # like no other
    return path + b"\0%d %d %d %d %d" % numbers


def _read(cache: bytes, stamps: list[bytes]) -> Policy | None:
    try:
        with open(open_file(cache), "rb", buffering=0) as file:
            name, key, max_size, history, compress, *rest = unpack(file.readall())
        allow, deny, base, remote, secret, digest, *fields = rest
        if name != _FORMAT or key != pack(stamps):
            return None
        rules = [unpack_rule(fields[at : at + FIELDS]) for at in range(0, len(fields), FIELDS)]
        sandbox = tuple(unpack(allow)), tuple(unpack(deny))
        names = tuple(unpack(secret))
    except (OSError, DamagedRow, ValueError):
        return None
    limit, kept = (int(number) if number else None for number in (max_size, history))
    shared = remote, names
    return Policy(tuple(rules), limit, digest, compress == b"1", *sandbox, base, kept, *shared)


def _write(cache: bytes, stamps: list[bytes], policy: Policy) -> None:
    """Keeps the compiled form; that it cannot be kept is no error."""
    fields = [field for rule in policy.rules for field in pack_rule(rule)]
    numbers = policy.max_size, policy.history
    size, history = (b"" if number is None else b"%d" % number for number in numbers)
    sandbox = pack(policy.allow), pack(policy.deny)
    flag, base = pack_flag(policy.compress), policy.base_dir
    shared = policy.remote, pack(policy.secret_env)
    head = (_FORMAT, pack(stamps), size, history, flag, *sandbox, base, *shared)
    try:
        replace_private_file(cache, pack((*head, policy.digest, *fields)))
    except OSError:
        return
