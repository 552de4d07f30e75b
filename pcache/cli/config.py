"""The verb `config`."""

from __future__ import annotations

import os
import sys

from pcache.cli.options import parse_anywhere as parse
from pcache.errors import ConfigError, EnvironmentProblem, UsageError, why_not

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUMMARY = "show or change settings, each with where it comes from"

HELP = """\
usage: pcache config [OPTION...] show|get|set|unset|edit [NAME [VALUE]]

  show            every setting in force in the working directory, one a line: the programs it is
                  about, the setting, and its origin (`default` with the reason, or file and line);
                  also what `pcache config` alone does
  get NAME        what your file, or with --project the project's, says of a setting: max_size,
                  sandbox.deny, program.make.strict
  set NAME VALUE  changes it there; all else in the file stays as it is
  unset NAME      takes it out of there
  edit            opens the file in $VISUAL, $EDITOR or vi, and checks it afterwards

The user's file is $XDG_CONFIG_HOME/pcache/config.toml (default ~/.config/pcache/config.toml).  A
project's file is the nearest .pcache.toml in the working directory or above, if it is yours; it has
the last word.  Paths in it are relative to its directory.

  max_size = "20G"             # limit of the store; only in the user's file
  compress = false             # contents are not compressed; only in the user's file
  history = "90d"              # how long sessions are kept; only in the user's file
  secret_env = ["DB_*",        # variables whose values are secrets: digests of them are stored;
                "!TOKENIZER*"] # with a ! those that are none (not in a project's file)

  base_dir = "."               # only in a project's file: what is below is stored relative to it,
                               # so that another checkout hits, unless the path shows somewhere

  [sandbox]                    # as the options --allow and --deny, which have the last word
  deny = ["network"]

  [program."*"]                # base name of the executable, or, with a slash, its path
  ignore_env = ["EDITOR", "MY_*"]
  [program.generate]
  ignore_paths = ["/var/log/generate/*"]

  [remote]                     # a store that many share, only in the user's file: docs/remote.md
  url = "s3://team-cache/main" # or gs://, az://, https:// (WebDAV), file:///MOUNTED/DIRECTORY
  trust = ["ed25519:..."]      # public keys (`pcache key`) whose records are believed
  push = "ci"                  # what is recorded is pushed, signed with `key`: "always", "never"
  key = "/home/me/signing.key" # also: endpoint, region, timeout, map, portable, restore

settings of a program:
  ignore_env      variables that make no difference; a final * stands for any ending
  ignore_paths    files that make no difference, neither as inputs nor as outputs (globs; * also
                  matches slashes)
  extra_inputs    files that are inputs whether or not they are read
  never_cache     "itself": it always runs, what starts it may be replayed as a whole; "callers":
                  what starts it always runs too; "no"
  strict          modification times of the files it looks at are inputs too
  mtime_order     which of the files it looks at is newer than which is an input
  cache_failures  whether executions that fail are recorded (default true)
  allow           "network", "io_uring", "ptrace": what it may use though the sandbox denies it

A program is the executable that runs, and what it interprets: a script by its base name or by its
path as it is given, a Python module, a Java class (`allow` goes by the executable alone).  What was
recorded under other program settings is not replayed (and is found again when they are as they
were).

options:
      --project  the project's file: the nearest .pcache.toml, else one in this directory
      --json     as JSON: see docs/json.md
  -h, --help     this text

exit status: 0, 1 `get`, `unset`: the file says nothing of it, 2 wrong usage or value, 125 a file
makes no sense

examples:
  pcache config show
  pcache config set max_size 20G
  pcache config --project set program.generate.strict true
"""

OPTIONS = {"--project": "project", "--json": "json"}
_TAKES: dict[str, tuple[str, ...]] = {
    "show": (),
    "get": ("name",),
    "set": ("name", "value"),
    "unset": ("name",),
    "edit": (),
}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, rest = parse(args, OPTIONS)
    what, *words = rest or ["show"]
    if what not in _TAKES:
        raise UsageError(f"config {what}: it is one of {', '.join(_TAKES)}")
    names = _TAKES[what]
    if len(words) < len(names):
        raise UsageError(f"config {what} needs a {names[len(words)]}", _usage(what))
    if len(words) > len(names):
        raise UsageError(f"config {what} does not take {words[len(names)]!r}", _usage(what))
    as_json = bool(options.get("json"))
    if what == "show":
        return _show(as_json)
    from pcache.linux.user import User
    from pcache.settings.locations import PROJECT_FILE, project_file, user_file

    user, cwd = User.current(), os.getcwdb()
    path = user_file(user)
    if options.get("project"):
        path = project_file(user, cwd) or os.path.join(cwd, PROJECT_FILE)
    if as_json and what == "get":
        found = _told(path, words)
        _write(found)
        return 0 if found else 1
    status = {"get": _get, "set": _set, "unset": _unset, "edit": _edit}[what](path, words)
    if as_json:
        _write(_told(path, words))
    return status


def names() -> list[str]:
    """Of the settings that stand alone or in a table, for completion."""
    from pcache.settings.schema import TABLES, File

    found = [name for name in File.model_fields if name not in TABLES]
    for title, table in TABLES.items():
        if title != "program":  # one for each pattern
            found += [f"{title}.{name}" for name in table.model_fields]
    return found


def _usage(what: str) -> str:
    return " ".join(["usage: pcache config", what, *(name.upper() for name in _TAKES[what])])


