"""SHA-256 without what `hashlib` imports: for short strings, as OpenSSL's is faster with long ones.

What others may be given is named by it, as nobody can make two things that have it in common.
"""

from __future__ import annotations

try:
    from _sha256 import sha256
except ImportError:  # Python 3.12 and later
    from _sha2 import sha256

SIZE = 32


def sha256_digest(data: bytes | memoryview) -> bytes:
    """The digest, 32 bytes."""
    digest: bytes = sha256(data).digest()
    return digest


__all__ = ["SIZE", "sha256", "sha256_digest"]
