"""Completion for zsh."""

from __future__ import annotations

from collections.abc import Iterator

from pcache.reference.helptext import Option, Verb, explained
from pcache.reference.helptext import verbs as all_verbs

_FRAME = """\
#compdef pcache
# Made by pcache.reference of the texts of --help.

local curcontext=$curcontext state line program=$words[1]
local -A opt_args
local -a verbs
verbs=(
@VERBS@
    'help:explain a verb'
)

# Names of sessions, or with an argument of executions too.
_pcache_sessions() {
    local -a found
    [[ -n $1 || $PREFIX != *.* ]] || return 1
    found=(${(f)"$(_call_program sessions ${(q)program} log --complete ${(qq)PREFIX} 2>/dev/null)"})
    found=(${found/$'\t'/:})
    _describe -V session found
}

_arguments -C \\
    '(- *)'{-h,--help}'[list the verbs]' \\
    '(- *)'{-V,--version}'[print the version]' \\
    '1:verb:->verb' \\
    '*::argument:->argument' && return 0

case $state in
verb) _describe verb verbs ;;
argument)
    curcontext=${curcontext%:*}-$line[1]:
    case $line[1] in
@CASES@
    help) _values 'verb or topic' @EXPLAINED@ ;;
    esac
    ;;
esac
"""


def script() -> str:
    """A function to be loaded from a directory of $fpath, where its name is _pcache."""
    verbs = all_verbs()
    names = "\n".join(f"    {_quoted(f'{verb.name}:{verb.summary}')}" for verb in verbs)
    cases = "\n".join(line for verb in verbs for line in _case(verb))
    parts = {"@VERBS@": names, "@CASES@": cases, "@EXPLAINED@": " ".join(explained(verbs))}
    text = _FRAME
    for place, part in parts.items():
        text = text.replace(place, part)
    return text


def _case(verb: Verb) -> Iterator[str]:
    specs = [_spec(option) for option in verb.options]
    if verb.runs_command:
        specs += ["'(-)1:command:_command_names -e'", "'*::arguments:_normal'"]
    elif verb.sessions:
        # The blank before it: called with these arguments and no others.
        action = " _pcache_sessions" + (" executions" if verb.executions else "")
        specs += [f"'{place + 1}:session:{action}'" for place in range(verb.sessions)]
    elif verb.words:
        specs.append(_quoted(f"1:what:({' '.join(verb.words)})"))
        if verb.settings:
            names = " ".join(verb.settings)
            named = "[[ -n ${(M)words:#(get|set|unset)} ]]"
            specs.append(_quoted(f"2:setting:{{{named} && compadd {names}}}"))
    yield f"    {verb.name})"
    yield "        _arguments -S \\"
    yield " \\\n".join(f"            {spec}" for spec in specs)
    yield "        ;;"


def _spec(option: Option) -> str:
    """One option as _arguments wants it: '(-q --quiet)'{-q,--quiet}'[no summary]'."""
    excluded = "- *" if "--help" in option.names else " ".join(option.names)
    # A long option takes its value after = or as the next word, a short one directly or as that.
    names = [
        name + (("=" if name.startswith("--") else "+") if option.argument else "")
        for name in option.names
    ]
    spelled = f"{{{','.join(names)}}}" if len(names) > 1 else names[0]
    summary = option.summary.replace("[", r"\[").replace("]", r"\]")
    value = f":{option.argument}:{_action(option)}" if option.argument else ""
    return f"'({excluded})'{spelled}{_quoted(f'[{summary}]{value}')}"


def _action(option: Option) -> str:
    if option.argument == "FILE":
        return "_files"
    if option.argument == "SESSION":
        return " _pcache_sessions"
    if option.argument == "LIST":
        return f"_values -s , feature {' '.join(option.choices)}"
    return f"({' '.join(option.choices)})" if option.choices else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
