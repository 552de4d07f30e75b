"""Completion for bash."""

from __future__ import annotations

from collections.abc import Iterator

from pcache.reference.helptext import Option, Verb, explained
from pcache.reference.helptext import verbs as all_verbs

_FRAME = """\
# bash completion for pcache, made by pcache.reference of the texts of --help.

_pcache()
{
    local current=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]-} before=() at=2
    local options= words= valued= command= settings= sessions=0 executions=
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W '@VERBS@ help --help --version -h -V' -- "$current")
        return
    fi
    case $verb in
@CASES@
    *) return ;;
    esac

    # To the command, or to where the cursor is.  readline takes --name=value for three words.
    while ((at < COMP_CWORD)); do
        before=("${COMP_WORDS[at]}")
        case ${before[0]} in
        --)
            options= words=
            ((at++))
            break
            ;;
        -*)
            ((at++))
            [[ " $valued " == *" ${before[0]} "* ]] || continue
            [ "${COMP_WORDS[at]-}" != = ] || ((at++))
            if ((at >= COMP_CWORD)); then
                [ "$current" != = ] || current=
                _pcache_value "$verb" "${before[0]}" "$current"
                return
            fi
            ((at++))
            ;;
        *) break ;;
        esac
    done
    if [ -n "$command" ] && { ((at < COMP_CWORD)) || [[ $current != -* || -z $options ]]; }; then
        if declare -F _command_offset >/dev/null; then
            _command_offset "$at"
        elif ((at == COMP_CWORD)); then
            mapfile -t COMPREPLY < <(compgen -c -- "$current")
        else
            compopt -o default 2>/dev/null
        fi
    elif [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
    elif ((COMP_CWORD - at < sessions)); then
        _pcache_sessions "$current" "$executions"
    elif ((at == COMP_CWORD)); then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    elif [[ $((at + 1)) == "$COMP_CWORD" && " get set unset " == *" ${COMP_WORDS[at]} "* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$settings" -- "$current")
    fi
}

# Names of sessions, or of executions if these are wanted; with their commands where there are
# several, of which readline then inserts what all have in common.
_pcache_sessions()
{
    local program=${COMP_WORDS[0]/#"~/"/$HOME/}
    COMPREPLY=()
    [[ $1 == *.* && -z $2 ]] && return
    mapfile -t COMPREPLY < <("$program" log --complete "$1" 2>/dev/null)
    compopt -o nosort 2>/dev/null
    if ((${#COMPREPLY[@]} == 1)); then
        COMPREPLY=("${COMPREPLY[0]%%$'\t'*}")
    else
        COMPREPLY=("${COMPREPLY[@]/$'\t'/  }")
    fi
}

# The values of an option: verb, option, what there is of the value.
_pcache_value()
{
    case $1:$2 in
@VALUES@
    esac
}

complete -F _pcache pcache
"""


def script() -> str:
    """What bash-completion loads, or a user's ~/.bashrc sources."""
    verbs = all_verbs()
    return (
        _FRAME.replace("@VERBS@", " ".join(verb.name for verb in verbs))
        .replace("@CASES@", "\n".join(_cases(verbs)))
        .replace("@VALUES@", "\n".join(line for verb in verbs for line in _values(verb)))
    )


def _cases(verbs: list[Verb]) -> Iterator[str]:
    for verb in verbs:
        names = " ".join(name for option in verb.options for name in option.names)
        valued = " ".join(
            name for option in verb.options if option.argument for name in option.names
        )
        words, command = " ".join(verb.words), "yes" if verb.runs_command else ""
        yield f"    {verb.name})"
        yield f"        options='{names}' valued='{valued}' words='{words}' command={command}"
        if verb.settings:
            yield f"        settings='{' '.join(verb.settings)}'"
        if verb.sessions:
            executions = "yes" if verb.executions else ""
            yield f"        sessions={verb.sessions} executions={executions}"
        yield "        ;;"
    yield f"    help) words='{' '.join(explained(verbs))}' ;;"


def _values(verb: Verb) -> Iterator[str]:
    for option in verb.options:
        if option.argument:
            patterns = " | ".join(f"{verb.name}:{name}" for name in option.names)
            yield f"    {patterns}) {_value(option)} ;;"


def _value(option: Option) -> str:
    if option.argument == "FILE":
        return 'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$3")'
    if option.argument == "SESSION":
        return '_pcache_sessions "$3" ""'
    words = f"compgen -W '{' '.join(option.choices)}'"
    if option.argument == "LIST":
        # What stands before the last comma is kept.
        words = f'{words} -P "${{3%"${{3##*,}}"}}" -- "${{3##*,}}"'
        return f"mapfile -t COMPREPLY < <({words})"
    return f'mapfile -t COMPREPLY < <({words} -- "$3")' if option.choices else ":"
