"""A declarative splitter for the options of a verb: argparse costs more than a cached command."""

from __future__ import annotations

from pcache.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HELP_NAMES = ("-h", "--help")

PROGRESS_OPTIONS = {"--progress": "progress=", "--no-progress": "no-progress"}
"""About the live line, of all verbs that run a command."""
_PROGRESS = ("auto", "always", "never")


class HelpWanted(Exception):
    """The user asked for the help text of the verb: `pcache.cli.main` prints it."""


def parse(args: Sequence[str], spec: Mapping[str, str]) -> tuple[dict[str, str | bool], list[str]]:
    """Split `args` into the options at their front and the rest (the command, as it stands).

    `spec` maps each spelling to the key of the result; a key that ends in `=` takes a value:
    `{"-q": "quiet", "--quiet": "quiet", "--intercept": "intercept="}`.  Accepted forms are
    `--name`, `--name=value`, `--name value`, `-n value`, `-nvalue` and joined flags (`-qv`).
    Splitting ends at the first argument that is no option, or after `--`.  An option that was
    not given is absent from the result; given twice, the last one counts.

    Raises UsageError for an unknown option, a missing value or a value where none belongs, and
    HelpWanted for -h and --help.
    """
    options: dict[str, str | bool] = {}
    position = 0
    while position < len(args):
        arg = args[position]
        if arg == "--":
            position += 1
            break
        if not arg.startswith("-") or arg == "-":
            break
        position += 1
        following = args[position] if position < len(args) else None
        split = _long if arg.startswith("--") else _short
        position += split(arg, following, spec, options)
    return options, list(args[position:])


def parse_anywhere(
    args: Sequence[str], spec: Mapping[str, str]
) -> tuple[dict[str, str | bool], list[str]]:
    """The same for a verb that runs no command: options may also follow its arguments."""
    words: list[str] = []
    options: dict[str, str | bool] = {}
    rest = list(args)
    while rest:
        given, left = parse(rest, spec)
        options.update(given)
        if "--" in rest[: len(rest) - len(left)]:
            return options, words + left
        words += left[:1]
        rest = left[1:]
    return options, words


def choice(name: str, allowed: Sequence[str], options: Mapping[str, str | bool]) -> str:
    """The value of option --`name`, the first one allowed if it was not given.

    Raises UsageError for any other value.
    """
    value = str(options.get(name, allowed[0]))
    if value not in allowed:
        raise UsageError(f"--{name} {value}: it is one of {', '.join(allowed)}")
    return value


def progress_of(options: Mapping[str, str | bool]) -> str:
    """`auto`, `always` or `never`.  Raises UsageError."""
    mode = choice("progress", _PROGRESS, options)
    return "never" if options.get("no-progress") or options.get("quiet") else mode


def _key(name: str, spec: Mapping[str, str]) -> str:
    if name in spec:
        return spec[name]
    if name in HELP_NAMES:
        raise HelpWanted
    raise UsageError(f"unknown option {name}", _known(spec))


def _long(
    arg: str, following: str | None, spec: Mapping[str, str], options: dict[str, str | bool]
) -> int:
    """Take one `--name` option; the number of further arguments it used."""
    name, equals, value = arg.partition("=")
    key = _key(name, spec)
    if not key.endswith("="):
        if equals:
            raise UsageError(f"option {name} takes no value")
        options[key] = True
        return 0
    if equals:
        options[key[:-1]] = value
        return 0
    return _take_following(name, key, following, options)


def _short(
    arg: str, following: str | None, spec: Mapping[str, str], options: dict[str, str | bool]
) -> int:
    """Take one `-abc` cluster; the number of further arguments it used."""
    for index, letter in enumerate(arg[1:], start=2):
        key = _key(f"-{letter}", spec)
        if not key.endswith("="):
            options[key] = True
        elif arg[index:]:
            options[key[:-1]] = arg[index:]
            return 0
        else:
            return _take_following(f"-{letter}", key, following, options)
    return 0


def _take_following(
    name: str, key: str, following: str | None, options: dict[str, str | bool]
) -> int:
    if following is None:
        raise UsageError(f"option {name} needs a value")
    options[key[:-1]] = following
    return 1


def _known(spec: Mapping[str, str]) -> str:
    names = sorted((*spec, *HELP_NAMES), key=lambda name: name.lstrip("-"))
    return "known options: " + " ".join(names)
