"""The words of the project as types.  This module imports nothing of pcache.

Everything here is on the path of a replay's first decision, so the classes are written by hand:
`dataclasses` and `typing` cost 15 ms and 9 ms of start-up, more than a whole cached command.
Paths are `bytes` throughout, because Linux file names are.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

Digest = bytes
"""16 bytes of XXH3-128 (big-endian, as `xxhash.xxh3_128_digest` gives them)."""


class _Record:
    """Value semantics for slotted classes: equality, hash and repr over `__slots__`."""

    __slots__ = ()

    def _values(self) -> tuple[object, ...]:
        names: tuple[str, ...] = self.__slots__
        return tuple(getattr(self, name) for name in names)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._values() == self._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        names: tuple[str, ...] = self.__slots__
        pairs = zip(names, self._values(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in pairs)})"


_STREAMS = frozenset((b"file", b"pipe", b"tty"))


class Call(_Record):
    """What the caller asked for: everything the kernel handed to the new program.

    `fds` holds one kind for each of descriptors 0-2: b"closed", b"null", b"tty", b"pipe",
    b"file", b"socket", b"dir", b"char:MAJOR:MINOR", b"other"; b"input" for 1 and 2 if
    nothing can be written to them; b"=1" for 2 when it is the same open file description as 1 (as
    after `2>&1`).  What stdin is matters only to programs that look at
    it (make hands it to one of its parallel jobs, whichever comes first): it is not part of the
    weak fingerprint but a fact of kind FD.  So it is with which of file, pipe and terminal 1 and 2
    are, to all of which the same is written, and whether they are one: see `streams`.
    """

    __slots__ = (
        "executable",
        "argv",
        "env",
        "cwd",
        "umask",
        "uid",
        "gid",
        "fds",
        "ignored",
        "filename",
    )

    def __init__(
        self,
        executable: bytes,
        argv: tuple[bytes, ...],
        env: tuple[bytes, ...],
        cwd: bytes,
        umask: int,
        uid: int,
        gid: int,
        fds: tuple[bytes, ...],
        ignored: int = 0,
        filename: bytes = b"",
    ) -> None:
        self.executable = executable
        """Canonical absolute path of the running image: a script's interpreter, not the script."""
        self.argv = argv
        """As the new image sees it: for a script, starts with interpreter, option, script path."""
        self.env = env
        """Raw `NAME=value` entries, unfiltered, in the order given."""
        self.cwd = cwd
        self.umask = umask
        self.uid = uid
        """Effective user id."""
        self.gid = gid
        """Effective group id."""
        self.fds = fds
        self.ignored = ignored
        """Which of `pcache.linux.signal_sets.TOLD` are ignored, as a mask."""
        self.filename = filename
        """As execve(2) was given it, which the image is told: AT_EXECFN of getauxval(3)."""

    def streams(self) -> tuple[bytes, ...]:
        """Of descriptors 1 and 2 what makes another call."""
        kinds = [b"stream" if kind in _STREAMS else kind for kind in self.fds[1:]]
        return tuple([kinds[0] if kind == b"=1" else kind for kind in kinds])


