"""What a configuration says about a shared store: the table `[remote]`."""

from __future__ import annotations

from pcache.codec import pack, unpack

NEVER, CI, ALWAYS = b"never", b"ci", b"always"
"""Values of `push`: whether what was recorded is pushed when a command has ended."""

HOME, USER, HOST = b"home", b"user", b"host"
"""Values of `map`: what may differ between machines, where it does not show."""

TIMEOUT_MS = 1000


class Remote:
    """Where the shared store is, whom to believe, and what may be given to it."""

    __slots__ = (
        "endpoint",
        "key",
        "map",
        "portable",
        "push",
        "region",
        "restore",
        "timeout_ms",
        "trust",
        "url",
    )

    def __init__(
        self,
        url: bytes,
        endpoint: bytes = b"",
        region: bytes = b"",
        push: bytes = NEVER,
        key: bytes = b"",
        trust: tuple[bytes, ...] = (),
        timeout_ms: int = TIMEOUT_MS,
        map: tuple[bytes, ...] = (),
        portable: tuple[bytes, ...] = (),
        restore: tuple[bytes, ...] = (),
    ) -> None:
        self.url = url
        self.endpoint = endpoint
        self.region = region
        self.push = push
        self.key = key
        """File with the signing key; empty: none."""
        self.trust = trust
        """Public keys (`ed25519:BASE64`) whose outcomes are believed."""
        self.timeout_ms = timeout_ms
        """For one look-up."""
        self.map = map
        self.portable = portable
        """Globs as of `Rule.pattern`: programs that do the same on every processor, with all that
        they start."""
        self.restore = restore
        """Directories that outcomes of others may write to, besides the command's own."""

    def packed(self) -> bytes:
        """The settings as one string, for `unpacked`."""
        return pack(
            (
                self.url,
                self.endpoint,
                self.region,
                self.push,
                self.key,
                b"%d" % self.timeout_ms,
                *(pack(many) for many in (self.trust, self.map, self.portable, self.restore)),
            )
        )


def unpacked(packed: bytes) -> Remote:
    """The settings given to `Remote.packed`.  Raises DamagedRow or ValueError."""
    url, endpoint, region, push, key, timeout, *lists = unpack(packed)
    trust, mapped, portable, restore = (tuple(unpack(many)) for many in lists)
    return Remote(url, endpoint, region, push, key, trust, int(timeout), mapped, portable, restore)
