"""What the verbs that ask about sessions share."""

from __future__ import annotations

import sys

from pcache.errors import StoreError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import BaseModel

    from pcache.store.index import Store


def open_store() -> Store:
    """The user's store.  Raises StoreError if there is none."""
    from pcache.linux.user import User
    from pcache.store.index import Store

    try:
        return Store.open(User.current().store_dir, create=False)
    except StoreError as error:
        raise StoreError(
            f"nothing was recorded yet: {error}", "record something: sudo pcache run COMMAND"
        ) from error


def at_most(verb: str, limit: int, words: Sequence[str]) -> None:
    """Raises UsageError if there are more arguments than the verb takes."""
    if len(words) > limit:
        raise UsageError(f"{verb} takes at most {limit} arguments, not {words[limit]!r}")


def write(lines: Iterable[str]) -> None:
    """Data, on stdout."""
    for line in lines:
        # Surrogates: of names that are no UTF-8.
        sys.stdout.write(line.encode(errors="surrogateescape").decode(errors="replace") + "\n")


def write_model(model: BaseModel) -> None:
    """The same as JSON."""
    sys.stdout.write(model.model_dump_json(indent=1) + "\n")
