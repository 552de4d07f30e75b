"""What the configuration makes of an execution that has ended, before its conditions are derived.

Everything here shows in the records of its ancestors too, as it is done to the execution's
observations before they are handed up.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Container
from stat import S_IFDIR, S_IFMT, S_IFREG, S_ISDIR, S_ISREG

from pcache.memo.facts import Facts
from pcache.model import Key, Kind, Reason
from pcache.observe import git_times, identity, makefiles, rsync_times, sizes
from pcache.observe.accesses.descriptors import depend_on_status
from pcache.observe.accesses.present import is_everybodys, seen_status
from pcache.observe.changes import ATTRIBUTES, UNTOUCHED
from pcache.observe.events import Stamp
from pcache.observe.executions import Execution
from pcache.observe.mentions import ORDER, TIMES, Mentions, is_code
from pcache.observe.observations import OF_THE_SYSTEM, TIMES_OF, Observation
from pcache.settings.rules import CALLERS, NO, Policy, Settings, matches
from pcache.values import order_path, order_value, times_value
from pcache.wording import text

_CHECKS_ITS_DIRECTORY = b"--check-build-system"
"""Of cmake, which a makefile starts with it in the directory that cmake has made."""
_GO_VERBS = (b"build", b"install", b"list", b"run", b"vet")


def apply(execution: Execution, policy: Policy, facts: Facts, mentions: Mentions) -> None:
    """Adds, removes and refuses what the rules for its program say."""
    argv = execution.argv()
    settings = policy.settings(execution.executable, argv)
    if execution.looks and not execution.replayed:
        if settings.strict(argv):
            _depend_on_times(execution)
        if settings.mtime_order:
            _depend_on_order(execution)
    elif not execution.replayed:
        goes_by = mentions.times(execution)
        if goes_by == ORDER:
            _depend_on_all_order(execution)
        elif goes_by == TIMES:
            _depend_on_all_times(execution)
    if execution.told and not execution.replayed and mentions.status(execution):
        _depend_on_status(execution)
    if not execution.replayed and mentions.unkept(execution):
        execution.problem(Reason.UNSUPPORTED, "goes by free space")
    if not execution.replayed:
        sizes.apply(execution, settings, mentions)
        identity.apply(execution, mentions)
    if settings.ignore_paths:
        _ignore(execution, settings.ignore_paths)
    for path in settings.extra_inputs:
        try:
            value = facts.evaluate(Kind.CONTENT, path)
        except OSError as error:
            execution.problem(Reason.INPUT_CHANGED, f"extra input {path!r}: {error.strerror}")
            continue
        execution.observe((Kind.CONTENT, path), Observation(execution.image, path, value))
    _refuse(execution, settings, policy)


def _refuse(execution: Execution, settings: Settings, policy: Policy) -> None:
    argv = execution.argv()
    never = settings.never(argv)
    if never != NO:
        from pcache.settings.never import never_because

        because = never_because(policy, execution.executable, argv)
        evidence = f"{text(execution.executable)}, {because}"
        if never == CALLERS:
            execution.problem_throughout(Reason.CONFIGURED, evidence)
        else:
            execution.problem(Reason.CONFIGURED, evidence)
    elif execution.status and not settings.cache_failures:
        execution.problem(Reason.CONFIGURED, f"it failed with wait status {execution.status:#x}")


def _ignore(execution: Execution, patterns: tuple[bytes, ...]) -> None:
    def ignored(name: bytes) -> bool:
        return any(matches(pattern, name) for pattern in patterns)

    for key, observation in list(execution.inputs.items()):
        if observation.name and (ignored(observation.name) or ignored(key[1])):
            del execution.inputs[key]
    execution.ignored.update(filter(ignored, execution.changes))


def _depend_on_times(execution: Execution) -> None:
    """A strict program: the modification times of all that it looked at are inputs."""
    assert execution.looks is not None
    is_git = git_times.is_git(execution)
    if is_git and not git_times.compares(execution):
        return
    files_alone = is_git or _goes_by_files_alone(execution)
    copied = rsync_times.Copied(execution) if rsync_times.is_rsync(execution) else None
    observed: list[tuple[Key, Observation]] = []
    for (kind, path), (ts, name, stamp) in execution.looks.items():
        if S_IFMT(stamp.st_mode) == S_IFDIR and (
            files_alone or (copied is not None and (path, name) not in copied)
        ):
            continue
        times = Kind.TIMES if kind == Kind.CONTENT else Kind.LTIMES
        observed.append(((times, path), Observation(ts, name, times_value(stamp))))
    execution.observe_times(observed)


def _goes_by_files_alone(execution: Execution) -> bool:
    """Whether times of directories mean nothing to a strict program: to `go` but for what tests
    look at (cmd/go/internal/modindex and test.go, hashStat)."""
    argv = execution.argv()
    if execution.executable.rpartition(b"/")[2] != b"go":
        return False
    verb = next((word for word in argv[1:] if not word.startswith(b"-")), b"")
    return verb in _GO_VERBS


def _depend_on_order(execution: Execution) -> None:
    """A program that goes by which file is newer than which (make).

    Targets and sources cannot be told apart by looking; but the order matters only for targets
    that were there.  One that was remade shows by being written.  One that was left alone as up to
    date shows by its sources: make looked at them, and nobody read them.  Where there is such an
    unread file, it is not known whose source it is, so every file is taken for a target; where
    there is none (after `make clean`), everything that was there was a source, and was used.
    A target that was left alone may have been read as well, if others are made of it: then that is
    told by the makefiles.  Directories may be sources as well; they are read by being listed, and
    say nothing about that.
    Who resolves names looks at those above its own with lstat(2), which make does not.
    """
    assert execution.looks is not None
    times: dict[bytes, int] = {}
    files: set[bytes] = set()
    entered = execution.entered()
    above = posixpath.dirname(execution.cwd or b"") + b"/"
    for (kind, _), (ts, name, stamp) in execution.looks.items():
        form = S_IFMT(stamp.st_mode)
        if form == S_IFDIR and (
            entered.get(name, ts) < ts
            or is_everybodys(stamp)
            or (kind == Kind.LCONTENT and above.startswith(name.rstrip(b"/") + b"/"))
        ):
            continue
        if form in (S_IFREG, S_IFDIR) and not execution.times_are_ours(name, ts):
            times.setdefault(name, stamp.st_mtime_ns)
            if form == S_IFREG:
                files.add(name)
    remade = {name for name in times if _is_remade(execution, name)}
    read = {observation.name for observation in execution.inputs.values() if observation.opened}
    decisive = set(times)
    if files <= read | remade:
        decisive = remade | makefiles.targets(execution, files - remade)
    _note_order(execution, times, decisive)


def _depend_on_all_order(execution: Execution) -> None:
    """A script that compares times, nobody knows which: those of all that it and its children
    looked at or read."""
    times = {
        observation.name: stamp.st_mtime_ns
        for _, observation, stamp in _timed(execution)
        if not execution.times_are_ours(observation.name, observation.ts)
    }
    if len(times) > 1:
        decisive = set(times)
        if _CHECKS_ITS_DIRECTORY in execution.argv():
            own = (execution.cwd or b"") + b"/"
            decisive = {name for name in times if name.startswith(own)}
        _note_order(execution, times, decisive)


def _depend_on_all_times(execution: Execution) -> None:
    """The same of one that may compare them with any number."""
    execution.observe_times(
        [
            (key, Observation(observation.ts, observation.name, times_value(stamp)))
            for key, observation, stamp in _timed(execution)
        ]
    )


def _depend_on_status(execution: Execution) -> None:
    """It goes by the size of its output, and so do those that handed that on."""
    for fd in execution.told:
        file = execution.same(fd)[0].handle.file
        for at in execution.chain():
            for one in at.descriptors.get(file, [])[:1]:
                depend_on_status(execution.image, at, one.fd)


def _timed(execution: Execution) -> list[tuple[Key, Observation, Stamp | os.stat_result]]:
    """What a script may have the time of, by the key of that: files, and those directories that it
    was not in and its code is not in, which interpreters look at."""
    inputs = execution.inputs.items()
    idle = {posixpath.dirname(one.name) for _, one in inputs if one.opened and is_code(one.name)}
    idle.add(execution.cwd or b"")
    return [
        ((TIMES_OF[kind], path), observation, stamp)
        for (kind, path), observation in inputs
        if kind in TIMES_OF
        and not observation.name.startswith(OF_THE_SYSTEM)
        and (stamp := seen_status(observation)) is not None
        and (
            S_ISREG(stamp.st_mode)
            or (
                S_ISDIR(stamp.st_mode) and observation.name not in idle and not is_everybodys(stamp)
            )
        )
    ]


def _note_order(execution: Execution, times: dict[bytes, int], decisive: Container[bytes]) -> None:
    names = sorted(times)
    flags = [name in decisive for name in names]
    value = order_value([times[name] for name in names], flags)
    path = order_path(zip(names, flags, strict=True))
    observation = Observation(execution.image, b"", value)
    execution.observe_times([((Kind.ORDER, path), observation)])


def _is_remade(execution: Execution, name: bytes) -> bool:
    change = execution.changes.get(name)
    return change is not None and (change.first_how != ATTRIBUTES or change.times != UNTOUCHED)
