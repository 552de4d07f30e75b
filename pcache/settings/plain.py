"""Configuration files that are as they should be, told without pydantic, whose import takes longer
than many a command.

`read` takes what `pcache.settings.schema` takes, which alone words what is wrong: a test compares
the two.
"""

from __future__ import annotations

from pcache.settings.checks import (
    LONGEST_TIMEOUT_S,
    checked_age,
    checked_key,
    checked_size,
    checked_url,
)
from pcache.settings.remote import TIMEOUT_MS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from pcache.settings.schema import File

    Check = Callable[[Any], bool]

_SUPERVISED = ("io_uring", "network", "ptrace")
_DENIABLE = (*_SUPERVISED, "32-bit")


class Table:
    """A table: its settings are attributes, as in the models."""

    def __init__(self, given: Mapping[str, Any], checks: Mapping[str, tuple[Check, Any]]) -> None:
        """`checks`: what each value has to be, and the one it has otherwise.

        Raises ValueError if it is not for us to tell what stands there.
        """
        for name, value in given.items():
            if name not in checks or not checks[name][0](value):
                raise ValueError(name)
        self.model_fields_set = set(given)
        for name, (_, default) in checks.items():
            setattr(self, name, given.get(name, default))


def read(found: Mapping[str, Any]) -> File | None:
    """What stands in a file; None if it is for pydantic to tell what is wrong with it."""
    try:
        file: Any = Table(found, _FILE)
        file.sandbox = Table(file.sandbox, _SANDBOX)
        file.program = {name: Table(given, _PROGRAM) for name, given in file.program.items()}
        if file.remote is not None:
            file.remote = Table(file.remote, _REMOTE)
            checked_url(file.remote.url)
        made: File = file
    except ValueError:
        return None
    return made


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_flag(value: object) -> bool:
    return type(value) is bool


def _is_table(value: object) -> bool:
    return type(value) is dict


def _are_tables(value: Any) -> bool:
    return type(value) is dict and all(map(_is_table, value.values()))


def _are_texts(value: Any) -> bool:
    return type(value) is list and all(map(_is_text, value))


def _is_checked(check: Callable[[str], str]) -> Check:
    """Raises ValueError for what is not."""
    return lambda value: type(value) is str and check(value) == value


def _is_one_of(*names: object) -> Check:
    return lambda value: type(value) in (str, bool) and value in names


def _are_of(*names: str) -> Check:
    return lambda value: type(value) is list and all(at in names for at in value)


def _is_timeout(value: object) -> bool:
    return type(value) in (int, float) and 0 < value <= LONGEST_TIMEOUT_S  # type: ignore[operator]


def _are_keys(value: Any) -> bool:
    return _are_texts(value) and all(checked_key(at) == at for at in value)


_TEXTS: tuple[Check, list[str]] = (_are_texts, [])
_FLAG: tuple[Check, None] = (_is_flag, None)
_FILE: dict[str, tuple[Check, Any]] = {
    "max_size": (_is_checked(checked_size), None),
    "compress": _FLAG,
    "history": (_is_checked(checked_age), None),
    "base_dir": (_is_text, None),
    "secret_env": (_are_texts, None),
    "sandbox": (_is_table, {}),
    "remote": (_is_table, None),
    "program": (_are_tables, {}),
}
_SANDBOX: dict[str, tuple[Check, Any]] = {
    "allow": (_are_of(*_DENIABLE), []),
    "deny": (_are_of(*_DENIABLE), []),
}
_REMOTE: dict[str, tuple[Check, Any]] = {
    "url": (_is_text, ""),
    "endpoint": (_is_text, ""),
    "region": (_is_text, ""),
    "push": (_is_one_of("never", "ci", "always"), "never"),
    "key": (_is_text, ""),
    "trust": (_are_keys, []),
    "timeout": (_is_timeout, TIMEOUT_MS / 1000),
    "map": (_are_of("home", "user", "host"), []),
    "portable": _TEXTS,
    "restore": _TEXTS,
}
_PROGRAM: dict[str, tuple[Check, Any]] = {
    "ignore_env": _TEXTS,
    "ignore_paths": _TEXTS,
    "extra_inputs": _TEXTS,
    "never_cache": (_is_one_of("no", "itself", "callers", True, False), None),
    "strict": _FLAG,
    "mtime_order": _FLAG,
    "cache_failures": _FLAG,
    "allow": (_are_of(*_SUPERVISED), []),
}
