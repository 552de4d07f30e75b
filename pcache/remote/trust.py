"""Who is believed: what is shared is signed (Ed25519), and settings list whose signatures count.

A signature is over the kind of object and its bytes, so that one object cannot pass for another.
"""

from __future__ import annotations

import os
from binascii import a2b_base64, b2a_base64

from pcache.codec import DamagedRow, pack, unpack
from pcache.remote.errors import RemoteError, Untrusted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

OUTCOME, MANIFEST = b"pcache outcome 1", b"pcache manifest 1"
PATH_SET = b"pcache path set 1"
"""Kinds of object that are signed."""

_PREFIX = b"ed25519:"
_SECRET_PREFIX = b"ed25519-secret:"
_SEED, _PUBLIC, _SIGNATURE = 32, 32, 64


class Signer:
    """A signing key.  Raises RemoteError if it is none."""

    def __init__(self, text: bytes) -> None:
        from nacl.signing import SigningKey

        text = text.strip()
        try:
            seed = a2b_base64(text.removeprefix(_SECRET_PREFIX), strict_mode=True)
        except ValueError:
            seed = b""
        if not text.startswith(_SECRET_PREFIX) or len(seed) != _SEED:
            raise RemoteError("this is no signing key", "make one: pcache key new FILE")
        self._key = SigningKey(seed)
        self.public = bytes(self._key.verify_key)

    def sign(self, kind: bytes, data: bytes) -> bytes:
        """The data with its signature, for `Trust.opened`."""
        signature = self._key.sign(kind + b"\0" + data).signature
        return pack((kind, self.public, signature, data))


class Trust:
    """The public keys that are believed."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        """`keys` as `public_text` gives them."""
        self._keys = {a2b_base64(key.removeprefix(_PREFIX)) for key in keys}

    def add(self, public: bytes) -> None:
        """Our own one."""
        self._keys.add(public)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def opened(self, kind: bytes, signed: bytes) -> bytes:
        """What was given to `Signer.sign`.  Raises Untrusted."""
        try:
            found, public, signature, data = unpack(signed)
        except (DamagedRow, ValueError):
            raise Untrusted("an object of the shared store makes no sense") from None
        if found != kind:
            raise Untrusted("an object of the shared store is of another kind than its place says")
        if public not in self._keys:
            raise Untrusted(f"nobody believed has signed it, but {public_text(public).decode()}")
        if not _is_signed(public, signature, kind + b"\0" + data):
            raise Untrusted("a signature in the shared store is forged")
        return data


def _is_signed(public: bytes, signature: bytes, data: bytes) -> bool:
    # What nacl.signing calls: it imports all else that there is, 20 ms of what a look-up takes.
    from nacl._sodium import ffi, lib

    if (len(public), len(signature)) != (_PUBLIC, _SIGNATURE):
        return False
    signed = signature + data
    opened, size = ffi.new("unsigned char[]", len(signed)), ffi.new("unsigned long long *")
    return bool(lib.crypto_sign_open(opened, size, signed, len(signed), public) == 0)


def public_text(public: bytes) -> bytes:
    """A public key as settings have it."""
    return _PREFIX + b2a_base64(public, newline=False)


def new_secret() -> bytes:
    """A new signing key, as its file has it."""
    return _SECRET_PREFIX + b2a_base64(os.urandom(_SEED))


def find_signer(path: bytes, env: dict[bytes, bytes]) -> Signer | None:
    """The key that the environment or the settings give; None if neither does, or there is no such
    file.  Raises RemoteError for something that is no key."""
    text = env.get(b"PCACHE_SIGNING_KEY", b"")
    if not text and path:
        try:
            with open(path, "rb") as file:
                if os.fstat(file.fileno()).st_mode & 0o077:
                    raise RemoteError(
                        f"others may read the signing key {os.fsdecode(path)}",
                        f"chmod 600 {os.fsdecode(path)}; and make a new one",
                    )
                text = file.read(1024)
        except OSError:
            return None
    return Signer(text) if text else None
