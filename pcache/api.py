"""What `import pcache` offers: commands with their results, lookups, sessions.

What the verbs write of sessions as documents is made here: the command line is on top of it.  Only
`run`, `trace`, `replay` and `lookup` start the command line, as supervising a command changes the
process that does it, which should not be the caller's.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

from pcache.errors import EnvironmentProblem, NoStore, PcacheError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Literal

    from pcache.export.files import Files
    from pcache.history.sessions import Session as Kept
    from pcache.report import schema
    from pcache.report.schema_upkeep import Report
    from pcache.settings.rules import Policy
    from pcache.store.index import Store

    Word = str | bytes | os.PathLike[str]
    Format = Literal["chrome-trace", "compile-commands", "json", "in-toto", "ro-crate"]

_PROGRAM = (
    "import sys; sys.path.insert(0, {root!r}); sys.path += {path!r}\n"
    "from pcache.cli.main import launch\nlaunch()"
)


class Failed(PcacheError):
    """pcache could not do what it was asked to; the message is its own."""

    def __init__(self, message: str, remedy: str = "", status: int = PcacheError.status) -> None:
        super().__init__(message, remedy)
        self.status = status


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except Failed:
        raise
    except PcacheError as error:
        raise Failed(str(error), error.remedy, error.status) from error


def write(path: Word, data: bytes) -> None:
    """Writes a file.  Raises EnvironmentProblem."""
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {os.fsdecode(path)}: {error.strerror}") from error


def _before(store: Store, session: Kept) -> list[Kept]:
    """The sessions before one, the latest first."""
    from pcache.history.sessions import sessions as kept

    return [at for at in kept(store) if at.number < session.number][::-1]


def _files(store: Store, session: Kept) -> Files:
    from pcache.export.files import Files

    # The package itself, which imports this module.
    version = sys.modules[__name__.partition(".")[0]].__version__
    return Files(store, session, _before(store, session), version)


def open_store(policy: Policy | None = None) -> Store:
    """The user's store, for who asks about it.  Raises NoStore if there is none, StoreError."""
    from pcache.linux.user import User
    from pcache.settings.rules import DEFAULT
    from pcache.store.index import Store

    try:
        return Store.open(User.current().store_dir, create=False, policy=policy or DEFAULT)
    except NoStore as error:
        raise NoStore(
            f"nothing was recorded yet: {error}", "record something: sudo pcache run COMMAND"
        ) from error


class Session:
    """One session: see docs/history.md.  All of it raises Failed where it is not kept any more."""

    def __init__(self, summary: schema.Summary) -> None:
        self.summary = summary

    def __repr__(self) -> str:
        at = self.summary
        return (
            f"<session {at.session}: {at.verb} {' '.join(at.command)}, "
            f"{at.hits} of {at.programs} brought back>"
        )

    @property
    def number(self) -> int:
        return self.summary.session

    @property
    def whole(self) -> bool:
        """Whether everything was brought back."""
        return self.summary.programs > 0 and self.summary.hits == self.summary.programs

    def detail(self) -> schema.SessionDetail:
        """It with its executions: what `pcache show --json` writes."""
        from pcache.report import data

        with self._kept() as (_, found):
            return data.session(found)

    def executions(self) -> list[schema.Execution]:
        """Its executions in the order of their start, the command itself first."""
        return self.detail().executions

    def execution(self, number: int) -> schema.ExecutionDetail:
        """One of them with its call, inputs, outputs and streams."""
        from pcache.report import data

        with self._kept(f".{number}") as (_, found):
            return data.execution(found, number)

    def why(self) -> schema.Causes:
        """Why programs ran instead of being brought back."""
        from pcache.report import data
        from pcache.report.why import Why

        with self._kept() as (store, found):
            return data.causes(Why(found, _before(store, found)))

    def data(self) -> Report:
        """What the page of the session is drawn from."""
        from pcache.history.sessions import sessions as kept
        from pcache.report.upkeep import report

        with self._kept() as (store, found):
            return report(found, kept(store))

    def page(self) -> str:
        """The page of the session, HTML."""
        from pcache.history.sessions import sessions as kept
        from pcache.report.page import page

        with self._kept() as (store, found):
            return page(found, kept(store))

    def report(self, path: Word) -> None:
        """Writes the page of the session."""
        with _told():
            write(path, self.page().encode())

    def markdown(self) -> str:
        """A summary for people."""
        from pcache.report.page import markdown

        with self._kept() as (_, found):
            return markdown(found)

    def exported(self, format: Format) -> str:
        """The session in a form of others, which is no directory."""
        with self._kept() as (store, found):
            if format == "chrome-trace":
                from pcache.export.trace import chrome_trace

                return chrome_trace(found)
            if format == "compile-commands":
                from pcache.export.compilations import compile_commands
                from pcache.export.whole import expanded

                return compile_commands(expanded(found, _before(store, found)))
            from pcache.export.files import document

            files = _files(store, found)
            if format == "json":
                return document(files).model_dump_json(indent=1) + "\n"
            if format == "in-toto":
                from pcache.export.provenance import statement

                return statement(files)
        raise Failed("a crate is a directory", status=UsageError.status)

    def export(self, format: Format, path: Word) -> None:
        """Writes the session in a form of others."""
        if format != "ro-crate":
            with _told():
                write(path, self.exported(format).encode(errors="backslashreplace"))
            return
        from pcache.export import crate

        with self._kept() as (store, found):
            crate.write(_files(store, found), os.fsdecode(path))

    @contextmanager
    def _kept(self, execution: str = "") -> Iterator[tuple[Store, Kept]]:
        from pcache.history.sessions import find

        with _told(), open_store() as store:
            yield store, find(store, f"{self.number}{execution}")[0]


