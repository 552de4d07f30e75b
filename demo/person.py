"""The ordinary user of the demo, and how to run things as that user and as root on her behalf."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "pcache-demo"
ELSEWHERE = Path("/var/tmp/pcache-demo")


@dataclass(frozen=True)
class Person:
    """Commands run as this account; `root` puts them under sudo or what comes to the same."""

    name: str
    uid: int
    gid: int
    env: dict[str, str]
    folder: Path
    """Where the account may build."""
    statement: str
    """Who runs what, for the reader of the demo."""
    caller_is_root: bool

    def command(self, command: Sequence[str]) -> list[str]:
        """`command` as the ordinary user."""
        if not self.caller_is_root:
            return list(command)
        switch = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups"]
        return [*switch, "--", *command]

    def as_root(self, command: Sequence[str]) -> list[str]:
        """`command` as root for the ordinary user."""
        if not self.caller_is_root:
            return ["sudo", *command]
        # What sudo tells the program that it starts.
        return ["env", f"SUDO_UID={self.uid}", f"SUDO_GID={self.gid}", *command]

    def own(self, path: Path) -> None:
        """Give a tree to the account."""
        if self.caller_is_root:
            subprocess.run(["chown", "-R", f"{self.uid}:{self.gid}", path], check=True)


@contextmanager
def demo_person(work: Path) -> Iterator[Person]:
    """Yield the caller, or (when that is root) an account made for the demo.

    `sudo make demo` is no exception: trace would take the environment of that sudo for the user's,
    and keep its records in the user's own store.
    """
    if os.geteuid() != 0:
        name = pwd.getpwuid(os.geteuid()).pw_name
        statement = f"trace runs through sudo, everything else as {name}"
        env = dict(os.environ)
        yield Person(name, os.geteuid(), os.getegid(), env, work, statement, False)
        return
    with _account() as entry, _folder(work, entry.pw_uid, entry.pw_gid) as folder:
        env = {
            "HOME": entry.pw_dir,
            "LOGNAME": ACCOUNT,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "SHELL": "/bin/sh",
            "USER": ACCOUNT,
        }
        statement = (
            f"you are root: trace runs as you, everything else as the user {ACCOUNT},\n"
            "made for this demo and removed when it is over"
        )
        yield Person(ACCOUNT, entry.pw_uid, entry.pw_gid, env, folder, statement, True)


@contextmanager
def _account() -> Iterator[pwd.struct_passwd]:
    with suppress(KeyError):
        pwd.getpwnam(ACCOUNT)
        subprocess.run(["userdel", "--remove", ACCOUNT], check=True, capture_output=True)
    subprocess.run(
        ["useradd", "--system", "--user-group", "--home-dir", str(ELSEWHERE / "home"), ACCOUNT],
        check=True,
    )
    try:
        yield pwd.getpwnam(ACCOUNT)
    finally:
        # By force: the guardian of the last replay may still be on its way out.
        subprocess.run(["userdel", "--force", ACCOUNT], check=True, capture_output=True)


@contextmanager
def _folder(work: Path, uid: int, gid: int) -> Iterator[Path]:
    """A folder that the account can enter: in the checkout if possible, else below /var/tmp."""
    probe = [
        "setpriv",
        f"--reuid={uid}",
        f"--regid={gid}",
        "--clear-groups",
        "test",
        "-x",
        str(work),
    ]
    if subprocess.run(probe, check=False).returncode == 0:
        yield work
        return
    ELSEWHERE.mkdir(exist_ok=True)
    try:
        yield ELSEWHERE
    finally:
        shutil.rmtree(ELSEWHERE)


def give_back(work: Path) -> None:
    """After `sudo make demo` the work folder must not be root's."""
    if os.geteuid() == 0 and "SUDO_UID" in os.environ and work.exists():
        owner = f"{os.environ['SUDO_UID']}:{os.environ.get('SUDO_GID', '')}"
        subprocess.run(["chown", "-R", owner, work], check=True)
