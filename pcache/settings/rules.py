"""What holds for a program: the defaults, and what a configuration adds."""

from __future__ import annotations

from pcache.settings.base_dir import Base
from pcache.settings.defaults import AGES, IGNORED_PATHS, MTIME_ORDER, NEVER_CACHED, STRICT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NO, ITSELF, CALLERS = b"no", b"itself", b"callers"
"""Values of `never_cache`: cached; always run; always run, and so does whatever starts it."""

_NEVER = frozenset(name for name, _ in NEVER_CACHED)
_STRICT = {name: options for name, options, _ in STRICT}
_IGNORED = {name: globs for name, globs, _ in IGNORED_PATHS}
_AGES = {name: options for name, options, _ in AGES}
_ORDERED = frozenset(name for name, _ in MTIME_ORDER)


class Rule:
    """What a configuration says about the programs that match `pattern`; None: nothing."""

    __slots__ = (
        "allow",
        "cache_failures",
        "extra_inputs",
        "ignore_env",
        "ignore_paths",
        "mtime_order",
        "never_cache",
        "pattern",
        "strict",
    )

    def __init__(
        self,
        pattern: bytes,
        ignore_env: tuple[bytes, ...] = (),
        ignore_paths: tuple[bytes, ...] = (),
        extra_inputs: tuple[bytes, ...] = (),
        never_cache: bytes | None = None,
        strict: bool | None = None,
        mtime_order: bool | None = None,
        cache_failures: bool | None = None,
        allow: tuple[bytes, ...] = (),
    ) -> None:
        self.pattern = pattern
        """Glob for the base name of the executable, or, with a slash, for its canonical path; or
        for the base name or path of the script that it interprets, or its module."""
        self.ignore_env = ignore_env
        """Names of variables; a final `*` stands for any ending."""
        self.ignore_paths = ignore_paths
        """Globs for absolute paths; `*` matches slashes too."""
        self.extra_inputs = extra_inputs
        """Absolute paths."""
        self.never_cache = never_cache
        self.strict = strict
        self.mtime_order = mtime_order
        self.cache_failures = cache_failures
        self.allow = allow
        """Features (`pcache.enforce.sandbox.FEATURES`) that are denied to others only."""

    def relative(self, base: Base) -> Rule:
        """The same rule as all checkouts have it."""
        return Rule(
            base.hide_text(self.pattern),
            self.ignore_env,
            tuple(map(base.hide_text, self.ignore_paths)),
            tuple(map(base.hide_text, self.extra_inputs)),
            self.never_cache,
            self.strict,
            self.mtime_order,
            self.cache_failures,
            self.allow,
        )

    def concerns(self, program: bytes) -> bool:
        name = program if b"/" in self.pattern else program.rpartition(b"/")[2]
        return matches(self.pattern, name)


class Settings:
    """What holds for a program, under all the names that it has (`programs_of`)."""

    __slots__ = (
        "_ages",
        "_strict",
        "allow",
        "cache_failures",
        "extra_inputs",
        "ignore_env",
        "ignore_paths",
        "mtime_order",
        "never_cache",
    )

    def __init__(self, programs: tuple[bytes, ...], rules: tuple[Rule, ...]) -> None:
        self.never_cache = NO
        self.mtime_order = False
        self.cache_failures = True
        self._strict: bool | tuple[bytes, ...] = False
        self.ignore_paths: tuple[bytes, ...] = ()
        self._ages: tuple[bytes, ...] | None = None
        """Options that make it go by the age of files; None if nothing does."""
        several = any(name.rpartition(b"/")[2].startswith(_SEVERAL) for name in programs)
        for program in programs:
            name = program.rpartition(b"/")[2]
            if name in _NEVER:
                self.never_cache = ITSELF
            if name in _STRICT:
                self._be_strict(_STRICT[name])
            if several and name in _STARTERS:
                self._be_strict(_STARTERS[name])
            self._ages = _AGES.get(name, self._ages)
            self.mtime_order |= name in _ORDERED
            self.ignore_paths += _IGNORED.get(name, ())
        self.ignore_env: tuple[bytes, ...] = ()
        self.extra_inputs: tuple[bytes, ...] = ()
        self.allow: tuple[bytes, ...] = ()
        for rule in rules:
            if any(map(rule.concerns, programs)):
                self._add(rule)

    def _be_strict(self, options: tuple[bytes, ...]) -> None:
        """When given one of the options, or always if there is none."""
        if not options:
            self._strict = True
        elif not isinstance(self._strict, bool):
            self._strict += options
        elif not self._strict:
            self._strict = options

    def _add(self, rule: Rule) -> None:
        """The last word counts; lists add up."""
        self.ignore_env += rule.ignore_env
        self.ignore_paths += rule.ignore_paths
        self.extra_inputs += rule.extra_inputs
        self.allow += rule.allow
        if rule.never_cache is not None:
            self.never_cache, self._ages = rule.never_cache, None
        if rule.strict is not None:
            self._strict = rule.strict
        if rule.mtime_order is not None:
            self.mtime_order = rule.mtime_order
        if rule.cache_failures is not None:
            self.cache_failures = rule.cache_failures

    def never(self, argv: Sequence[bytes]) -> bytes:
        """`never_cache`, which may depend on the arguments."""
        if self.never_cache != NO or self._ages is None:
            return self.never_cache
        goes_by_age = not self._ages or any(
            not _is_date(value) for option in self._ages for value in _values(option, argv[1:])
        )
        return ITSELF if goes_by_age else NO

    @property
    def watched(self) -> bool:
        """Whether modification times may be inputs, whatever the arguments."""
        return bool(self._strict) or self.mtime_order

    def strict(self, argv: Sequence[bytes]) -> bool:
        """Whether modification times are inputs, which may depend on the arguments."""
        if isinstance(self._strict, bool):
            return self._strict
        return any(is_given(option, argv[1:]) for option in self._strict)


