"""Sizes and ages as people write them."""

from __future__ import annotations

_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_AGES = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def size(text: str) -> int:
    """Bytes of `500M`, `10 GiB`, `1.5G`, `4096`: units are powers of 1024.  Raises ValueError."""
    digits = text.strip().upper()
    for suffix in ("IB", "B"):
        digits = digits.removesuffix(suffix)
    unit = digits[-1:] if digits[-1:].isalpha() else ""
    number = digits.removesuffix(unit).strip()
    if unit not in _SIZES or not number.replace(".", "", 1).isdigit():
        raise ValueError(f"{text!r} is no size: write for example 500M or 10G")
    return int(float(number) * _SIZES[unit])


def age(text: str) -> int:
    """Seconds of `90m`, `12h`, `30d`, `2w`.  Raises ValueError."""
    number, unit = text.strip()[:-1], text.strip()[-1:]
    if unit not in _AGES or not number.isdigit():
        raise ValueError(f"{text!r} is no age: write for example 12h, 30d or 2w")
    return int(number) * _AGES[unit]


def size_text(count: int) -> str:
    """Bytes for people."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.1f} {unit}" if unit != "B" else f"{count} B"
        amount /= 1024
    return f"{amount:.1f} TiB"
