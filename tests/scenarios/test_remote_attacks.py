"""What somebody who can write the shared store can do: make others run their programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pcache.codec import pack, unpack
from pcache.model import Outcome, Output
from pcache.remote.forms import Shared, decode_outcome, encode_manifest, encode_outcome
from pcache.remote.trust import MANIFEST, OUTCOME, Signer, new_secret
from pcache.sha256 import sha256_digest
from tests.conftest import SUDO, open_directory
from tests.lib.launch import Launcher, Result
from tests.lib.machines import Machine, hits

pytestmark = [pytest.mark.root, pytest.mark.system_files]

FILES = {".pcache.toml": 'base_dir = "."\n', "in": "right\n"}
COMMAND = ("cp", "in", "out")


class Victim:
    """Two machines that share a directory; what one has pushed is there to be tampered with."""

    def __init__(self, pcache: str, base: Path) -> None:
        self.shared = base / "shared"
        machines = []
        for name in ("a", "another"):
            scratch = base / f"scratch-{name}"
            scratch.mkdir()
            launcher = Launcher(pcache, scratch, as_root=SUDO)
            machines.append(Machine(launcher, base, name, f"file://{self.shared}"))
        self.one, self.other = machines
        self.one.be_trusted(self.other)
        self.one.lay_out(FILES)
        assert "pushed 1 record," in self.one.run(*COMMAND).own
        self.other.lay_out(FILES)
        self.signer = Signer(self.one.key.read_bytes())

    def objects(self, kind: str) -> list[Path]:
        return [path for path in (self.shared / "v1" / kind).rglob("*") if path.is_file()]

    def outcome(self) -> tuple[Path, bytes]:
        """The one there is: its file, and what was signed."""
        (path,) = self.objects("outcome")
        return path, unpack(path.read_bytes())[3]

    def without_manifest(self) -> None:
        for path in self.objects("manifest"):
            path.unlink()

    def check(self, status: int = 0) -> Result:
        """Runs the command on the other machine: it does what it does plainly."""
        result = self.other.run(*COMMAND)
        assert result.status == status
        assert (self.other.work / "out").read_text() == "right\n"
        return result

    def resigned(self, change: Callable[[Outcome], Outcome], signer: Signer) -> None:
        """Replaces the outcome with another one, signed by somebody."""
        path, data = self.outcome()
        state = bytes.fromhex(path.name)
        shared = decode_outcome(state, data)
        changed = encode_outcome(state, Shared(change(shared.outcome), shared.sizes))
        path.write_bytes(signer.sign(OUTCOME, changed))
        self.without_manifest()


@pytest.fixture
def victim(pcache: str) -> Iterator[Victim]:
    with open_directory() as base:
        yield Victim(pcache, base)


def test_untouched(victim: Victim) -> None:
    """What the others here start from: without an attack it is a hit, by either way."""
    assert hits(victim.check()) == ["cp in out"]
    victim.other.forget()
    (victim.other.work / "out").unlink()
    victim.without_manifest()
    assert hits(victim.check()) == ["cp in out"]


def other_text(outcome: Outcome) -> Outcome:
    return Outcome(outcome.status ^ 0x100, outcome.outputs, outcome.chunks, outcome.data)


def test_forged_outcome(victim: Victim) -> None:
    victim.resigned(other_text, Signer(new_secret()))
    result = victim.check()
    assert hits(result) == []
    assert "nobody believed has signed it" in result.own
    assert result.counters["remote doubts"] == 1


def test_forged_manifest(victim: Victim) -> None:
    (path,) = victim.objects("manifest")
    signed = path.read_bytes()
    path.write_bytes(Signer(new_secret()).sign(MANIFEST, unpack(signed)[3]))
    result = victim.check()
    # The outcome itself is still there, and is believed.
    assert hits(result) == ["cp in out"]


@pytest.mark.parametrize("kind", ["outcome", "paths", "manifest", "cas"])
def test_rubbish(victim: Victim, kind: str) -> None:
    """Each object replaced by something else; by a signed object of another kind."""
    if kind != "manifest":
        victim.without_manifest()
    other = victim.objects("outcome" if kind != "outcome" else "paths")[0].read_bytes()
    for data in (b"", b"rubbish", other, bytes(range(256)) * 40):
        for path in victim.objects(kind):
            path.write_bytes(data)
        result = victim.check()
        if kind in ("outcome", "paths", "cas"):
            assert hits(result) == [], result.own
        victim.other.forget()
        (victim.other.work / "out").unlink()


def test_swapped_content(victim: Victim) -> None:
    """A content of the right size, and not of that name."""
    (path,) = [one for one in victim.objects("cas") if one.read_bytes() == b"right\n"]
    path.write_bytes(b"wrong\n")
    victim.without_manifest()
    result = victim.check()
    assert hits(result) == []
    assert "is not what its name promises" in result.own


def test_expired_content(victim: Victim) -> None:
    """What is small is in the manifest too."""
    for path in victim.objects("cas"):
        path.unlink()
    assert hits(victim.check()) == ["cp in out"]
    victim.other.forget()
    (victim.other.work / "out").unlink()
    victim.without_manifest()
    result = victim.check()
    assert hits(result) == []
    assert result.counters["remote failures"] == result.counters["remote doubts"] == 0


def test_outcome_of_other_inputs(victim: Victim) -> None:
    """An old outcome, rightly signed, in the place of the one for the present inputs."""
    old, _ = victim.outcome()
    signed = old.read_bytes()
    edited = {**FILES, "in": "new\n"}
    victim.one.lay_out(edited)
    victim.one.run(*COMMAND)
    victim.other.lay_out(edited)
    victim.without_manifest()
    (new,) = [path for path in victim.objects("outcome") if path != old]
    new.write_bytes(signed)
    result = victim.other.run(*COMMAND)
    assert hits(result) == []
    assert (victim.other.work / "out").read_text() == "new\n"
    assert "of other inputs" in result.own


@pytest.mark.parametrize(
    "path",
    [
        b"/etc/pcache-attack",
        b"/var/tmp/../../etc/pcache-attack",
        b"./../pcache-attack",
        b"./../../home/.bashrc",
        b"~/.ssh/authorized_keys",
        b"./x//y",
        b"relative",
        b"",
        b"/proc/self/comm",
    ],
)
def test_path_outside(victim: Victim, path: bytes) -> None:
    """Even a stolen key lets nobody write where the command has no business."""

    def change(outcome: Outcome) -> Outcome:
        first = outcome.outputs[0]
        bad = Output(first.kind, path, first.mode, first.content)
        return outcome.with_outputs((*outcome.outputs, bad))

    victim.resigned(change, victim.signer)
    result = victim.check()
    assert hits(result) == [], result.own
    assert result.counters["remote doubts"] == 1, result.own
    assert not Path("/etc/pcache-attack").exists()
    assert not (victim.other.home / ".ssh").exists()
    assert not (victim.other.work.parent / "pcache-attack").exists()


@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_set_user_id(victim: Victim, mode: int) -> None:
    def change(outcome: Outcome) -> Outcome:
        first = outcome.outputs[0]
        return outcome.with_outputs((Output(first.kind, first.path, mode, first.content),))

    victim.resigned(change, victim.signer)
    assert hits(victim.check()) == []


def test_through_a_link_of_its_own(victim: Victim) -> None:
    def change(outcome: Outcome) -> Outcome:
        first = outcome.outputs[0]
        outputs = (
            Output(b"l", b"./way", 0, b"/etc"),
            Output(first.kind, b"./way/pcache-attack", 0o644, first.content),
        )
        return outcome.with_outputs((*outputs, *outcome.outputs))

    victim.resigned(change, victim.signer)
    assert hits(victim.check()) == []
    assert not Path("/etc/pcache-attack").exists()


def test_through_a_link_that_is_there(victim: Victim) -> None:
    (victim.other.work / "way").symlink_to("/etc")

    def change(outcome: Outcome) -> Outcome:
        first = outcome.outputs[0]
        bad = Output(first.kind, b"./way/pcache-attack", 0o644, first.content)
        return outcome.with_outputs((bad, *outcome.outputs))

    victim.resigned(change, victim.signer)
    assert hits(victim.check()) == []
    assert not Path("/etc/pcache-attack").exists()


def test_manifest_of_lies(victim: Victim) -> None:
    """A manifest whose outcome is of another state than it says; with a bomb in it."""
    (path,) = victim.objects("manifest")
    command = bytes.fromhex(path.parent.name)
    _, outcome = victim.outcome()
    data = encode_manifest(command, {}, [(b"c" * 32, [((b"c", b"/etc/passwd"), b"-")], outcome)])
    for lie in (data, command + b"x" * 100, command + pack([b"\0" * 1000])):
        path.write_bytes(victim.signer.sign(MANIFEST, lie))
        victim.check()
        victim.other.forget()
        (victim.other.work / "out").unlink()


@pytest.mark.parametrize(
    "bad",
    [
        Output(b"h", b"./stolen", 0, b"/etc/shadow"),
        Output(b"r", b"./stolen", 0, b"/etc/shadow"),
        Output(b"h", b"/etc/pcache-attack", 0, b"./in"),
        Output(b"c", b"./device", 0o666),
        Output(b"b", b"./device", 0o666),
        Output(b"-", b"/etc/hostname"),
        Output(b"d", b"./sub", 0o2755),
    ],
    ids=["link to", "moved from", "link at", "character", "block", "removal", "set-group-ID"],
)
def test_other_outputs(victim: Victim, bad: Output) -> None:
    """What a stolen key lets nobody have made, in the outcome of an otherwise right record."""
    before = Path("/etc/hostname").read_bytes()
    victim.resigned(lambda found: found.with_outputs((*found.outputs, bad)), victim.signer)
    result = victim.check()
    assert hits(result) == [], result.own
    assert result.counters["remote doubts"] == 1, result.own
    assert Path("/etc/hostname").read_bytes() == before
    assert not Path("/etc/pcache-attack").exists()
    assert sorted(path.name for path in victim.other.work.iterdir()) == sorted((*FILES, "out"))


@pytest.mark.parametrize("kind", ["outcome", "paths", "manifest", "cas"])
def test_huge_objects(victim: Victim, kind: str) -> None:
    """They are not read: a terabyte of nothing costs who puts it there nothing."""
    if kind != "manifest":
        victim.without_manifest()
    for path in victim.objects(kind):
        with path.open("r+b") as file:
            file.truncate(1 << 40)
    began = time.monotonic()
    result = victim.check()
    assert time.monotonic() - began < 30
    assert (hits(result) == ["cp in out"]) == (kind == "manifest"), result.own


def test_strange_names_in_a_listing(victim: Victim) -> None:
    victim.without_manifest()
    (good,) = victim.objects("paths")
    for name in ("%2e%2e", "..%2f..%2foutcome", "a b\nc", "-", "x" * 200):
        (good.parent / name).write_bytes(b"x")
    (good.parent / "directory").mkdir()
    victim.check()


def test_rotation(victim: Victim) -> None:
    """What the old key has signed is not believed any more; what the new one signs is."""
    old, victim.one.key = victim.one.key, victim.one.home / "new.key"
    new = victim.one.new_key()
    victim.other.configure([new], more='map = ["home"]')
    result = victim.check()
    assert hits(result) == []
    assert result.counters["remote doubts"] == 1, result.own
    old.unlink()
    victim.one.configure([new], "always", 'map = ["home"]')
    victim.one.forget()
    victim.one.lay_out(FILES)
    assert "pushed 1 record," in victim.one.run(*COMMAND).own
    victim.other.forget()
    victim.other.lay_out(FILES)
    assert hits(victim.check()) == ["cp in out"]


@pytest.mark.slow
def test_hundred_thousand_path_sets(victim: Victim) -> None:
    """A poisoned listing costs a bounded time, and is a miss at worst."""
    victim.without_manifest()
    (good,) = victim.objects("paths")
    poison = Signer(new_secret()).sign(b"pcache path set 1", b"x" * 100)
    for number in range(100_000):
        name = sha256_digest(b"%d" % number).hex()
        (good.parent / name).write_bytes(poison)
    began = time.monotonic()
    result = victim.check()
    took = time.monotonic() - began
    assert took < 30, took
    assert result.counters["remote look-ups"] >= 1
