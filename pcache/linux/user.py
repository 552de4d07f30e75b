"""Whose command this is: who runs it, in which environment, and where that user's store is.

Under sudo the command belongs to the person who typed sudo.  sudo empties the environment and the
loader of a setuid program drops more of it (LD_LIBRARY_PATH, TMPDIR, ...), but the block that the
kernel laid out for the sudo process itself stays readable for root in /proc/PID/environ, and it
holds what the person's shell passed.  A later replay without sudo then sees the same call.
"""

from __future__ import annotations

import os

from pcache.errors import EnvironmentProblem, PrivilegeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_COERCED = (b"C.UTF-8", b"C.utf8", b"UTF-8")
"""Values of LC_CTYPE that Python puts into its own environment in the C locale (PEP 538)."""

_SUDO_NAMES = (b"sudo", b"sudo-rs")
_SUDO_WITH_VALUE = b"CDghpRrTtUu"
"""Letters of sudo's options that take the next argument as their value, see sudo(8)."""


def is_root() -> bool:
    """Whether this process is root's, outside of the user namespace that it may be in as well."""
    if os.geteuid() != 0:
        return False
    from pcache.linux.user_namespace import owner_maps

    maps = owner_maps()
    return maps is None or any(here == outside == 0 for here, outside, _ in maps[0])


class User:
    """An account as far as running a command as it goes."""

    __slots__ = ("env", "gid", "groups", "home", "name", "sudo_pid", "uid", "umask")

    def __init__(
        self,
        uid: int,
        gid: int,
        groups: tuple[int, ...],
        name: str,
        home: bytes,
        env: dict[bytes, bytes],
        umask: int | None = None,
        sudo_pid: int | None = None,
    ) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        """Supplementary groups."""
        self.name = name
        self.home = home
        self.env = env
        """The environment for the command, in the order in which the user's shell passed it."""
        self.umask = umask
        """The umask of whoever started sudo (sudo widens it); None: keep the present one."""
        self.sudo_pid = sudo_pid
        """The sudo process whose environment was recovered; None without one."""

    @property
    def store_dir(self) -> bytes:
        """Where this user's store belongs; it need not exist yet.

        A relative XDG_CACHE_HOME is ignored, as the XDG base directory specification demands.
        """
        cache = self.env.get(b"XDG_CACHE_HOME", b"")
        if not cache.startswith(b"/"):
            cache = self.home + b"/.cache"
        return cache + b"/pcache"

    @classmethod
    def current(cls) -> User:
        """The user of this process.  Raises EnvironmentProblem when it has no home directory."""
        env = own_environment()
        uid = os.geteuid()
        name = env.get(b"USER") or env.get(b"LOGNAME") or b"%d" % uid
        home = _home(uid, env)
        groups = tuple(os.getgroups())
        return cls(uid, os.getegid(), groups, os.fsdecode(name), home, env)

    @classmethod
    def invoking(cls, as_root: bool = False, settle: Callable[[User], None] | None = None) -> User:
        """The user on whose behalf root runs: the one who called sudo, else root itself.

        With `as_root` root is kept, in the environment it has.  `settle` is called as soon as the
        ids are known, and before anything that the user wrote is looked into: so that root's rights
        can be given up.  Raises PrivilegeError when this process is not root, EnvironmentProblem
        when SUDO_UID or SUDO_GID is no number.
        """
        if os.geteuid() != 0:
            raise PrivilegeError("this needs root", "put sudo in front: sudo pcache ...")
        env = own_environment()
        if as_root or b"SUDO_UID" not in env:
            user = cls.current()
            user.env = _without_sudo(env)
            if settle is not None:
                settle(user)
            return user
        uid = _number(env, b"SUDO_UID")
        gid = _number(env, b"SUDO_GID") if b"SUDO_GID" in env else uid
        name, home = _account(uid)
        try:
            sudo_pid = _nearest_sudo(uid)
            if sudo_pid is not None and not _is_sudo(os.getppid(), uid):
                sudo_pid = None  # below a script that sudo started, in what that made of all this
            block = None if sudo_pid is None else _read(sudo_pid, "environ")
            line = b"" if sudo_pid is None else _read(sudo_pid, "cmdline")
        except OSError:
            sudo_pid, block, line = None, None, b""
        umask = None
        groups = tuple(os.getgrouplist(name, gid)) if name else (gid,)
        if sudo_pid is not None:
            umask = _umask_of(_parent(sudo_pid))
            groups = _groups_of_caller(sudo_pid, uid, groups)
        user = cls(uid, gid, groups, name or str(uid), home, env, umask, sudo_pid)
        if settle is not None:
            settle(user)
        if block is None:
            # What we were handed, with the account's own identity.
            env = _without_sudo(env)
            env.update({b"HOME": home, b"USER": os.fsencode(name), b"LOGNAME": os.fsencode(name)})
        else:
            env = _without_sudo(_pairs(block))
            env.update(_assignments(_words(line)))
        user.env = env
        user.home = env.get(b"HOME") or home
        return user

    def become(self) -> None:
        """Turn this process into one of the user, for good.

        Raises PrivilegeError when the kernel refuses.
        """
        if self.is_ours() and self.umask is None:
            return
        if os.geteuid() != 0:
            if os.geteuid() != self.uid:
                raise PrivilegeError(f"cannot become user {self.name}", "run pcache as root")
            return
        try:
            # The order matters: after setresuid nothing else is allowed any more.
            os.setgroups(self.groups)
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)
        except OSError as error:
            raise PrivilegeError(f"cannot become user {self.name}: {error.strerror}") from error
        if self.umask is not None:
            os.umask(self.umask)

    def is_ours(self) -> bool:
        """Whether this process is one of the user's already."""
        return (
            os.getresuid() == (self.uid,) * 3
            and os.getresgid() == (self.gid,) * 3
            and set(os.getgroups()) == set(self.groups)
        )