class Kind:
    """Kinds of fact: which observation of a path is repeated when a fact is evaluated.

    The path of a fact is the one the program used, made absolute but not otherwise normalised, so
    that evaluating it makes the kernel follow the same links the program's own call followed.
    One-byte values, because they are stored.
    """

    CONTENT: Final = b"c"
    """stat following links: type, permission bits, and for a regular file its content."""
    LCONTENT: Final = b"l"
    """The same without following a final symbolic link, whose target is then the content."""
    EXISTS: Final = b"e"
    """stat following links: type, permission bits and owner, but no content (access(2))."""
    LEXISTS: Final = b"n"
    """The same without following a final symbolic link."""
    SIZE: Final = b"z"
    """EXISTS and, of a regular file, number of names and size: it was looked at by a program that
    may go by them, and was then replaced or removed without being read."""
    LSIZE: Final = b"Z"
    """The same without following a final symbolic link."""
    LISTING: Final = b"d"
    """The sorted names and types in a directory."""
    REPLACEABLE: Final = b"r"
    """`MODE:PATH`, MODE octal: b"ok" if creating or truncating PATH leaves a file with that mode:
    PATH is absent in an existing directory, or a regular file of ours with one link and that mode;
    else the value of LEXISTS for PATH."""
    PLAIN: Final = b"E"
    """b"ok" if nothing is there, or something that has nothing which a new file or directory would
    not have: other names, another group, extended attributes, flags; else the value of LEXISTS."""
    DEFAULTS: Final = b"A"
    """What a directory gives to what is made in it: b"ok" if nothing."""
    UNLOCKED: Final = b"K"
    """`r:PATH` or `w:PATH`: b"ok" if nobody holds a lock that would keep one from being had, for
    reading or writing; else which lock that is."""
    NAMES: Final = b"N"
    """The sorted names in a directory, without their types."""
    OTHERS: Final = b"V"
    """`NAMES:PATH` (`pcache.values.others_path`): LISTING, but for some names that may have been
    there or not, as they were replaced by something else before the directory was listed."""
    REMOVABLE: Final = b"u"
    """b"ok" if unlink(2) can remove it: it is there and no directory; else the value of LEXISTS."""
    NOT_LINK: Final = b"k"
    """b"ok" if it is there and no symbolic link; else the value of LEXISTS."""
    NOT_DIRECTORY: Final = b"F"
    """b"ok" if open(2) with O_DIRECTORY fails with ENOTDIR: it is no directory, or something on the
    way to it is none; else the value of EXISTS."""
    LNOT_DIRECTORY: Final = b"G"
    """The same without following a final symbolic link, or with the value of LEXISTS."""
    LINK: Final = b"L"
    """lstat of a symbolic link: that it is one and how long its target is, not where it leads
    (readlink and whatever follows it see that, and are facts of their own); else the value of
    LEXISTS."""
    PRESENT: Final = b"x"
    """b"ok" if anything is there, be it a dangling link; else the value of LEXISTS."""
    RESOLVES: Final = b"R"
    """The value of EXISTS and, after a `>`, the canonical name: where a directory is that relative
    names are then looked up in, reached by a path with links or `..`."""
    DIRECTORY: Final = b"D"
    """b"ok" if it is a directory, following links; else the value of EXISTS."""
    OVERWRITABLE: Final = b"o"
    """b"ok" if rename(2) can put a file there: no directory, or absent in an existing directory;
    else the value of LEXISTS."""
    TIMES: Final = b"t"
    """mtime in nanoseconds, owner and number of names, following links: only for programs
    configured `strict`."""
    LTIMES: Final = b"T"
    """The same without following a final symbolic link."""
    VERSION: Final = b"v"
    """Inode number and time of change, following links: only where somebody goes by these."""
    LVERSION: Final = b"W"
    """The same without following a final symbolic link."""
    ORDER: Final = b"m"
    """Several paths (`pcache.values.order_path`): which of them are newer than which, only for
    programs configured `mtime_order`."""
    NOT_NEWER: Final = b"O"
    """`NS:` and several paths as of ORDER: b"ok" if none of them is newer than that time, which
    is the earliest of the times that outputs are given because other outputs hold them."""
    INPUT_TIMES: Final = b"M"
    """TIMES of the regular file behind a decimal descriptor number, as of INPUT."""
    FD: Final = b"f"
    """The path is a decimal descriptor number: its kind, as in `Call.fds`."""
    STREAM: Final = b"S"
    """`N:PATH`: b"ok" if the path leads to the file that descriptor N is open for, as where the
    output of `md5sum *` is written to one of the files; else b"!0"."""
    TRAIT: Final = b"P"
    """The path is `affinity`, `groups`, `signal 1` and the like (`pcache.linux.traits`): what the
    process was handed down (`pcache.linux.descriptors.FdView.trait`), where it went by that."""
    NUMBERED: Final = b"#"
    """`MADE,KEPT,REMOVED:PLACE` (`pcache.settings.numbered`): what is in a directory beside those
    that are numbered, if of each of these it is known what becomes of it.  The first of all."""
    XATTRS: Final = b"X"
    """The names of the extended attributes, following links."""
    LXATTRS: Final = b"Y"
    """The same without following a final symbolic link."""
    READABLE: Final = b"4"
    """b"ok" if the effective user may read it, following links, whatever grants that: mode, groups,
    access control list; else the value of PERMISSION."""
    WRITABLE: Final = b"2"
    """The same for writing, which takes a mount and a file that can be written to."""
    EXECUTABLE: Final = b"1"
    """The same for executing or searching, which takes a mount that lets files be executed."""
    PERMISSION: Final = b"p"
    """All that the kernel goes by when it refuses something that is there, or to make something:
    see `pcache.linux.permissions.Permission`."""
    ONE: Final = b"~"
    """Which of the record's other keys are about one file (device and inode): the path holds the
    paths of which that was not known, as `pcache.values.one_path` packs them.  The last of all."""
    BASE: Final = b"B"
    """The path is `base`: where `base_dir` is, of executions that would do something else if it
    were somewhere else."""
    LOADER: Final = b"C"
    """`NAMES:PATH`, names of libraries with slashes between them: what the cache of the dynamic
    loader at PATH says of these (`pcache.linux.loader_cache`); else the value of CONTENT."""
    SOCKET: Final = b"s"
    """`FAMILY:TYPE:PROTOCOL`, in decimal: b"ok" if such a socket can be made; with a fourth part, a
    struct sockaddr of port 0 in hexadecimal, if it can then be bound to that.  Else the errno."""
    INTERFACES: Final = b"I"
    """The path is `all`: the network interfaces and their addresses
    (`pcache.linux.interfaces`)."""
    CGROUPS: Final = b"g"
    """The path is `all`: where control groups are mounted, and which (`pcache.linux.cgroups`)."""
    INPUT: Final = b"i"
    """The path is a decimal descriptor number, inherited and read: offset and content of the
    regular file behind it."""

    PIPE: Final = b"&"
    """The path is a decimal descriptor number, inherited: all that comes from the pipe behind it,
    one that other programs of the tree write to."""


