"""Machines that share a store: each with its own name, user's home, directory, clock and cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lib.differential import SETTLE_SECONDS
from tests.lib.launch import Launcher, Result, Stdio
from tests.lib.servers import WRITER
from tests.lib.tree import Snapshot

ALL = '["home", "user", "host"]'


class Machine:
    """One machine.  `prefix` goes before all commands: namespaces, another user."""

    def __init__(
        self,
        launcher: Launcher,
        base: Path,
        name: str,
        url: str,
        endpoint: str = "",
        *,
        credentials: tuple[str, str] = WRITER,
        prefix: Sequence[str] = (),
        owner: tuple[int, int] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.home = base / name / "home"
        self.work = base / name / "somewhere" / f"project-of-{name}"
        self.work.mkdir(parents=True)
        (self.home / ".config/pcache").mkdir(parents=True)
        self.name = name
        self.launcher = launcher.after(("env", "--", *prefix)) if prefix else launcher
        self.prefix = [] if owner else list(prefix)
        self.owner = owner
        self.url = url
        self.endpoint = endpoint
        self.env = {
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "TZ": "UTC",
            "PCACHE_AWS_ACCESS_KEY_ID": credentials[0],
            "PCACHE_AWS_SECRET_ACCESS_KEY": credentials[1],
            **(variables or {}),
        }
        self.key = self.home / "signing.key"
        self.took_s = 0.0
        """How long the last command took."""

    def pcache(self, *words: str, where: Path | None = None) -> subprocess.CompletedProcess[bytes]:
        """A verb that runs nothing."""
        return subprocess.run(
            [*self.prefix, self.launcher.pcache, *words],
            cwd=where or self.work,
            env=self.env,
            capture_output=True,
            check=False,
        )

    def new_key(self) -> str:
        """Makes its signing key; the public part."""
        done = self.pcache("key", "new", str(self.key))
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    def configure(self, trust: Sequence[str] = (), push: str = "never", more: str = "") -> None:
        """Writes its settings."""
        lines = ["[remote]", f'url = "{self.url}"', f'push = "{push}"', f"trust = {list(trust)}"]
        if self.endpoint:
            lines.append(f'endpoint = "{self.endpoint}"')
        if self.key.exists():
            lines.append(f'key = "{self.key}"')
        text = "\n".join(lines).replace("'", '"') + "\n" + more + "\n"
        (self.home / ".config/pcache/config.toml").write_text(text)
        self.own()

    def be_trusted(
        self, other: Machine, more: str = 'map = ["home"]', push: str = "always"
    ) -> list[str]:
        """Has a key, which is returned as the one that this and `other`, which only reads, trust;
        `more` is what both are told besides."""
        trusted = [self.new_key()]
        self.configure(trusted, push, more)
        other.configure(trusted, more=more)
        return trusted

    def own(self) -> None:
        """Gives all of it to its owner."""
        if self.owner is not None:
            for top, directories, files in os.walk(self.home.parent):
                for name in (".", *directories, *files):
                    os.chown(os.path.join(top, name), *self.owner, follow_symlinks=False)

    def lay_out(self, files: Mapping[str, str | bytes]) -> None:
        """The project's files, anew."""
        for path in self.work.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        for name, content in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.own()
        time.sleep(SETTLE_SECONDS)

    def forget(self) -> None:
        """Its cache is gone."""
        shutil.rmtree(self.home / ".cache", ignore_errors=True)

    def run(self, *command: str, verb: str = "run", options: Sequence[str] = ()) -> Result:
        time.sleep(SETTLE_SECONDS)
        began = time.monotonic()
        start, tell = {
            "run": (self.launcher.run, "--explain"),
            "trace": (self.launcher.trace, "--explain"),
            "replay": (self.launcher.replay, "-v"),
        }[verb]
        result = start(command, self.work, self.env, Stdio(), (tell, *options))
        self.took_s = time.monotonic() - began
        return result

    def plain(self, *command: str) -> Result:
        return self.launcher.plain(command, self.work, self.env, Stdio())

    def snapshot(self, since: int) -> Snapshot:
        return Snapshot.take(self.work, since, since)


def hits(result: Result) -> list[str]:
    """The commands that were replayed."""
    return [decision.command for decision in result.decisions if decision.hit]
