"""What values of settings have to be, beside their types."""

from __future__ import annotations

from pcache.settings import units

SCHEMES = ("s3://", "gs://", "az://", "https://", "http://", "file:///")
"""Of the stores that can be shared."""
LONGEST_TIMEOUT_S = 60
_KEY_BYTES = 32


def checked_size(value: str) -> str:
    """Itself; raises ValueError."""
    units.size(value)
    return value


def checked_age(value: str) -> str:
    """Itself; raises ValueError."""
    units.age(value)
    return value


def checked_url(value: str) -> str:
    """Itself; raises ValueError."""
    if not value.startswith(SCHEMES):
        raise ValueError(f"a store begins with one of {' '.join(SCHEMES)}")
    return value


def checked_key(value: str) -> str:
    """Itself; raises ValueError."""
    from binascii import a2b_base64

    kind, _, encoded = value.partition(":")
    try:
        if kind == "ed25519" and len(a2b_base64(encoded, strict_mode=True)) == _KEY_BYTES:
            return value
    except ValueError:
        pass
    raise ValueError("a key is written as ed25519: and 44 characters, as `pcache key` prints it")
