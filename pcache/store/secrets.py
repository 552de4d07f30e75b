"""Variables that look like secrets: a keyed digest of the value is kept, which tells calls apart.

The key is the store's own, so that nothing can be learnt from a digest without it.
"""

from __future__ import annotations

import os

from pcache.errors import StoreError
from pcache.linux.files import open_file, open_private_file
from pcache.pattern import Pattern
from pcache.settings.rules import matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WORDS = (
    *(b"TOKEN", b"SECRET", b"PASSWORD", b"PASSWD", b"PASSPHRASE", b"CREDENTIAL", b"APIKEY"),
    *(b"API_KEY", b"ACCESS_KEY", b"PRIVATE_KEY", b"ENCRYPTION_KEY", b"SIGNING_KEY", b"ACCOUNT_KEY"),
    *(b"ACCESSKEY", b"PRIVATEKEY", b"ENCRYPTIONKEY", b"SIGNINGKEY", b"ACCOUNTKEY"),
    *(b"BEARER", b"AUTHORIZATION", b"COOKIE", b"USERPWD"),
)
"""In a name, anywhere and in any case."""
_ENDINGS = (
    *(b"_AUTH", b"_PAT", b"_PASS", b"_DSN", b"_PWD", b"_PW", b"_SID", b"_KEY", b"_CREDS"),
    b"JWT",
)
_HARMLESS = (
    *(b"PUBLIC_KEY", b"CACHE_KEY", b"PRIMARY_KEY", b"FOREIGN_KEY", b"SORT_KEY", b"HOT_KEY"),
    b"GPG_KEY",  # the fingerprint of who signs Python, in every image of it
)
"""Endings of names of keys that open nothing."""
_WITH_PASSWORD = Pattern(rb"://[^/@\s]*:([^/@\s]*)@")
"""In a value: `postgres://me:secret@host/`, a proxy."""
_NAME, _KEY_BYTES = b"/secrets.key", 32
_HIDDEN = b"\x01secret:"


def looks_secret(name: bytes, value: bytes, names: Sequence[bytes] = ()) -> bool:
    """Whether a variable is taken for one; `names`: `Policy.secret_env`."""
    for pattern in reversed(names):
        if matches(pattern.removeprefix(b"!"), name):
            return not pattern.startswith(b"!")
    upper = name.upper()
    if any(word in upper for word in _WORDS):
        return True
    if upper.endswith(_ENDINGS) and not upper.endswith(_HARMLESS):
        return True
    return b"://" in value and _WITH_PASSWORD.search(value) is not None


def passwords(value: bytes) -> list[bytes]:
    """Those in the addresses that a value has."""
    found: list[bytes] = _WITH_PASSWORD.findall(value)
    return found


def is_hidden(value: bytes) -> bool:
    """Whether this is what `Secrets.hide` puts in place of a value."""
    return value.startswith(_HIDDEN)


class Secrets:
    """Of one store."""

    def __init__(self, directory: bytes, names: Sequence[bytes]) -> None:
        """`names`: `Policy.secret_env`."""
        self._names = names
        self._path = directory + _NAME
        self._key = b""

    def hide(self, entries: Iterable[bytes]) -> tuple[bytes, ...]:
        """`NAME=value` entries, without the values of secrets.  Raises StoreError."""
        return tuple([self._hidden(entry) for entry in entries])

    def _hidden(self, entry: bytes) -> bytes:
        name, _, value = entry.partition(b"=")
        if not looks_secret(name, value, self._names) or is_hidden(value):
            return entry
        from _blake2 import blake2b

        digest = blake2b(value, digest_size=16, key=self._key or self._read()).hexdigest()
        return name + b"=" + _HIDDEN + digest.encode()

    def _read(self) -> bytes:
        """The key, made if there is none."""
        try:
            if not os.path.lexists(self._path):
                self._make()
            with open(open_file(self._path), "rb") as file:
                self._key = file.read(_KEY_BYTES)
        except OSError as error:
            raise StoreError(
                f"the key of the store's secrets cannot be had: {error.strerror}"
            ) from error
        if len(self._key) != _KEY_BYTES:
            raise StoreError(f"{os.fsdecode(self._path)} is no key", "remove it: another is made")
        return self._key

    def _make(self) -> None:
        """Whole or not at all, and the first one counts."""
        temporary = b"%b.%d" % (self._path, os.getpid())
        fd = open_private_file(temporary, os.O_WRONLY | os.O_TRUNC)
        with open(fd, "wb") as file:
            file.write(os.urandom(_KEY_BYTES))
        try:
            os.link(temporary, self._path)
        except FileExistsError:
            return
        finally:
            os.unlink(temporary)
