"""A store with records made by hand, and replays of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from pcache.counters import Counters
from pcache.linux.image import resolve_image
from pcache.linux.user import User
from pcache.memo.facts import Facts
from pcache.model import Call, Fact, Kind, Outcome, Output, Record
from pcache.session.steps.policy import session_policy
from pcache.store.fingerprint import weak_fingerprint
from pcache.store.index import Store
from tests.lib.environment import handed_on
from tests.unit.enforce.lab import Lab


class Records:
    """A directory with a store, and the command to be replayed in it."""

    def __init__(self, directory: Path, lab: Lab, pcache: str) -> None:
        self.directory = directory
        self.lab = lab
        self.pcache = pcache
        self.env = handed_on(
            {
                **lab.environment(),
                "XDG_CACHE_HOME": f"{directory}/cache",
                "RAN": "ran",
                "PWD": str(directory),  # as shells set it
            }
        )
        self.input = directory / "input"
        self.input.write_text("1")

    def record(
        self,
        words: list[str],
        status: int = 0,
        outputs: dict[str, bytes] | None = None,
        chunks: tuple[tuple[int, bytes], ...] = (),
        fds: tuple[bytes, bytes, bytes] = (b"null", b"pipe", b"pipe"),
    ) -> None:
        """Store an outcome of a command that read `input`."""
        path = shutil.which(words[0], path=self.env["PATH"])
        assert path is not None
        argv = tuple(map(os.fsencode, words))
        executable, argv = resolve_image(os.fsencode(path), argv, bytes(self.directory))
        env = tuple(os.fsencode(f"{name}={value}") for name, value in self.env.items())
        mask = os.umask(0)
        os.umask(mask)
        who = os.geteuid(), os.getegid()
        filename = os.fsencode(path)
        call = Call(executable, argv, env, bytes(self.directory), mask, *who, fds, 0, filename)
        with Store.open(f"{self.directory}/cache/pcache") as store:
            value = Facts(store.digests, None, Counters()).evaluate(Kind.CONTENT, bytes(self.input))
            made = tuple(
                Output(b"f", bytes(self.directory / name), 0o640, store.blobs.put_bytes(data))
                for name, data in (outputs or {}).items()
            )
            data = store.blobs.put_bytes(b"".join(text for _, text in chunks))
            outcome = Outcome(
                status, made, tuple((fd, len(text)) for fd, text in chunks), data if chunks else b""
            )
            facts = (Fact(Kind.CONTENT, bytes(self.input), value),)
            weak = weak_fingerprint(call, session_policy(User.current(), call.cwd)[0])
            assert store.add(Record(call, weak, facts, outcome)) == "stored"

    def replay(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run(self.pcache, "replay", *words)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.directory,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def ran(self) -> bool:
        """Whether the probe did run."""
        return (self.directory / "ran").exists()