PATHLESS: Final = (Kind.BASE, Kind.SOCKET, Kind.INTERFACES, Kind.CGROUPS)
"""Kinds of facts about what has no path, and is the same for each of an execution's programs."""
PREFIXED: Final = (
    *(Kind.REPLACEABLE, Kind.UNLOCKED, Kind.OTHERS, Kind.LOADER, Kind.STREAM, Kind.NUMBERED),
)
"""Kinds whose path has something before it that ends with a colon."""

Key = tuple[bytes, bytes]
"""(kind, path): what is looked at."""


class Fact(_Record):
    """A key with the value it had: `pcache.values` has its forms."""

    __slots__ = ("kind", "path", "value")

    def __init__(self, kind: bytes, path: bytes, value: bytes) -> None:
        self.kind = kind
        self.path = path
        self.value = value


class PathSet(_Record):
    """The ordered keys an execution depended on.  `digest` identifies it."""

    __slots__ = ("digest", "keys")

    def __init__(self, digest: Digest, keys: tuple[Key, ...]) -> None:
        self.digest = digest
        self.keys = keys


APPENDING = -1
"""In place of an offset: the descriptor is left writing at the end (O_APPEND)."""
FRESH, NOW = -1, -2
"""In place of a modification time in ns: one of the moment in which the output is put in place."""
SERIES: Final = b"n"


class Output(_Record):
    """One postcondition: the state a path has at the end of the execution because of it.

    kind: b"f" new regular file, b"w" regular file that is written to in place if there is one,
    b"r" moved from elsewhere as it was, b"d" directory, b"l" symbolic link, b"h" hard link, b"p"
    fifo, b"-" deleted (what is not there was made and removed), b"m" only mode or times changed
    (mtime_ns FRESH: they stay), b"t" directory in which something of a random name was made and
    removed: it has become newer, b"n" numbered directories (`pcache.settings.numbered`).
    """

    __slots__ = ("kind", "path", "mode", "content", "mtime_ns", "extents")

    def __init__(
        self,
        kind: bytes,
        path: bytes,
        mode: int = 0,
        content: bytes = b"",
        mtime_ns: int = FRESH,
        extents: tuple[int, ...] = (),
    ) -> None:
        self.kind = kind
        self.path = path
        """Canonical absolute path."""
        self.mode = mode
        """Permission bits (07777) of a file, directory or fifo."""
        self.content = content
        """Blob digest of a regular file; target of a symbolic link; other path of a hard link, or
        former one of what was moved."""
        self.mtime_ns = mtime_ns
        """Modification time if the program set one explicitly (utimensat), or another output holds
        it; else FRESH, NOW (of b"m"), or what `pcache.times` says."""
        self.extents = extents
        """Of a sparse file: offset and end of each piece that has blocks, and the file's size."""


