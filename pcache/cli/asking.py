"""What the verbs that ask about sessions share."""

from __future__ import annotations

import os
import sys

from pcache.errors import StoreError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import BaseModel

    from pcache.store.index import Store


def open_store(here: bool = False) -> Store:
    """The user's store; `here`: by the settings in this directory, which say where `base_dir` is.

    Raises NoStore if there is none, StoreError and ConfigError.
    """
    from pcache import api
    from pcache.linux.user import User
    from pcache.settings import config

    return api.open_store(config.load(User.current(), os.getcwdb()) if here else None)


def trim_history(store: Store, horizon_ns: int) -> None:
    """Removes the notes on sessions that began before a time.  Raises StoreError."""
    from pcache.history.log import trim

    try:
        trim(store.directory, horizon_ns)
    except OSError as error:
        raise StoreError(
            f"the notes on sessions stay: {os.fsdecode(error.filename)}: {error.strerror}",
            "remove it: what was recorded does not depend on it",
        ) from error


def at_most(verb: str, limit: int, words: Sequence[str]) -> None:
    """Raises UsageError if there are more arguments than the verb takes."""
    if len(words) > limit:
        raise UsageError(f"{verb} takes at most {limit} arguments, not {words[limit]!r}")


def number(name: str, options: Mapping[str, str | bool], default: str) -> int:
    """The value of `-n`.  Raises UsageError."""
    value = str(options.get("number", default))
    if not value.isdigit():
        raise UsageError(f"{name} {value}: it is a number")
    return int(value)


def write(lines: Iterable[str]) -> None:
    """Data, on stdout."""
    for line in lines:
        # Surrogates: of names that are no UTF-8.
        sys.stdout.write(line.encode(errors="surrogateescape").decode(errors="replace") + "\n")


def write_model(model: BaseModel) -> None:
    """The same as JSON."""
    sys.stdout.write(model.model_dump_json(indent=1) + "\n")