def _get(path: bytes, words: list[str]) -> int:
    from pcache.linux.files import open_file
    from pcache.settings import editing

    name = editing.Name(words[0])
    try:
        with open(open_file(path, follow=True), encoding="utf-8") as file:
            value = editing.get(file.read(), name)
    except FileNotFoundError:
        return 1
    except OSError as error:
        raise ConfigError(f"cannot read {why_not(error)}") from error
    except ValueError as error:
        raise ConfigError(f"cannot read {os.fsdecode(path)}: {error}") from error
    if value is None:
        return 1
    sys.stdout.write(f"{_toml(value)}\n")
    return 0


def _set(path: bytes, words: list[str]) -> int:
    from pcache.settings import editing

    name = editing.Name(words[0])
    _make_directory(path)
    editing.set_in(path, name, words[1])
    return 0


def _unset(path: bytes, words: list[str]) -> int:
    from pcache.settings import editing

    return 0 if editing.set_in(path, editing.Name(words[0]), None) else 1


def _edit(path: bytes, words: list[str]) -> int:
    import shlex
    import subprocess

    from pcache.settings.configfile import compile_files

    _make_directory(path)
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        done = subprocess.run([*shlex.split(editor), os.fsdecode(path)], check=False)
    except (OSError, ValueError) as error:
        raise EnvironmentProblem(
            f"cannot start the editor {editor}: {getattr(error, 'strerror', error)}",
            "the variables VISUAL and EDITOR name one",
        ) from error
    if done.returncode == 0:
        compile_files([path])
    return done.returncode


def _make_directory(path: bytes) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make {os.fsdecode(path)}: {error.strerror}") from error


def _told(path: bytes, words: list[str]) -> list[Shown]:
    """What a file says; of the setting that is named first, if one is."""
    from pcache.settings import configfile, editing

    if not os.path.lexists(path):
        return []
    found = configfile.settings(path)
    if words:
        name = editing.Name(words[0])
        about = name.table[-1] if name.table else ""
        found = [at for at in found if (at.pattern, at.name) == (about, name.setting)]
    return [Shown(at.pattern, at.name, at.value, file=at.path, line=at.line) for at in found]


def _show(as_json: bool) -> int:
    from pcache.linux.user import User
    from pcache.settings import configfile
    from pcache.settings.locations import project_file, user_file

    user, cwd = User.current(), os.getcwdb()
    found = list(_defaults())
    for path in (user_file(user), project_file(user, cwd)):
        if path is not None and os.path.lexists(path):
            configfile.compile_files([path])
            found += _told(path, [])
    if as_json:
        _write(found)
    else:
        sys.stdout.write("".join(f"{shown.text()}\n" for shown in found))
    return 0


def _write(found: list[Shown]) -> None:
    from pcache.cli.asking import write_model
    from pcache.report.schema_upkeep import Setting, Settings

    write_model(
        Settings(
            settings=[
                Setting(
                    about=at.about,
                    name=at.name,
                    value=at.value,
                    file=None if at.file is None else os.fsdecode(at.file),
                    line=at.line,
                    because=at.because,
                )
                for at in found
            ]
        )
    )


class Shown:
    """A setting in force, with its origin: a place in a file, or the reason for a default."""

    def __init__(
        self,
        about: str,
        name: str,
        value: object,
        because: str = "",
        words: str = "",
        file: bytes | None = None,
        line: int | None = None,
    ) -> None:
        self.about = about
        """Programs, a table, or empty."""
        self.name = name
        self.value = value
        self.because = because
        self.words = words
        """What people read in place of the value."""
        self.file = file
        self.line = line

    def text(self) -> str:
        about = f"{self.about}: " if self.about else ""
        where = f"default: {self.because}" if self.because else "default"
        if self.file is not None:
            where = f"{os.fsdecode(self.file)}:{self.line}"
        return f"{about}{self.name} = {self.words or _toml(self.value)}   {where}"


def _defaults() -> Iterator[Shown]:
    from pcache.settings import defaults
    from pcache.settings.units import size_text
    from pcache.store.gc import DEFAULT_MAX_SIZE

    yield Shown("", "max_size", size_text(DEFAULT_MAX_SIZE))
    yield Shown("", "compress", True, "contents take less than half of the room")
    yield Shown("", "history", "30d", "long enough to be asked about")
    why = "what names of secrets have in them"
    yield Shown("", "secret_env", None, why, "those of docs/security.md")
    why = "what is recorded in one directory is of no use in another"
    yield Shown("", "base_dir", None, why, "none")
    yield Shown("", "remote", None, "what is recorded stays on this machine", "none")
    yield Shown("sandbox", "deny", ["io_uring"], "what it does to files cannot be observed")
    yield Shown("*", "cache_failures", True, "a failure is a result like another")
    for name, reason in defaults.IGNORED_ENVIRONMENT:
        yield Shown("*", "ignore_env", [name.decode()], reason)
    for name, reason in defaults.MAKE_FLAGS:
        yield Shown("*", f"variable {name.decode()}", None, reason, "counts in part")
    for name, reason in defaults.NEVER_CACHED:
        yield Shown(name.decode(), "never_cache", "itself", reason)
    for name, options, reason in defaults.AGES:
        yield Shown(_with(name, options), "never_cache", "itself", reason)
    for name, options, reason in defaults.STRICT:
        yield Shown(_with(name, options), "strict", True, reason)
    for name, reason in defaults.MTIME_ORDER:
        yield Shown(name.decode(), "mtime_order", True, reason)


def _with(name: bytes, options: Sequence[bytes]) -> str:
    given = f" with {b' '.join(options).decode()}" if options else ""
    return name.decode() + given


def _toml(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
