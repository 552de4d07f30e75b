"""A shelf on an object store: S3 and what speaks like it, Google, Azure, WebDAV, a directory.

| object | what |
| --- | --- |
| `v1/cas/SHA256` | a content |
| `v1/paths/CALL/SHA256` | a signed path set of a call |
| `v1/outcome/STATE` | a signed outcome |
| `v1/manifest/COMMAND/SHA256` | a signed manifest |

All are immutable and named by what is in them or what they are about, so that it makes no
difference who writes one first, and no conditional writes are needed.  Listings are read to their
first page only, and of what they name a few are tried: an attacker can fill a bucket.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import sleep
from typing import Any

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import from_url

from pcache.remote.credentials import configuration, without_passwords
from pcache.remote.errors import Forbidden, RemoteError, Unreachable
from pcache.settings.remote import Remote
from pcache.sha256 import sha256_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.remote.names import Name

_PAGE = 1000
"""Names that are asked for in a listing."""
_TRIED = 8
_MANIFESTS = 3
_SMALL = 32 << 20
"""Bytes: larger outcomes, path sets and manifests are not believed to be any."""
_LOCKED = "423"
"""RFC 4918: a WebDAV server refuses for as long as another one changes the same directory."""
_LOCKED_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8)
_CHUNK = 1 << 20
_BULK = "120s"
_EPOCH = datetime.fromtimestamp(0, UTC)


class ObjectShelf:
    """See `pcache.remote.shelf.Shelf`.  Raises Unreachable for a URL that is none."""

    def __init__(self, remote: Remote, env: dict[bytes, bytes], retries: int = 0) -> None:
        """`retries`: of each request, for who has time."""
        self._prefix = ""
        if remote.url.startswith(b"http"):
            # From the server's root, as the directories above an object are made only below that.
            _, _, rest = os.fsdecode(remote.url).partition("://")
            self._prefix = rest.partition("/")[2].strip("/")
            self._prefix += "/" if self._prefix else ""
        self._quick = _open(remote, env, f"{remote.timeout_ms}ms", retries)
        self._bulk = _open(remote, env, _BULK, retries)

    def path_sets(self, call: Name) -> list[bytes]:
        names = self._listed(f"{self._prefix}v1/paths/{call.hex()}", _TRIED)
        return [data for name in names if (data := self._read(name)) is not None]

    def outcome(self, state: Name) -> bytes | None:
        return self._read(f"{self._prefix}v1/outcome/{state.hex()}")

    def manifests(self, command: Name) -> list[bytes]:
        names = self._listed(f"{self._prefix}v1/manifest/{command.hex()}", _MANIFESTS)
        return [data for name in names if (data := self._read(name, self._bulk)) is not None]

    def content(self, name: Name, size: int, write: Callable[[memoryview], None]) -> bool:
        left = size
        with _translated():
            try:
                result = obstore.get(self._bulk, self._content(name))
            except FileNotFoundError:
                return False
            if result.meta["size"] != size:
                return False
            for chunk in result.stream(min_chunk_size=_CHUNK):
                piece = memoryview(chunk)
                left -= len(piece)
                if left < 0:
                    return False
                write(piece)
        return left == 0

    def has_content(self, name: Name, size: int) -> bool:
        return self._has(self._content(name), size)

    def _has(self, name: str, size: int) -> bool:
        with _translated():
            try:
                return int(obstore.head(self._quick, name)["size"]) == size
            except FileNotFoundError:
                return False

    def add_content(self, name: Name, content: bytes | int) -> None:
        if isinstance(content, bytes):
            self._write(self._content(name), content, len(content))
            return
        with open(os.dup(content), "rb") as file:
            file.seek(0)
            self._write(self._content(name), file, os.fstat(content).st_size)

    def add_path_set(self, call: Name, path_set: Name, signed: bytes) -> None:
        self._write(f"{self._prefix}v1/paths/{call.hex()}/{path_set.hex()}", signed, len(signed))

    def add_outcome(self, state: Name, signed: bytes) -> None:
        self._write(f"{self._prefix}v1/outcome/{state.hex()}", signed, len(signed))

    def add_manifest(self, command: Name, signed: bytes) -> None:
        name = f"{self._prefix}v1/manifest/{command.hex()}/{sha256_digest(signed).hex()}"
        self._write(name, signed, len(signed))

    def _listed(self, prefix: str, most: int) -> list[str]:
        """Names of the objects added last, of those on the first page."""
        with _translated():
            try:
                page = next(iter(obstore.list(self._quick, prefix, chunk_size=_PAGE)), ())
            except FileNotFoundError:
                return []
        metas = sorted(page, key=lambda meta: meta["last_modified"] or _EPOCH, reverse=True)
        return [meta["path"] for meta in metas[:most] if meta["size"] <= _SMALL]

    def _read(self, name: str, store: Any = None) -> bytes | None:
        with _translated():
            try:
                result = obstore.get(self._quick if store is None else store, name)
                if result.meta["size"] > _SMALL:
                    return None
                return bytes(result.bytes())
            except FileNotFoundError:
                return None

    def _content(self, name: Name) -> str:
        return f"{self._prefix}v1/cas/{name.hex()}"

    def _write(self, name: str, data: Any, size: int) -> None:
        for pause in _LOCKED_PAUSES_S:
            with _translated():
                try:
                    obstore.put(self._bulk, name, data)
                    return
                except AlreadyExistsError as error:
                    # Or a directory on the way: two may have wanted to make it (WebDAV).
                    if self._has(name, size):
                        return
                    problem = _first_line(error)
                except BaseError as error:
                    problem = _first_line(error)
                    if _LOCKED not in problem:
                        raise
            sleep(pause)  # somebody else is making something there at this moment
        raise Unreachable(f"it does not take {name}: {problem}")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except RemoteError:
        raise
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise Forbidden(f"the shared store refuses: {_first_line(error)}") from None
    except (BaseError, OSError, ValueError, TypeError) as error:
        raise Unreachable(f"the shared store cannot be used: {_first_line(error)}") from None


def _open(remote: Remote, env: dict[bytes, bytes], timeout: str, retries: int) -> Any:
    url = os.fsdecode(remote.url)
    if url.startswith("http"):
        url = "/".join(url.split("/")[:3])
    opened: Any = from_url  # overloaded by what the settings decide
    with _translated():
        if url.startswith("file:"):
            return opened(url, mkdir=True)
        return opened(
            url,
            config=configuration(remote, env),
            client_options={
                "timeout": timeout,
                "connect_timeout": f"{remote.timeout_ms}ms",
                "allow_http": True,
            },
            retry_config={"max_retries": retries},
        )


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return without_passwords(lines[0]) if lines else type(error).__name__
