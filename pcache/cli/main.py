"""The command line: finds the verb, runs it, and turns every failure into one clear message.

Nothing of a verb is imported before it is known that it is the one that runs.
"""

from __future__ import annotations

import os
import sys

from pcache.cli.options import HELP_NAMES, HelpWanted
from pcache.errors import PcacheError, UsageError, refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERBS = {
    "run": "run a command: replay what holds, record what does not (root)",
    "trace": "run a command and record what each of its executions reads and writes (root)",
    "replay": "run a command, restoring what is recorded instead of running it",
    "explain": "say whether a command would be replayed now, and if not, why",
    "why": "say why programs ran in a session instead of being brought back",
    "log": "list the last sessions: command, time, what was brought back and saved",
    "show": "show what became of each execution of a session, or one of them in detail",
    "diff": "say how two sessions, or two executions, differ",
    "report": "draw a session as a page: time line, flame view, critical path, what it depends on",
    "export": "write a session in a form of others: trace, compilation database, provenance",
    "ls": "list the commands that are recorded, the last recorded first",
    "rm": "forget what is recorded of a command, an execution, a file or a session",
    "clear": "forget everything: all records, and the notes on all sessions",
    "stats": "print what is stored, how large it is and how often it was of use",
    "verify": "check that the store is sound, and that its records still say what running says",
    "gc": "make room in the store: what was not used for longest goes first",
    "push": "give what is recorded to the shared store",
    "pull": "bring what others recorded of a command from the shared store",
    "key": "make a key that signs what is pushed, or show its public part",
    "config": "show or change settings, each with where it comes from",
    "service": (
        "let members of a group record without sudo: install, start, stop or look at the service"
    ),
    "doctor": "check whether this machine can trace and replay, and say what mends it",
}
"""Every verb with its summary, which is also `SUMMARY` in its module (a test compares them)."""

USAGE = "usage: pcache VERB [OPTION...] [COMMAND [ARG...]]"

TITLE = "Automatic memoization of unmodified programs: what did not change does not run again."

EPILOG = """\
options:
  -h, --help     this text; `pcache help VERB` explains a verb, `pcache help TOPIC` one of
                 reasons, sandbox, settings, environment, files
  -V, --version  the version

exit status: that of COMMAND (128+N if signal N killed it); 2 wrong usage, 125 pcache itself
failed, 126 COMMAND cannot be executed, 127 COMMAND was not found.

example:
  sudo pcache trace make     record a build
  make clean
  pcache replay make         bring its results back without running it
"""

_FAILED = 125
_FIRST_OTHER = 3
_SIGINT = 2
_SIGPIPE_STATUS = 128 + 13


def main(argv: list[str] | None = None) -> int:
    """Run one command line; the exit status.  `argv` excludes the program's own name."""
    args = sys.argv[1:] if argv is None else argv
    try:
        _occupy_standard_descriptors()
        status = _dispatch(args)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except PcacheError as error:
        _say(error.report())
        return error.status
    except BrokenPipeError:
        # Whoever read our help or report has left.  Python would complain once more when it
        # flushes stdout at exit, so give that flush somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _SIGPIPE_STATUS
    except KeyboardInterrupt:
        return _die_of_interrupt()
    except OSError as error:
        if os.environ.get("PCACHE_DEBUG"):
            from traceback import print_exc

            print_exc()
        _say(f"pcache: {_lost_output() or refused(error)}")
        return _FAILED
    except Exception as error:
        if os.environ.get("PCACHE_DEBUG"):
            from traceback import print_exc

            print_exc()
        _say(f"pcache: internal error: {type(error).__name__}: {error}")
        _say("pcache: PCACHE_DEBUG=1 shows where it happened")
        return _FAILED


