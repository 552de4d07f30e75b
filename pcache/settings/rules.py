"""What holds for a program: the defaults, and what a configuration adds."""

from __future__ import annotations

from pcache.codec import pack, unpack
from pcache.settings.base_dir import Base
from pcache.settings.defaults import MTIME_ORDER, NEVER_CACHED, STRICT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PROJECT_FILE = b".pcache.toml"
"""Name of a project's configuration file."""

NO, ITSELF, CALLERS = b"no", b"itself", b"callers"
"""Values of `never_cache`: cached; always run; always run, and so does whatever starts it."""

PACKED = 9
"""How many fields a rule is stored as."""

_NEVER = frozenset(name for name, _ in NEVER_CACHED)
_STRICT = {name: options for name, options, _ in STRICT}
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
        """Glob for the base name of the executable, or, with a slash, for its canonical path."""
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

    @classmethod
    def unpack(cls, fields: Sequence[bytes]) -> Rule:
        """The rule that `pack` gave these fields for.  Raises DamagedRow, ValueError."""
        pattern, env, paths, extra, never, strict, order, failures, allow = fields
        return cls(
            pattern,
            tuple(unpack(env)),
            tuple(unpack(paths)),
            tuple(unpack(extra)),
            never or None,
            _flag(strict),
            _flag(order),
            _flag(failures),
            tuple(unpack(allow)),
        )

    def pack(self) -> tuple[bytes, ...]:
        """The PACKED fields that it is stored as."""
        return (
            self.pattern,
            pack(self.ignore_env),
            pack(self.ignore_paths),
            pack(self.extra_inputs),
            self.never_cache or b"",
            _packed_flag(self.strict),
            _packed_flag(self.mtime_order),
            _packed_flag(self.cache_failures),
            pack(self.allow),
        )

    def concerns(self, executable: bytes) -> bool:
        name = executable if b"/" in self.pattern else executable.rpartition(b"/")[2]
        return matches(self.pattern, name)


def _flag(field: bytes) -> bool | None:
    return field == b"1" if field else None


def _packed_flag(flag: bool | None) -> bytes:
    return b"" if flag is None else b"%d" % flag


class Settings:
    """What holds for one program."""

    __slots__ = (
        "_strict",
        "allow",
        "cache_failures",
        "extra_inputs",
        "ignore_env",
        "ignore_paths",
        "mtime_order",
        "never_cache",
    )

    def __init__(self, executable: bytes, rules: tuple[Rule, ...]) -> None:
        name = executable.rpartition(b"/")[2]
        self.never_cache = ITSELF if name in _NEVER else NO
        self.mtime_order = name in _ORDERED
        self.cache_failures = True
        self._strict: bool | tuple[bytes, ...] = False
        if name in _STRICT:
            self._strict = _STRICT[name] or True
        self.ignore_env: tuple[bytes, ...] = ()
        self.ignore_paths: tuple[bytes, ...] = ()
        self.extra_inputs: tuple[bytes, ...] = ()
        self.allow: tuple[bytes, ...] = ()
        for rule in rules:
            if rule.concerns(executable):
                self._add(rule)

    def _add(self, rule: Rule) -> None:
        """The last word counts; lists add up."""
        self.ignore_env += rule.ignore_env
        self.ignore_paths += rule.ignore_paths
        self.extra_inputs += rule.extra_inputs
        self.allow += rule.allow
        if rule.never_cache is not None:
            self.never_cache = rule.never_cache
        if rule.strict is not None:
            self._strict = rule.strict
        if rule.mtime_order is not None:
            self.mtime_order = rule.mtime_order
        if rule.cache_failures is not None:
            self.cache_failures = rule.cache_failures

    @property
    def watched(self) -> bool:
        """Whether modification times may be inputs, whatever the arguments."""
        return bool(self._strict) or self.mtime_order

    def strict(self, argv: Sequence[bytes]) -> bool:
        """Whether modification times are inputs, which may depend on the arguments."""
        if isinstance(self._strict, bool):
            return self._strict
        return any(_is_given(option, argv[1:]) for option in self._strict)


def _is_given(option: bytes, arguments: Sequence[bytes]) -> bool:
    if option.startswith(b"--"):
        # getopt_long(3) takes any beginning that is unambiguous.
        words = (word.partition(b"=")[0] for word in arguments if word.startswith(b"--"))
        return any(len(word) > 2 and option.startswith(word) for word in words)
    if len(option) > 2:
        return any(word.startswith(option) for word in arguments)
    letter = option[1:]
    return any(word[:1] == b"-" and word[:2] != b"--" and letter in word for word in arguments)


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
        self._settings: dict[bytes, Settings] = {}

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
        )

    def settings(self, executable: bytes) -> Settings:
        """What holds for a program, by canonical path."""
        found = self._settings.get(executable)
        if found is None:
            found = self._settings[executable] = Settings(executable, self.rules)
        return found


DEFAULT = Policy()