class Completed:
    """A command that has ended."""

    def __init__(
        self,
        returncode: int,
        stdout: bytes | None,
        stderr: bytes | None,
        report: schema.Counted | None,
    ) -> None:
        self.returncode = returncode
        """As subprocess has it: negative for a death by a signal."""
        self.stdout = stdout
        self.stderr = stderr
        """Of the command, with what pcache has to say; None unless captured."""
        self.counters = {} if report is None else report.counters
        """docs/manual.md has each; empty if the command ran without pcache."""
        self._name = None if report is None else report.session

    @property
    def session(self) -> Session | None:
        """Its session; None if none is kept."""
        if self._name is None:
            return None
        found = [at for at in sessions() if at.summary.name == self._name]
        return found[-1] if found else None

    def check(self) -> Completed:
        """Itself; raises subprocess.CalledProcessError unless the command succeeded."""
        if self.returncode:
            import subprocess

            raise subprocess.CalledProcessError(self.returncode, "pcache", self.stdout, self.stderr)
        return self


class Lookup:
    """Whether a command would be brought back now, and why or why not."""

    def __init__(self, hit: bool, why: str) -> None:
        self.hit = hit
        self.why = why

    def __bool__(self) -> bool:
        return self.hit


def run(command: Sequence[Word], **options: object) -> Completed:
    """`pcache run`: brings back what holds and records what does not, if root helps.

    Keywords: `cwd`, `env` (as subprocess has them), `capture` (stdout and stderr, default True),
    `sudo` (start it by sudo, so that it can record; default False), `arguments` (more options of
    the verb).  Raises Failed if pcache failed before the command began.
    """
    return _run("run", command, **options)  # type: ignore[arg-type]


def trace(command: Sequence[Word], **options: object) -> Completed:
    """`pcache trace`: only records.  Keywords as of `run`."""
    return _run("trace", command, **options)  # type: ignore[arg-type]


def replay(command: Sequence[Word], **options: object) -> Completed:
    """`pcache replay`: only brings back.  Keywords as of `run`."""
    return _run("replay", command, **options)  # type: ignore[arg-type]


def lookup(
    command: Sequence[Word], *, cwd: Word | None = None, env: Mapping[str, str] | None = None
) -> Lookup:
    """Whether `run` or `replay` with the same arguments, captured, would bring the command back as
    a whole; nothing runs.  Raises Failed if nothing was ever recorded, or there is no such command.
    """
    done = _start(["explain", "--", *command], cwd=cwd, env=env)
    if done.returncode not in (0, 1):
        raise Failed(_message(done))
    return Lookup(done.returncode == 0, done.stdout.decode(errors="replace"))


def sessions(limit: int = 0) -> list[Session]:
    """The last sessions that are kept (0: all of them), the oldest first."""
    from pcache.history.sessions import sessions as kept
    from pcache.report import data

    with _told(), open_store() as store:
        return [Session(data.summary(at)) for at in kept(store)[-limit:]]


def session(name: str = "last") -> Session:
    """The session of a number, or the last one.  Raises Failed if it is not kept."""
    from pcache.history.sessions import find
    from pcache.report import data

    with _told(), open_store() as store:
        found, execution = find(store, name)
        if execution is not None:
            raise UsageError(f"{name!r} is an execution, and no session")
        return Session(data.summary(found))


def _run(
    verb: str,
    command: Sequence[Word],
    *,
    cwd: Word | None = None,
    env: Mapping[str, str] | None = None,
    capture: bool = True,
    sudo: bool = False,
    arguments: Sequence[str] = (),
) -> Completed:
    import tempfile
    from pathlib import Path

    from pcache.report import schema

    with tempfile.TemporaryDirectory(prefix="pcache-") as directory:
        # By sudo, pcache writes it as the user who called that.
        counters = Path(directory) / "counters.json"
        words = [verb, f"--json={counters}", *arguments, "--", *command]
        done = _start(words, cwd=cwd, env=env, capture=capture, sudo=sudo)
        report = None
        if counters.exists():
            report = schema.Counted.model_validate_json(counters.read_bytes())
    # 1: sudo refused.  Pcache writes the report whatever becomes of the command.
    if report is None and done.returncode in (
        (1, 2, 125, 126, 127) if sudo else (2, 125, 126, 127)
    ):
        raise Failed(_message(done))
    return Completed(done.returncode, done.stdout, done.stderr, report)


def _start(
    words: Sequence[Word],
    *,
    cwd: Word | None = None,
    env: Mapping[str, str] | None = None,
    capture: bool = True,
    sudo: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    import subprocess

    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = [entry for entry in sys.path if entry and entry != root]
    python = [sys.executable, "-IS", "-c", _PROGRAM.format(root=root, path=path)]
    stream = subprocess.PIPE if capture else None
    return subprocess.run(
        [*(["sudo"] if sudo else []), *python, *words],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL if capture else None,
        stdout=stream,
        stderr=stream,
        check=False,
    )


def _message(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stderr or b"").decode(errors="replace").strip().splitlines()
    told = [line.removeprefix("pcache: ") for line in lines if line.startswith("pcache: ")]
    told = told or [line for line in lines if line.startswith("sudo: ")]
    return "; ".join(told) or f"exit status {done.returncode}"
