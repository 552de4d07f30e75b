"""A rule as the fields that it is stored as and digested from."""

from __future__ import annotations

from pcache.codec import pack, unpack
from pcache.settings.rules import Rule

FIELDS = 9


def unpack_rule(fields: list[bytes]) -> Rule:
    """The rule of `FIELDS` fields.  Raises ValueError or DamagedRow."""
    pattern, env, paths, extra, never, strict, order, failures, allow = fields
    return Rule(
        pattern,
        tuple(unpack(env)),
        tuple(unpack(paths)),
        tuple(unpack(extra)),
        never or None,
        _flag(strict),
        _flag(order),
        _flag(failures),
        tuple(unpack(allow)),
    )


def _flag(field: bytes) -> bool | None:
    return field == b"1" if field else None


def pack_flag(flag: bool | None) -> bytes:
    """`1` or `0`; empty for None."""
    return b"" if flag is None else b"%d" % flag


def pack_rule(rule: Rule) -> tuple[bytes, ...]:
    """The fields that a rule is stored as."""
    return (
        rule.pattern,
        pack(rule.ignore_env),
        pack(rule.ignore_paths),
        pack(rule.extra_inputs),
        rule.never_cache or b"",
        pack_flag(rule.strict),
        pack_flag(rule.mtime_order),
        pack_flag(rule.cache_failures),
        pack(rule.allow),
    )