class Outcome(_Record):
    """What a hit restores."""

    __slots__ = ("status", "outputs", "chunks", "data", "offsets", "wall_ns", "cpu_ns")

    def __init__(
        self,
        status: int,
        outputs: tuple[Output, ...] = (),
        chunks: tuple[tuple[int, int], ...] = (),
        data: Digest = b"",
        offsets: tuple[tuple[int, int], ...] = (),
        wall_ns: int = 0,
        cpu_ns: int = 0,
    ) -> None:
        self.status = status
        """Wait status as waitpid(2) gives it, without the core-dump flag."""
        self.outputs = outputs
        """In the order in which they are applied: that of their last change."""
        self.chunks = chunks
        """(descriptor, number of bytes) in the order written; consecutive ones merged."""
        self.data = data
        """Blob with the bytes of all chunks, one after another; b"" when there are none."""
        self.offsets = offsets
        """(descriptor, file offset) at which inherited, read regular files are left, or
        APPENDING."""
        self.wall_ns = wall_ns
        self.cpu_ns = cpu_ns

    def with_outputs(self, outputs: tuple[Output, ...]) -> Outcome:
        """The same with other outputs."""
        return Outcome(
            self.status,
            outputs,
            self.chunks,
            self.data,
            self.offsets,
            self.wall_ns,
            self.cpu_ns,
        )


class Record(_Record):
    """A complete, cacheable execution, ready for the store."""

    __slots__ = ("call", "weak", "facts", "outcome")

    def __init__(self, call: Call, weak: Digest, facts: tuple[Fact, ...], outcome: Outcome) -> None:
        self.call = call
        self.weak = weak
        self.facts = facts
        """Preconditions, in the order of their keys."""
        self.outcome = outcome


class Reason:
    """Why an execution is uncacheable: the closed list.  The values are what users read."""

    EVENTS_LOST: Final = "events lost"
    NETWORK: Final = "network"
    INPUT_CHANGED: Final = "input changed while running"
    OUTPUT_OVERWRITTEN: Final = "output overwritten before capture"
    UNOBSERVABLE_WRITE: Final = "unobservable write"
    FOREIGN_INPUT: Final = "read from a pipe or terminal it did not make"
    DESCRIPTOR_PASSING: Final = "descriptor passing"
    SHARED_MEMORY: Final = "shared memory with outsiders"
    PTRACE: Final = "ptrace"
    NAMESPACE: Final = "mount or namespace change"
    SIGNAL_OUTSIDE: Final = "signal to outside the subtree"
    LEFT_RUNNING: Final = "left a process running"
    FOREIGN_ABI: Final = "32-bit or x32 program"
    KILLED_OUTSIDE: Final = "killed by an outside signal"
    CONFLICT: Final = "conflicting concurrent access"
    NON_DETERMINISTIC: Final = "non-deterministic"
    CONFIGURED: Final = "never cached"
    PRIVATE_TEMPORARY: Final = "works on a temporary file of its caller"
    SHORTAGE: Final = "ran out of disk space or another resource"
    TRANSIENT: Final = "failed for a reason that may pass"
    UNSUPPORTED: Final = "operation that cannot be restored"
    PRIVILEGED: Final = "started a privileged program"
    UNREADABLE: Final = "input that cannot be read"


class Uncacheable(_Record):
    """One reason with its evidence (a path, an address, a syscall)."""

    __slots__ = ("reason", "evidence")

    def __init__(self, reason: str, evidence: str) -> None:
        self.reason = reason
        self.evidence = evidence
