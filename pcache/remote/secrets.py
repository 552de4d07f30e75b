"""What is never given to others: what looks like a secret, and the values of secret variables."""

from __future__ import annotations

import re

from pcache.store.secrets import is_hidden, looks_secret, passwords

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_CONTENTS = re.compile(
    rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"
    rb"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    rb"|\bgh[pousr]_[0-9A-Za-z]{36}"
    rb"|\bgithub_pat_[0-9A-Za-z_]{40}"
    rb"|\bglpat-[0-9A-Za-z_-]{20}"
    rb"|\bxox[abprs]-[0-9A-Za-z-]{10}"
    rb"|\bsk_live_[0-9A-Za-z]{20}"
    rb"|\bAIza[0-9A-Za-z_-]{35}\b"
    rb"|\bnpm_[0-9A-Za-z]{36}\b"
    rb"|\bed25519-secret:[0-9A-Za-z+/=]{44}"
)
"""Keys and tokens that tell by their form what they are."""

_SIGNS = (
    *(b"PRIVATE KEY", b"AKIA", b"ASIA", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"),
    *(b"github_pat_", b"glpat-", b"xoxa-", b"xoxb-", b"xoxp-", b"xoxr-", b"xoxs-"),
    *(b"sk_live_", b"AIza", b"npm_", b"ed25519-secret:"),
)
"""What every match of `_CONTENTS` has in it: found forty times as fast."""

_SHORTEST = 8
"""Bytes of a variable's value that is looked for in contents."""
LONGEST = 4096
"""Bytes that a match, or a value looked for, may be long: what pieces have to overlap by."""


def secret_names(environment: Iterable[bytes], names: Sequence[bytes]) -> Iterator[bytes]:
    """Names of those variables (`NAME=value`) that hold secrets; `names`: `Policy.secret_env`."""
    for entry in environment:
        name, _, value = entry.partition(b"=")
        if value and (looks_secret(name, value, names) or is_hidden(value)):
            yield name


def secret_values(env: dict[bytes, bytes], names: Sequence[bytes]) -> frozenset[bytes]:
    """Values of the variables that hold secrets; `names`: `Policy.secret_env`."""
    return frozenset(
        secret
        for name, value in env.items()
        if looks_secret(name, value, names)
        for secret in (value, *passwords(value))
        if _SHORTEST <= len(secret) <= LONGEST
    )


def has_secret(data: bytes, values: Iterable[bytes]) -> bool:
    """Whether something in a piece of a content looks like a secret, or is one of the values."""
    if any(sign in data for sign in _SIGNS) and _CONTENTS.search(data) is not None:
        return True
    return any(value in data for value in values)