def is_given(option: bytes, arguments: Sequence[bytes]) -> bool:
    """Whether an option of the defaults is among arguments."""
    if option.startswith(b"--"):
        # getopt_long(3) takes any beginning that is unambiguous.
        words = (word.partition(b"=")[0] for word in arguments if word.startswith(b"--"))
        return any(len(word) > 2 and option.startswith(word) for word in words)
    if len(option) == 1:
        return bool(arguments) and option in arguments[0]
    if len(option) > 2:
        return any(word.startswith(option) for word in arguments)
    letter = option[1:]
    return any(word[:1] == b"-" and word[:2] != b"--" and letter in word for word in arguments)


def _values(option: bytes, arguments: Sequence[bytes]) -> list[bytes]:
    """The values that an option is given."""
    values = []
    for word, following in zip(arguments, (*arguments[1:], b""), strict=True):
        if option.startswith(b"--"):
            name, given, value = word.partition(b"=")
            if len(name) > 2 and option.startswith(name):
                values.append(value if given else following)
        elif len(option) > 2:
            if word == option:
                values.append(following)
        elif word[:1] == b"-" and word[:2] != b"--" and option[1:] in word:
            values.append(word.partition(option[1:])[2] or following)
    return values


def _is_date(value: bytes) -> bool:
    """Whether a date(1) string always says the same: YYYY-MM-DD..., YYYYMMDD... or @SECONDS."""
    if value[:1] == b"@":
        return value[1:].replace(b".", b"").isdigit()
    if value.strip(b"0123456789-/:. TZ") or not value[:4].isdigit():
        return False
    return value[4:5] in (b"-", b"/") or (len(value) >= 8 and value[:8].isdigit())


_INTERPRETERS = frozenset(
    (
        *(b"sh", b"ash", b"bash", b"dash", b"zsh", b"ksh", b"python", b"pypy", b"perl", b"ruby"),
        *(b"node", b"nodejs", b"php", b"lua", b"tclsh", b"java"),
    )
)
_WITH_VALUE = {
    b"python": (b"-W", b"-X"),
    b"perl": (b"-I",),
    b"ruby": (b"-I", b"-r", b"-C"),
    b"java": (b"-cp", b"-classpath", b"--class-path", b"-p", b"--module-path"),
}


def script_of(executable: bytes, argv: Sequence[bytes]) -> bytes:
    """What an interpreter interprets: the path of a script as it is given, the name of a module or
    class; empty for other programs, and for code among the arguments."""
    name = executable.rpartition(b"/")[2].rstrip(b"0123456789.-")
    if name not in _INTERPRETERS:
        return b""
    skip = False
    for at, word in enumerate(argv[1:], 2):
        if skip:
            skip = False
        elif word[:1] != b"-" or word == b"-":
            return word
        elif name == b"python" and word[:2] != b"--" and word[-1:] in (b"m", b"c"):
            return argv[at] if word[-1:] == b"m" and at < len(argv) else b""
        elif word in (b"-c", b"-e", b"-E"):
            return b""
        else:
            skip = word in _WITH_VALUE.get(name, ())
    return b""


_SEVERAL = (b"busybox", b"toybox", b"coreutils", b"sbase-box", b"ubase-box")
"""How the names of programs begin that are many in one (busybox.static)."""
_STARTERS: dict[bytes, tuple[bytes, ...]] = dict.fromkeys(
    (
        *(b"sh", b"ash", b"hush", b"bash", b"lash", b"cttyhack", b"xargs", b"env", b"nice"),
        *(b"nohup", b"time", b"timeout", b"setsid", b"flock", b"chroot", b"chrt", b"ionice"),
        *(b"taskset", b"setarch", b"linux32", b"linux64", b"unshare", b"nsenter", b"script"),
        *(b"run-parts", b"watch", b"setpriv", b"start-stop-daemon", b"envdir", b"envuidgid"),
        *(b"setuidgid", b"softlimit", b"chpst", b"su"),
    ),
    (),
)
_STARTERS[b"find"] = (b"-exec", b"-ok")
"""Of those, what starts others, if given one of the options, and without an execve: which ones
does not show, so that they count as `strict`."""
_OF_LOADER = (
    *(b"--argv0", b"--audit", b"--glibc-hwcaps-mask", b"--glibc-hwcaps-prepend"),
    *(b"--inhibit-rpath", b"--library-path", b"--preload"),
)
"""Options of the dynamic loaders of glibc and musl that a value may follow."""
_MOST_NAMES = 6
_last: tuple[tuple[bytes, ...], tuple[bytes, ...]] = ((), ())  # question, answer


