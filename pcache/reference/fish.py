"""Completion for fish."""

from __future__ import annotations

from collections.abc import Iterator

from pcache.reference.helptext import Option, Verb, explained
from pcache.reference.helptext import verbs as all_verbs

_FRAME = """\
# fish completion for pcache, made by pcache.reference of the texts of --help.

# Whether the next word is the verb (no argument), or an option or an argument of that verb that has
# so many before it (default: none).
function __pcache_at --argument-names verb before
    set -l words (commandline -opc)[2..-1]
    if test -z "$verb"
        test (count $words) = 0
        return
    end
    test "$words[1]" = $verb; or return
    set -l valued @VALUED@
    set -l skip
    test -n "$before"; or set before 0
    for word in $words[2..-1]
        if test -n "$skip"
            set skip
        else if contains -- $word $valued
            set skip yes
        else if not string match -q -- '-*' $word; or test $word = --
            test $before -gt 0; or return 1
            set before (math $before - 1)
        end
    end
    return 0
end

# Names of sessions, or with an argument of executions too, and their commands.
function __pcache_sessions --argument-names executions
    set -l word (commandline -ct | string replace -r '^--[a-z]+=' '')
    string match -q -- '*.*' $word; and test -z "$executions"; and return
    set -l program (commandline -opc)[1]
    $program log --complete "$word" 2>/dev/null
end

# Whether the verb is one that runs a command.
function __pcache_command
    contains -- (commandline -opc)[2] @COMMANDS@
end

# Whether the next word is the name of a setting.
function __pcache_setting
    set -l words (commandline -opc)
    test "$words[2]" = config; and contains -- $words[-1] get set unset
end

# Whatever fish knows of the command.  The - ends what fish takes for options of its own function.
function __pcache_subcommand
    __fish_complete_subcommand --fcs-skip=2 - @VALUED@
end

complete -c pcache -f
complete -c pcache -n __pcache_at -s h -l help -d 'list the verbs'
complete -c pcache -n __pcache_at -s V -l version -d 'print the version'
@VERBS@
complete -c pcache -n __pcache_at -a help -d 'explain a verb'
complete -c pcache -n '__pcache_at help' -a '@NAMES@'
complete -c pcache -n __pcache_setting -a '@SETTINGS@'
complete -c pcache -n __pcache_command -x -a '(__pcache_subcommand)'
@OPTIONS@
"""


def script() -> str:
    """What fish loads from a directory of $fish_complete_path, where its name is pcache.fish."""
    verbs = all_verbs()
    valued = {name for verb in verbs for option in verb.options if option.argument
              for name in option.names}  # fmt: skip
    parts = {
        "@VALUED@": " ".join(sorted(valued)),
        "@COMMANDS@": " ".join(verb.name for verb in verbs if verb.runs_command),
        "@NAMES@": " ".join(explained(verbs)),
        "@SETTINGS@": " ".join(name for verb in verbs for name in verb.settings),
        "@VERBS@": "\n".join(
            f"complete -c pcache -n __pcache_at -a {verb.name} -d {_quoted(verb.summary)}"
            for verb in verbs
        ),
        "@OPTIONS@": "\n".join(line for verb in verbs for line in _lines(verb)),
    }
    text = _FRAME
    for place, part in parts.items():
        text = text.replace(place, part)
    return text


def _lines(verb: Verb) -> Iterator[str]:
    start = f"complete -c pcache -n '__pcache_at {verb.name}'"
    if verb.words:
        yield f"{start} -a '{' '.join(verb.words)}'"
    if verb.sessions:
        names = "__pcache_sessions executions" if verb.executions else "__pcache_sessions"
        place = f"'__pcache_at {verb.name} {verb.sessions - 1}'"
        yield f"complete -c pcache -n {place} -k -a '({names})'"
    for option in verb.options:
        names = " ".join(
            f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names
        )
        yield f"{start} {names}{_value(option)} -d {_quoted(option.summary)}"


def _value(option: Option) -> str:
    if not option.argument:
        return ""
    if option.argument == "FILE":
        return " -r -F"
    if option.argument == "SESSION":
        return " -x -k -a '(__pcache_sessions)'"
    choices = " ".join(option.choices)
    if option.argument == "LIST":
        return f" -x -a '(__fish_append , {choices})'"
    return f" -x -a '{choices}'" if choices else " -x"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", r"\\").replace("'", r"\'") + "'"