def _lost_output() -> str:
    """Why what was to go to stdout could not; empty if it is not that."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # Python would try, and complain, once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return f"cannot write to stdout: {error.strerror}"
    return ""


def _occupy_standard_descriptors() -> None:
    """Keeps files of ours away from descriptors 0-2 that the caller closed.

    A command still gets them closed: ours go at its execve.
    """
    while (fd := os.open("/", os.O_PATH | os.O_CLOEXEC)) < _FIRST_OTHER:
        pass
    os.close(fd)


def launch() -> None:
    """Run the command line of this process and end the process, as the installed command does.

    Python's own farewell (freeing every module) takes 2 ms of a hit's 12, so it is left out: a
    verb has closed its files and ended its threads when it returns; atexit handlers do not run.
    """
    _die_of_interrupts()
    _take_directories_back()
    os._exit(main())


def _die_of_interrupts() -> None:
    """Ctrl-C before the command runs is what it would be if the command ran already.

    Python has another way with it, of which a traceback would be seen.  Where it is ignored, it
    stays so.
    """
    import _signal

    runs_command = sys.argv[1:2] in (["run"], ["trace"], ["replay"])
    if runs_command and _signal.getsignal(_SIGINT) is _signal.default_int_handler:
        _signal.signal(_SIGINT, _signal.SIG_DFL)
    if "held" in sys._xoptions:  # by the launcher
        try:
            _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (_SIGINT,))
        except OSError:
            return


def _take_directories_back() -> None:
    """Descriptors 0-2 that are directories, which the launcher kept from Python."""
    for fd in range(_FIRST_OTHER):
        aside = sys._xoptions.get(f"fd{fd}")
        if aside is not None:
            os.dup2(int(aside), fd)
            os.close(int(aside))


def _dispatch(args: list[str]) -> int:
    if not args:
        raise UsageError("no verb given", f"{USAGE}; `pcache help` lists the verbs")
    verb, rest = args[0], args[1:]
    if verb in HELP_NAMES:
        return _help([])
    if verb in ("-V", "--version"):
        from pcache import __version__

        return _print(f"pcache {__version__}\n")
    if verb == "help":
        return _help(rest)
    module = _load(verb)
    try:
        status: int = module.run(rest)
    except HelpWanted:
        return _print_help(module.HELP)
    except PcacheError as error:
        if error.status == UsageError.status and not error.remedy:
            error.remedy = f"`pcache help {verb}` explains its options"
        raise
    return status


def _load(verb: str) -> Any:
    if verb not in VERBS:
        raise _unknown(verb)
    # importlib.import_module would load the importlib package; this does not.
    return __import__(f"pcache.cli.{verb}", fromlist=("run",))


def _unknown(verb: str) -> UsageError:
    if verb.startswith("-"):
        return UsageError(f"unknown option {verb}", "options of a verb go after the verb")
    from difflib import get_close_matches
    from shutil import which

    if which(verb):
        return UsageError(f"no verb {verb!r}", f"to run that command: sudo pcache run {verb}")
    near = get_close_matches(verb, (*VERBS, "help"), n=1)
    if near:
        return UsageError(f"no verb {verb!r}", f"did you mean `pcache {near[0]}`?")
    return UsageError(f"no verb {verb!r}", "`pcache help` lists the verbs")


def _unknown_topic(name: str, known: tuple[str, ...]) -> UsageError:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1)
    if near:
        return UsageError(f"no verb or topic {name!r}", f"did you mean `pcache help {near[0]}`?")
    return UsageError(f"no verb or topic {name!r}", "`pcache help` lists the verbs and topics")


def _help(args: list[str]) -> int:
    if args and args[0] in VERBS:
        return _print_help(_load(args[0]).HELP)
    if args and args[0] != "help":
        from pcache.cli.topics import TOPICS

        if args[0] not in TOPICS:
            raise _unknown_topic(args[0], (*VERBS, *TOPICS))
        return _print_help(TOPICS[args[0]]())
    width = max(map(len, VERBS))
    verbs = "".join(f"  {name:<{width}}  {summary}\n" for name, summary in VERBS.items())
    return _print_help(f"{USAGE}\n\n{TITLE}\n\nverbs:\n{verbs}\n{EPILOG}")


def _print_help(text: str) -> int:
    if sys.stdout is not None and sys.stdout.isatty():
        from shutil import get_terminal_size

        from pcache.cli.narrow import fitted

        text = fitted(text, get_terminal_size().columns)
    return _print(text)


def _print(text: str) -> int:
    if sys.stdout is not None:  # None: the caller closed descriptor 1
        sys.stdout.write(text)
    return 0


def _say(text: str) -> None:
    """Write to stderr in one piece; a closed stderr must not change the exit status."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return


def _die_of_interrupt() -> int:
    """End by SIGINT itself: a shell loop around us stops only if it sees that."""
    import _signal

    _signal.signal(_SIGINT, _signal.SIG_DFL)
    os.kill(os.getpid(), _SIGINT)
    return 128 + _SIGINT
