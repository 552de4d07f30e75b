"""Reading and checking configuration files; only done when one has changed, or to show it."""

from __future__ import annotations

import os
import tomllib

from pcache.codec import join
from pcache.errors import ConfigError
from pcache.linux.files import open_file
from pcache.settings import plain, units
from pcache.settings.base_dir import Base
from pcache.settings.locations import PROJECT_FILE
from pcache.settings.remote import Remote
from pcache.settings.rule_fields import pack_rule
from pcache.settings.rules import CALLERS, ITSELF, NO, Policy, Rule
from pcache.sha256 import sha256_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from pcache.settings.schema import File, Program, Shared

_OF_THE_STORE = ("max_size", "compress", "history", "remote")
"""Settings that no project may change."""
_OF_A_PROJECT = ("base_dir",)
"""Settings that only a project has."""

_NEVER = {"no": NO, "itself": ITSELF, "callers": CALLERS, True: ITSELF, False: NO}


class Setting:
    """One line of a configuration file, with where it stands."""

    def __init__(self, pattern: str, name: str, value: object, path: bytes, line: int) -> None:
        self.pattern = pattern
        """Of programs; or `sandbox`, `remote`, or empty."""
        self.name = name
        self.value = value
        self.path = path
        self.line = line


def compile_files(paths: list[bytes]) -> Policy:
    """The rules of all files, later ones having the last word.  Raises ConfigError."""
    rules: list[Rule] = []
    max_size = history = None
    compress = True
    allow: set[str] = set()
    deny: set[str] = set()
    base_dir = remote = b""
    secret_env: tuple[bytes, ...] = ()
    for path in paths:
        if not os.path.lexists(path):
            continue
        file, _ = _parse(path)
        if file.max_size is not None:
            max_size = units.size(file.max_size)
        if file.compress is not None:
            compress = file.compress
        if file.history is not None:
            history = units.age(file.history)
        if file.remote is not None:
            remote = _remote(file.remote, path).packed()
        secret_env += tuple(map(os.fsencode, file.secret_env or ()))
        allow = allow.difference(file.sandbox.deny).union(file.sandbox.allow)
        deny = deny.difference(file.sandbox.allow).union(file.sandbox.deny)
        base = os.path.dirname(path) if _is_project(path) else b""
        if file.base_dir is not None:
            base_dir = _directory(file.base_dir, base, path)
        rules += [
            _rule(pattern, given, base, path)
            for pattern, given in file.program.items()
            if given.model_fields_set  # `config unset` leaves empty tables
        ]
    allowed, denied = (tuple(map(os.fsencode, sorted(names))) for names in (allow, deny))
    return Policy(
        tuple(rules),
        max_size,
        _digest(rules, base_dir),
        compress,
        allowed,
        denied,
        base_dir,
        history,
        remote,
        secret_env,
    )


def _digest(rules: list[Rule], base_dir: bytes) -> bytes:
    """Of what decides about the meaning of records; where `base_dir` is does not, if it is set."""
    fields = []
    if base_dir:
        fields = [b"base_dir"]
        rules = [rule.relative(Base(base_dir)) for rule in rules]
    fields += [field for rule in rules for field in pack_rule(rule)]
    return sha256_digest(join(fields)) if fields else b""


def settings(path: bytes) -> list[Setting]:
    """Everything that a file says, in its order.  Raises ConfigError."""
    file, lines = _parse(path)
    found = []
    for name in (*_OF_THE_STORE, *_OF_A_PROJECT, "secret_env"):
        value = getattr(file, name)
        if value is not None and name != "remote":
            found.append(Setting("", name, value, path, lines.get(("", name), 1)))
    for title, table in (("sandbox", file.sandbox), ("remote", file.remote)):
        for name in sorted(table.model_fields_set if table else ()):
            value = getattr(table, name)
            found.append(Setting(title, name, value, path, lines.get(("", name), 1)))
    for pattern, given in file.program.items():
        for name in sorted(given.model_fields_set):
            line = lines.get((pattern, name), lines.get((pattern, ""), 1))
            found.append(Setting(pattern, name, getattr(given, name), path, line))
    return found


def _parse(path: bytes) -> tuple[File, dict[tuple[str, str], int]]:
    name = os.fsdecode(path)
    try:
        with open(open_file(path, follow=True), "rb") as source:
            text = source.read().decode()
        found = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"cannot read {name}: {error.strerror}") from error
    except ValueError as error:  # TOML or UTF-8
        raise ConfigError(f"{name}: {error}", _REMEDY) from error
    file = plain.read(found) or _model(found, name)
    here = _is_project(path)
    place = "the user's" if here else "a project's"
    for setting in _OF_THE_STORE if here else _OF_A_PROJECT:
        if getattr(file, setting) is not None:
            raise ConfigError(f"{name}: {setting} belongs into {place} file", _REMEDY)
    if here and any(pattern.startswith("!") for pattern in file.secret_env or ()):
        raise ConfigError(f"{name}: secret_env: a project can only add names", _REMEDY)
    return file, _lines(text)