def own_environment() -> dict[bytes, bytes]:
    """The environment that this process was given, without what Python added to it."""
    env = dict(os.environb)
    try:
        if env.get(b"LC_CTYPE") in _COERCED and b"LC_CTYPE" not in environment_of(os.getpid()):
            del env[b"LC_CTYPE"]
    except OSError:
        return env  # there is no /proc to compare with
    return env


def environment_of(pid: int) -> dict[bytes, bytes]:
    """The environment block with which the program of `pid` was started.  Raises OSError."""
    return _pairs(_read(pid, "environ"))


def _pairs(block: bytes) -> dict[bytes, bytes]:
    pairs: dict[bytes, bytes] = {}
    for entry in block.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if name and equals:
            pairs.setdefault(name, value)
    return pairs


def _read(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


def _home(uid: int, env: dict[bytes, bytes]) -> bytes:
    home = env.get(b"HOME") or _account(uid)[1]
    if not home.startswith(b"/"):
        raise EnvironmentProblem(
            f"user {uid} has no home directory for the store", "set HOME or XDG_CACHE_HOME"
        )
    return home.rstrip(b"/") or b"/"


def _account(uid: int) -> tuple[str, bytes]:
    """(name, home directory) from the password database; ("", b"") for an unknown uid."""
    import pwd

    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return "", b""
    return entry.pw_name, os.fsencode(entry.pw_dir)


def _number(env: dict[bytes, bytes], name: bytes) -> int:
    try:
        number = int(env[name])
    except ValueError:
        number = -1
    if number < 0:
        raise EnvironmentProblem(
            f"{name.decode()} is no user or group number: {env[name]!r}",
            "start pcache through sudo, or unset it",
        )
    return number


def _without_sudo(env: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {name: value for name, value in env.items() if not name.startswith(b"SUDO_")}


def _status_field(pid: int, field: bytes) -> bytes:
    for line in _read(pid, "status").splitlines():
        name, _, value = line.partition(b":")
        if name == field:
            return value.strip()
    return b""


def _parent(pid: int) -> int:
    return int(_status_field(pid, b"PPid") or 0)


def _umask_of(pid: int) -> int | None:
    try:
        return int(_status_field(pid, b"Umask"), 8)
    except (OSError, ValueError):
        return None


def _groups_of_caller(sudo_pid: int, uid: int, account: tuple[int, ...]) -> tuple[int, ...]:
    """The supplementary groups of who started sudo, as far as the account has them: a shell has
    those of the time of its login, and none that newgrp(1) gave it is given to anybody here."""
    try:
        caller = _parent(sudo_pid)
        if _status_field(caller, b"Uid").split()[:2] != [b"%d" % uid] * 2:
            return account
        held = {int(group) for group in _status_field(caller, b"Groups").split()}
    except OSError:
        return account
    return tuple(group for group in account if group in held)


def _nearest_sudo(uid: int) -> int | None:
    """The nearest sudo above this process that `uid` started; None without one.  Raises OSError.

    With `use_pty` sudo forks itself once: the upper process is the one that was executed, whose
    parent's umask is the user's.
    """
    pid = os.getppid()
    while pid > 1 and not _is_sudo(pid, uid):
        pid = _parent(pid)
    if pid <= 1:
        return None
    above = _parent(pid)
    same = above > 1 and _is_sudo(above, uid) and _arguments(above) == _arguments(pid)
    return above if same else pid


def _is_sudo(pid: int, uid: int) -> bool:
    # sudo keeps the real uid of its caller; the effective one is root's, which cannot be faked.
    exe = os.path.basename(os.readlink(f"/proc/{pid}/exe".encode()))
    return exe in _SUDO_NAMES and _status_field(pid, b"Uid").split()[:2] == [b"%d" % uid, b"0"]


def _arguments(pid: int) -> list[bytes]:
    return _words(_read(pid, "cmdline"))


def _words(line: bytes) -> list[bytes]:
    return line.split(b"\0")[1:-1]


def _assignments(arguments: list[bytes]) -> dict[bytes, bytes]:
    """The variables in `sudo [OPTION...] NAME=value... COMMAND`."""
    found: dict[bytes, bytes] = {}
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        position += 1
        if argument.startswith(b"-"):
            if argument == b"--":
                continue
            takes_value = len(argument) == 2 and argument[1:] in _SUDO_WITH_VALUE
            position += takes_value
            continue
        name, equals, value = argument.partition(b"=")
        if not equals or b"/" in name:
            break
        found[name] = value
    return found