def programs_of(executable: bytes, argv: Sequence[bytes]) -> tuple[bytes, ...]:
    """Under which names rules may be meant for an execution: the path of its executable; what a
    program that is many in one is asked to be, or a loader to run; what an interpreter interprets.
    """
    global _last
    asked = (executable, *argv)
    if asked == _last[0]:  # all rules ask, one after the other
        return _last[1]
    found = [executable]
    while len(found) < _MOST_NAMES:
        inner = _within(found[-1], argv)
        if not inner:
            break
        argv = inner
        found.append(argv[0])
    script = script_of(found[-1], argv)
    _last = asked, (*found, script) if script else tuple(found)
    return _last[1]


def _within(program: bytes, argv: Sequence[bytes]) -> Sequence[bytes]:
    """The arguments, from its name on, of the program that another one is to be or to run; empty
    for none."""
    name = program.rpartition(b"/")[2]
    if name.startswith(_SEVERAL):
        started_as = argv[0].rpartition(b"/")[2].lstrip(b"-") if argv else b""
        if started_as and not started_as.startswith(_SEVERAL):
            return (started_as, *argv[1:])
        word, _, value = argv[1].partition(b"=") if len(argv) > 1 else (b"", b"", b"")
        return (value, *argv[2:]) if word == b"--coreutils-prog" else argv[1:]
    if not (name.startswith(b"ld") and b".so" in name):
        return ()
    skip = False
    for at, word in enumerate(argv[1:], 1):
        if skip:
            skip = False
        elif word[:2] != b"--":
            return argv[at:]
        else:
            skip = word in _OF_LOADER
    return ()


def matches(pattern: bytes, text: bytes) -> bool:
    """Whether a glob of `*` and `?` matches all of a text.  (fnmatch would load `re`.)"""
    at = mark = 0
    star = -1
    position = 0
    while position < len(text):
        character = pattern[at : at + 1]
        if character == b"*":
            star, mark = at, position
            at += 1
        elif character in (b"?", text[position : position + 1]) and character:
            at += 1
            position += 1
        elif star >= 0:
            mark += 1
            at, position = star + 1, mark
        else:
            return False
    return not pattern[at:].strip(b"*")


class Policy:
    """The rules of one session: the defaults, then what the configuration adds."""

    def __init__(
        self,
        rules: tuple[Rule, ...] = (),
        max_size: int | None = None,
        digest: bytes = b"",
        compress: bool = True,
        allow: tuple[bytes, ...] = (),
        deny: tuple[bytes, ...] = (),
        base_dir: bytes = b"",
        history: int | None = None,
        remote: bytes = b"",
        secret_env: tuple[bytes, ...] = (),
    ) -> None:
        self.rules = rules
        self.max_size = max_size
        """Limit of the store in bytes, if the configuration sets one."""
        self.digest = digest
        """Of all rules that decide what a record means; part of every call's fingerprint, because
        what holds for a program shows in the records of whatever started it."""
        self.compress = compress
        """Whether contents are compressed where that pays."""
        self.allow = allow
        self.deny = deny
        """What the sandbox allows and denies unless the command line says something else."""
        self.base_dir = base_dir
        """The directory that paths are stored relative to (canonical), or empty."""
        self.base = Base(base_dir) if base_dir else None
        self.history = history
        """How long sessions are kept, in seconds, if the configuration says so."""
        self.remote = remote
        """Where records are shared (`pcache.settings.remote.Remote`, packed), or empty."""
        self.secret_env = secret_env
        """Globs for names of variables that are secrets, or with a `!` before them none, besides
        those that look like it (`pcache.store.secrets`); the last that matches counts."""
        self._settings: dict[tuple[bytes, ...], Settings] = {}

    def within(self, tag: bytes) -> Policy:
        """The same rules for a session under a sandbox: `pcache.enforce.sandbox.Sandbox.tag`."""
        if not tag:
            return self
        return Policy(
            self.rules,
            self.max_size,
            self.digest + b" " + tag,
            self.compress,
            self.allow,
            self.deny,
            self.base_dir,
            self.history,
            self.remote,
            self.secret_env,
        )

    def settings(self, executable: bytes, argv: Sequence[bytes] = ()) -> Settings:
        """What holds for a program, by canonical path, and for its script."""
        programs = programs_of(executable, argv)
        found = self._settings.get(programs)
        if found is None:
            found = self._settings[programs] = Settings(programs, self.rules)
        return found


DEFAULT = Policy()