def _model(found: dict[str, object], name: str) -> File:
    """The same by pydantic, which tells what is wrong.  Raises ConfigError."""
    from pydantic import ValidationError

    from pcache.settings.schema import File

    try:
        return File.model_validate(found)
    except ValidationError as error:
        raise ConfigError(f"{name}: {_what_is_wrong(error)}", _REMEDY) from error


def _what_is_wrong(error: ValidationError) -> str:
    from difflib import get_close_matches

    from pcache.settings.schema import TABLES, File

    first = error.errors()[0]
    # Also the places in a list, and which of several forms was tried.
    parts = [part for part in first["loc"] if isinstance(part, str)]
    where = ".".join(part for part in parts if not part.startswith("literal["))
    what = _words(first)
    if first["type"] == "extra_forbidden":
        known = TABLES.get(str(first["loc"][0]), File).model_fields
        near = get_close_matches(str(first["loc"][-1]), known, n=1)
        what = "no such setting" + (f", did you mean {near[0]}?" if near else "")
    return f"{where}: {what}"


_FORMS = {
    "bool_type": "it is true or false",
    "string_type": 'it is a text in quotation marks, such as "20G" or "30d"',
    "list_type": 'it is a list of texts, such as ["network"]',
    "float_type": "it is a number",
    "model_type": "it is a table",
    "dict_type": "it is a table",
}


def _words(error: ErrorDetails) -> str:
    """What is wrong with a value, in words of ours."""
    context = error.get("ctx", {})
    if "error" in context:  # of a ValueError of ours
        return str(context["error"])
    if error["type"] == "literal_error":
        return f"it is one of {context['expected']}"
    if error["type"] in ("greater_than", "less_than_equal"):
        return "it is more than 0, and at most 60"
    if error["type"] == "missing":
        return "it is missing"
    return _FORMS.get(error["type"], error["msg"])


def _is_project(path: bytes) -> bool:
    return path.endswith(b"/" + PROJECT_FILE)


_REMEDY = "`pcache help config` lists the settings"


def _lines(text: str) -> dict[tuple[str, str], int]:
    """(pattern, setting) -> line; (pattern, "") is where its table begins.

    tomllib does not tell.  Only the usual form is understood: a table header, a setting a line.
    """
    found: dict[tuple[str, str], int] = {}
    pattern = ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            try:
                table = tomllib.loads(stripped).get("program", {})
            except tomllib.TOMLDecodeError:
                continue
            pattern = next(iter(table), "")
            found.setdefault((pattern, ""), number)
        elif "=" in stripped:
            found.setdefault((pattern, stripped.partition("=")[0].strip()), number)
    return found


def _rule(pattern: str, given: Program, base: bytes, path: bytes) -> Rule:
    never = None if given.never_cache is None else _NEVER[given.never_cache]
    return Rule(
        os.fsencode(pattern),
        tuple(map(os.fsencode, given.ignore_env)),
        tuple(_absolute(text, base, path) for text in given.ignore_paths),
        tuple(_absolute(text, base, path) for text in given.extra_inputs),
        never,
        given.strict,
        given.mtime_order,
        given.cache_failures,
        tuple(map(os.fsencode, given.allow)),
    )


def _remote(given: Shared, path: bytes) -> Remote:
    for text in (*given.restore, *([given.key] if given.key else [])):
        if not text.startswith("/"):
            raise ConfigError(f"{os.fsdecode(path)}: remote: {text!r} is not absolute", _REMEDY)
    lists = (given.trust, given.map, given.portable, given.restore)
    trust, mapped, portable, restore = (tuple(map(os.fsencode, many)) for many in lists)
    return Remote(
        os.fsencode(given.url),
        os.fsencode(given.endpoint),
        os.fsencode(given.region),
        given.push.encode(),
        os.fsencode(given.key),
        trust,
        int(given.timeout * 1000),
        mapped,
        portable,
        tuple(directory.rstrip(b"/") for directory in restore),
    )


def _directory(text: str, base: bytes, path: bytes) -> bytes:
    """The canonical path of a directory, relative to the project file's."""
    directory = os.path.realpath(os.path.join(base, os.fsencode(text)))
    if not os.path.isdir(directory) or directory == b"/":
        raise ConfigError(f"{os.fsdecode(path)}: base_dir {text!r} is no directory", _REMEDY)
    return directory


def _absolute(text: str, base: bytes, path: bytes) -> bytes:
    """A path or glob, relative to the project file's directory."""
    if text.startswith(("/", "*")):
        return os.fsencode(text)
    if not base:
        raise ConfigError(f"{os.fsdecode(path)}: {text!r} is not absolute", _REMEDY)
    return os.path.normpath(os.path.join(base, os.fsencode(text)))
