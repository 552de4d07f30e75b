"""The process tree: events in time order become executions.

An execution begins at a successful execve and ends with its process or at that process's next
execve, whose program is then its tail child and hands it its end and status.  Threads, and children
that fork without execve, belong to the execution they came from.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from stat import S_ISREG

from pcache.linux import signal_sets
from pcache.linux.descriptors import is_make_job, jobserver
from pcache.linux.signal_sets import UNUSUAL
from pcache.model import Key, Kind, Reason
from pcache.observe import events, pseudo
from pcache.observe.accesses import Accesses
from pcache.observe.accesses.event import Event, Process
from pcache.observe.accesses.start import leader_value
from pcache.observe.accesses.terminals import settle_messages
from pcache.observe.captured import RENAME_BYTES, RENAMES
from pcache.observe.events import Stamp
from pcache.observe.executions import Execution
from pcache.observe.interpreters import Interpreters
from pcache.observe.observations import Observation
from pcache.observe.replayed import Replayed
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES
from pcache.probes.syscall_table import NUMBERS
from pcache.settings.rules import DEFAULT, Policy
from pcache.values import OK
from pcache.wording import PRIVILEGED_EVIDENCE, text

# Limits of bpf/recorder.bpf.c: INHERITED and SCAN_FDS.
_INHERITED, _SCANNED = 32, 256
_TIF_ADDR32 = 1 << 29
_RET = 3  # events.HEADER
_READS = frozenset({NUMBERS["read"], NUMBERS["pread64"]})
_DUMPED = 0x80  # WCOREFLAG
# linux/sched.h
_CLONE_NAMESPACES = 0x7E020080
_CLONE_FS, _CLONE_FILES, _CLONE_INTO_CGROUP = 0x200, 0x400, 0x2_0000_0000
_SIGPIPE = 13
_FMODE_WRITE = 2  # include/linux/fs.h
# Signals a program brings upon itself by what it does: SIGILL TRAP ABRT BUS FPE SEGV SYS.  Not
# SIGXCPU and SIGXFSZ: limits are no part of a call.
_OWN_SIGNALS = frozenset({4, 5, 6, 7, 8, 11, 31})


class Tree:
    """Feed it the recorder's output; `executions` then holds every one, in order of their start.

    `ended` is called with each execution at its end, after those of its subtree; `hash_early`,
    `look_up_early` and `read_whole` are those of Accesses.
    """

    def __init__(
        self,
        spool: int,
        copies: int,
        hash_early: Callable[[bytes, Stamp, int, bool], None],
        look_up_early: Callable[[Key, Observation], None],
        read_whole: Callable[[bytes, Stamp, bytes], None],
        ended: Callable[[Execution], None],
        policy: Policy = DEFAULT,
    ) -> None:
        self.executions: list[Execution] = []
        self.events = 0
        self.privileged = False
        """Whether the command itself was a privileged program: nothing is told of it."""
        self._decoder = events.Decoder()
        self._processes: dict[int, Process] = {}
        self.accesses = Accesses(
            self._processes, spool, copies, hash_early, look_up_early, read_whole
        )
        self._ended = ended
        self._policy = policy
        self._interpreters = Interpreters()
        self._replayed: dict[int, Replayed] = {}
        self._refilled: dict[int, int] = {}

    def root(self, pid: int) -> None:
        """The process that is recorded from its first execve on."""
        self._processes[pid] = Process(pid, None)
        self.accesses.context.pids.add(pid)

    def replay(self, pid: int, hit: Replayed) -> None:
        """The running program of process `pid` was a hit; to be told before it ends."""
        self._replayed[pid] = hit

    def refill(self, pid: int, pipe: int) -> None:
        """The running program of process `pid` was given another pipe in place of that inode; to be
        told before it ends."""
        self._refilled[pid] = pipe

    @property
    def running(self) -> int:
        """Processes that have not ended."""
        return len(self._processes)

    def feed(self, blob: bytes, base: int) -> None:
        """A run of complete ring records; `base` is its offset in the spool."""
        brief, header = events.BRIEF.unpack_from, events.HEADER.unpack_from
        processes, known, again = self._processes, self._decoder.known, self.accesses.again
        small_read = self.accesses.small_read
        places = events.records(blob)
        self._look_ahead(blob, places)
        self.events += len(places)
        for at, end in places:
            ts, tgid, kind = brief(blob, at)
            process = processes.get(tgid)
            if process is None:
                continue
            execution, decoded = process.execution, None
            if kind == events.CALL and execution is not None:
                if blob[at + events.NUMBER] in _READS and small_read(blob[at:end]):
                    continue
                sections = blob[at + events.BODY : end]
                decoded = known(sections)
                if decoded is not None and again(execution, ts, decoded):
                    continue  # nine of ten events of a build end here
            record = blob[at:end]
            ts, stamp_image, aux, ret, tgid, tid, _err, kind, _nr, flags = header(record)
            if kind == events.EXEC:
                self._exec(process, stamp_image, record)
                continue
            if execution is None:
                if kind in (events.EXIT, events.PRIVILEGED):
                    self.privileged |= kind == events.PRIVILEGED
                    del self._processes[tgid]
                continue  # our own child before it became the command
            if kind == events.CALL:
                body = decoded or self._decoder.new(record, sections)
                self.accesses.handle(Event(ts, ret, tid, process, execution, body, aux))
            elif kind == events.ABSENT:
                body = self._decoder.body(record)
                self.accesses.absent(Event(ts, ret, tid, process, execution, body, aux))
            elif kind == events.DATA:
                offset = base + at + events.HEADER.size
                self.accesses.data(execution, tid, flags, offset, record[events.HEADER.size :])
            elif kind == events.FORK:
                self._fork(process, aux, record)
            elif kind == events.ARGS:
                execution.arguments += record[events.HEADER.size :]
                execution.argv_size = ret
                argv = execution.argv()
                if self._policy.settings(execution.executable, argv).watched:
                    execution.looks = execution.looks or {}
                if flags:
                    execution.problem_throughout(Reason.EVENTS_LOST, "argv or environment")
            elif kind == events.FDS:
                self._descriptors(execution, events.descriptors(record), ret, aux)
            elif kind == events.EXIT:
                self._exit(process, ts, ret, aux, flags)
            elif kind == events.PRIVILEGED:
                execution.problem_throughout(Reason.PRIVILEGED, PRIVILEGED_EVIDENCE)
                self._exit(process, ts, 0, 0, flags)
            elif kind == events.FOREIGN:
                execution.problem_throughout(Reason.FOREIGN_ABI, f"system call {_nr}")
            elif kind == events.SHORTAGE:
                evidence = f"{SYSCALL_NAMES.get(_nr, _nr)}: {os.strerror(-ret)}"
                execution.problem_throughout(Reason.SHORTAGE, evidence)
            elif kind == events.ENTRY:
                self._late_entry(execution, _nr)
            elif kind == events.SIGNAL and aux == tgid:
                evidence = f"signal {ret}: a page of a file that cannot be had"
                execution.problem_throughout(Reason.SHORTAGE, evidence)
            elif kind == events.SIGNAL and aux != os.getpid():
                evidence = f"process {tgid} by signal {ret} of process {aux}"
                execution.problem_throughout(Reason.KILLED_OUTSIDE, evidence)

    def _look_ahead(self, blob: bytes, places: list[tuple[int, int]]) -> None:
        coming = []
        for at, end in places:
            if blob[at + events.NUMBER] not in RENAME_BYTES:
                continue
            if blob[at + events.BODY : at + events.BODY + 6] in RENAMES:
                record = blob[at:end]
                body = self._decoder.body(record)
                if body.path is not None and body.path2 is not None:
                    coming.append((events.HEADER.unpack_from(record)[0], body.path, body.path2))
        self.accesses.context.captured.expect(coming)

    @staticmethod
    def _late_entry(execution: Execution, number: int) -> None:
        """A replay that stops programs at the first call of a C library's start-up would stop this
        one too late; the command itself is looked up before it is started."""
        if execution.parent is not None:
            name = SYSCALL_NAMES.get(number, number)
            execution.problem(Reason.UNSUPPORTED, f"it starts with {name}: too late to replace it")

    def _fork(self, process: Process, child: int, record: bytes) -> None:
        execution = process.execution
        self._processes[child] = process.child(child)
        self.accesses.context.pids.add(child)
        if execution is None:
            return
        for at in execution.chain():
            at.alive += 1
        body = self._decoder.body(record)
        flags = body.args[0] if body.args else 0
        if flags & _CLONE_NAMESPACES:
            execution.problem_throughout(Reason.NAMESPACE, "clone with new namespaces")
            handed_down = (Reason.NAMESPACE, "started in namespaces of its own")
            self._processes[child].handed_down.append(handed_down)
        if flags & _CLONE_FS:
            evidence = "clone with a common working directory"
            execution.problem_throughout(Reason.UNSUPPORTED, evidence)
        if flags & _CLONE_FILES:
            self.accesses.context.common_descriptors = True
        if flags & _CLONE_INTO_CGROUP:
            execution.problem_throughout(Reason.UNSUPPORTED, "clone into a control group")
            handed_down = (Reason.UNSUPPORTED, "started in a control group of its caller's choice")
            self._processes[child].handed_down.append(handed_down)

    def _exec(self, process: Process, started: int, record: bytes) -> None:
        body = self._decoder.body(record)
        parent = process.execution
        execution = Execution(started, process.tgid, parent)
        execution.is_tail = parent is not None and parent.tgid == process.tgid
        execution.alive = 1
        execution.umask, uid, gid = (n & 0xFFFFFFFF for n in body.args[:3])
        execution.uid, execution.gid = events.owner(uid, gid)
        process.umask = execution.umask
        process.cwd = body.base
        process.execution = execution
        execution.executable = body.file or b""
        self.executions.append(execution)
        # A relative path is meant from the directory at the time of the call: SECTION_BASE is both
        # that and the new image's working directory.
        execution.filename = body.path or b""
        execution.told_filename = body.raw_path or b""
        execution.cwd = body.base
        if body.file is None or body.base is None or body.path is None or body.deleted:
            if body.flags & (events.FAULT | events.TRUNCATED):
                evidence = "path of the program or of its working directory"
                execution.problem_throughout(Reason.EVENTS_LOST, evidence)
            else:
                evidence = "program outside the root directory"
                execution.problem_throughout(Reason.UNSUPPORTED, evidence)
            return
        if body.homeless:
            execution.problem_throughout(Reason.UNSUPPORTED, "its working directory was removed")
        execution.signals_ignored, execution.signals_blocked = body.args[4:6]
        self._refuse_signals(execution)
        execution.has_children = bool(events.HEADER.unpack_from(record)[_RET])
        execution.leads = leader_value(process)
        if body.args[3] & _TIF_ADDR32:
            execution.problem_throughout(Reason.FOREIGN_ABI, text(body.file))
        if parent is None:
            self.accesses.context.captured.stay_with(body.base)
        if parent is not None and (parent.uid, parent.gid) != (execution.uid, execution.gid):
            who = f"{execution.uid}:{execution.gid}"
            execution.problem_throughout(
                Reason.UNSUPPORTED, f"change of user to {who} by {text(body.file)}"
            )
        if process.timers:
            execution.problem(Reason.UNSUPPORTED, "a timer of the program before it runs on")
        for reason, evidence in process.handed_down:
            execution.problem(reason, evidence)
        execution.observe(
            (Kind.CONTENT, body.file),
            Observation(started, body.file, stamp=body.stamp, opened=True),
        )
        if body.stamp is not None and self.accesses.context.history.last(body.file):
            self.accesses.context.hash_early(body.file, body.stamp, started, False)
        is_script = body.raw_path2 != body.raw_path
        if is_script and pseudo.is_magic(execution.filename):
            execution.problem(Reason.UNSUPPORTED, f"script {text(execution.filename)}")
        for path in self._interpreters_of(execution, body, is_script):
            name = self.accesses.context.names.canonical(path, follow=True)
            execution.observe((Kind.CONTENT, path), Observation(started, name, opened=True))
            if parent is not None:
                parent.observe((Kind.EXECUTABLE, path), Observation(started, name, OK))
        if parent is not None:
            # The caller depends on what its path led to, whether or not it looked before.
            name = self.accesses.context.names.canonical(execution.filename, follow=True)
            if not pseudo.is_magic(execution.filename):
                stamp = body.stamp if name == body.file and not is_script else None
                parent.observe(
                    (Kind.CONTENT, execution.filename),
                    Observation(started, name, stamp=stamp, opened=True),
                )
                parent.observe(
                    (Kind.EXECUTABLE, execution.filename), Observation(started, name, OK)
                )

    def _interpreters_of(
        self, execution: Execution, body: events.Body, is_script: bool
    ) -> list[bytes]:
        """What the kernel opened to start an execution, beside its program."""
        program = body.file or b""
        file = self.accesses.context.captured.at(program)
        place = program
        if file is not None and body.stamp is not None and file.inode == body.stamp.st_ino:
            place = b"/proc/self/fd/%d" % file.fd
        script = execution.filename if is_script else None
        try:
            return self._interpreters.of(program, body.stamp, script, body.base or b"", place)
        except FileNotFoundError:
            for at in execution.chain():
                if at is execution or not at.determined(program, execution.image):
                    at.problem(Reason.INPUT_CHANGED, text(program))
            return []

    @staticmethod
    def _refuse_signals(execution: Execution) -> None:
        """Blocked signals outlast an execve, and no call tells of them; as ignored ones where the
        caller is that of pcache."""
        unusual = execution.signals_blocked & UNUSUAL
        if execution.parent is None:
            unusual |= execution.signals_ignored & UNUSUAL
        if unusual:
            numbers = ", ".join(map(str, signal_sets.numbers(unusual)))
            evidence = f"signals ignored or blocked by its caller: {numbers}"
            execution.problem(Reason.UNSUPPORTED, evidence)

    def _descriptors(
        self, execution: Execution, found: list[events.Descriptor], table_size: int, scanned: int
    ) -> None:
        for descriptor in found:
            execution.descriptors.setdefault(descriptor.handle.file, []).append(descriptor)
            stamp = descriptor.stamp
            if S_ISREG(stamp.st_mode) and stamp.f_mode & _FMODE_WRITE:
                execution.streams.setdefault(stamp.st_ino, []).append(descriptor)
        if len(found) > _INHERITED:
            execution.problem(Reason.DESCRIPTOR_PASSING, f"{len(found)} inherited descriptors")
        if _SCANNED <= scanned < table_size:
            execution.problem(Reason.DESCRIPTOR_PASSING, f"descriptors from {scanned} on")
        if b"--jobserver-" in execution.arguments:  # few have it
            environment = execution.environment()
            execution.is_make_job = is_make_job(environment)
            if execution.is_make_job:
                execution.jobserver = jobserver(environment)

    def _exit(self, process: Process, ts: int, status: int, cpu: int, flags: int) -> None:
        del self._processes[process.tgid]
        execution = process.execution
        if execution is None:
            return
        self.accesses.context.ended[process.tgid] = execution
        if flags & events.LOST:
            execution.problem_throughout(Reason.EVENTS_LOST, "events of the process were lost")
        for at in execution.chain():
            at.alive -= 1
        execution.cpu_ns += cpu
        pipe = self._refilled.pop(process.tgid, None)
        for at in execution.chain() if pipe is not None else ():
            if any(same[0].stamp.st_ino == pipe for same in at.descriptors.values()):
                # What it has read from there nobody was told.
                at.problem(Reason.FOREIGN_INPUT, "a pipe that was looked into")
        hit = self._replayed.pop(process.tgid, None)
        if hit is not None and execution.tgid == process.tgid:
            hit.enter(execution, process, self.accesses.context)
        elif hit is not None:
            execution.problem_throughout(Reason.EVENTS_LOST, "the start of a replayed program")
        if status & _DUMPED:
            execution.problem_throughout(Reason.UNSUPPORTED, "core dump")
        signal = status & 0x7F
        expected = 0 if hit is None else hit.outcome.status & 0x7F
        if signal not in (0, expected) and signal not in _OWN_SIGNALS:
            self._killed(process, execution, signal)
        if execution.tgid != process.tgid:
            return  # a child that never called execve
        while True:
            execution.end, execution.status = ts, status & ~_DUMPED
            for fd in execution.flags_changed:
                evidence = f"flags of descriptor {fd}, left changed"
                execution.problem(Reason.UNSUPPORTED, evidence)
            if execution.alive > 0:
                execution.problem(Reason.LEFT_RUNNING, f"{execution.alive} processes")
            settle_messages(execution)
            self._ended(execution)
            execution.merge_into_parent()
            if not execution.is_tail or execution.parent is None:
                return
            execution = execution.parent

    @staticmethod
    def _killed(process: Process, execution: Execution, signal: int) -> None:
        """An execution is to blame for a death only if the signal came from within it."""
        senders = process.senders.get(signal, [])
        for at in execution.chain():
            if not any(at.contains(sender) for sender in senders):
                at.problem(Reason.KILLED_OUTSIDE, f"process {process.tgid} by signal {signal}")
            # The tree's own doing, further up: it sent the signal, or closed the pipe's other end
            # (who inherited that pipe has the failed write as a reason).
            if signal == _SIGPIPE or (senders and at is not execution):
                break
