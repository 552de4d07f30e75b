"""The recorder as a service: members of a group record without sudo."""

from __future__ import annotations

import _socket
import grp
import os
import pwd
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from pcache.recorder import protocol
from tests.conftest import Run, open_directory

pytestmark = [pytest.mark.root, pytest.mark.system_files]

PATIENCE = 20


@pytest.fixture(scope="module")
def second_user(ordinary_user: pwd.struct_passwd) -> Iterator[pwd.struct_passwd]:
    """Another member of the group `users`."""
    name = f"{ordinary_user.pw_name}-b"
    subprocess.run(["useradd", "--create-home", "--groups", "users", name], check=True)
    try:
        yield pwd.getpwnam(name)
    finally:
        subprocess.run(["userdel", "--force", "--remove", name], check=False)


def command(user: pwd.struct_passwd, place: Path, service: str, *words: str) -> list[str]:
    env = {
        "HOME": user.pw_dir,
        "PATH": "/usr/bin:/bin",
        "PCACHE_SOCKET": service,
        "XDG_CACHE_HOME": str(place),
    }
    assignments = [f"{name}={value}" for name, value in env.items()]
    switch = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
    return [*switch, "--", "env", "-i", *assignments, *words]


@pytest.mark.parametrize("verb", ["run", "trace"])
def test_without_sudo(
    pcache: str, ordinary_user: pwd.struct_passwd, user_dir: Path, service: str, verb: str
) -> None:
    words = [pcache, verb, "sh", "-c", "ls / >list; echo ran"]
    full = command(ordinary_user, user_dir, service, *words)
    done = subprocess.run(full, capture_output=True, text=True, check=True, cwd=user_dir)
    assert done.stdout == "ran\n" and "recorded as a whole" in done.stderr, done.stderr
    words[1] = "replay"
    again = subprocess.run(
        command(ordinary_user, user_dir, service, *words),
        capture_output=True,
        text=True,
        check=True,
        cwd=user_dir,
    )
    assert again.stdout == "ran\n" and "brought back as a whole" in again.stderr


def test_two_users_at_once(
    pcache: str,
    ordinary_user: pwd.struct_passwd,
    second_user: pwd.struct_passwd,
    user_dir: Path,
    service: str,
) -> None:
    """Each has all of his own, and nothing of the other's."""
    with open_directory() as other_dir:
        os.chown(other_dir, second_user.pw_uid, second_user.pw_gid)
        running = []
        for user, place in ((ordinary_user, user_dir), (second_user, other_dir)):
            name = f"of-{user.pw_name}-only"
            script = f"for n in 1 2 3 4 5 6 7 8; do ls /{name} 2>/dev/null; cat /dev/null; done"
            words = [pcache, "trace", "--explain", "sh", "-c", script]
            full = command(user, place, service, *words)
            running.append((place, name, subprocess.Popen(full, stderr=subprocess.PIPE)))
        said = [process.communicate(timeout=60)[1] for _, _, process in running]
        names = [name.encode() for _, name, _ in running]
        for (place, _, _), text, own, other in zip(
            running, said, names, reversed(names), strict=True
        ):
            assert b"17 programs ran" in text, text
            assert own in text and other not in text
            for path in place.rglob("*"):
                assert not path.is_file() or other not in path.read_bytes()


def test_who_is_no_member_is_refused(
    pcache: str, as_user: Run, ordinary_user: pwd.struct_passwd, service: str
) -> None:
    switch = [f"--reuid={ordinary_user.pw_uid}", "--regid=65533", "--clear-groups"]
    words = ["setpriv", *switch, "env", f"PCACHE_SOCKET={service}", "HOME=/nonexistent"]
    done = subprocess.run([*words, pcache, "trace", "true"], capture_output=True, check=False)
    assert done.returncode == 0
    assert b"nothing is recorded (the recorder's service cannot be used: Perm" in done.stderr
    assert b"`sudo usermod -aG users " in done.stderr and b"service install" not in done.stderr


@pytest.mark.parametrize("kept", [8, 0])
@pytest.mark.parametrize("verb", ["run", "trace"])
def test_a_service_that_does_not_answer(
    pcache: str, as_user: Run, user_dir: Path, verb: str, kept: int
) -> None:
    """It takes whoever connects, or as many as may wait, and says nothing."""
    path = user_dir / "silent"
    with ExitStack() as stack:
        silent = stack.enter_context(closing(_socket.socket(1, _socket.SOCK_SEQPACKET)))
        silent.bind(str(path))
        path.chmod(0o777)
        silent.listen(kept)
        for _ in range(0 if kept else 1):
            waiting = stack.enter_context(closing(_socket.socket(1, _socket.SOCK_SEQPACKET)))
            waiting.connect(str(path))
        done = as_user([pcache, verb, "echo", "ran"], env={"PCACHE_SOCKET": str(path)}, timeout=20)
    assert (done.returncode, done.stdout) == (0, b"ran\n")
    why = b"service does not answer within 5 s" if kept else b"service cannot be used: "
    assert done.stderr.splitlines()[0].count(why) == 1, done.stderr


@pytest.mark.parametrize("verb", ["run", "trace"])
def test_what_must_be_recorded_does_not_run_without(
    pcache: str, as_user: Run, service: str, user_dir: Path, verb: str
) -> None:
    """A job tells by the status that nothing can be recorded."""
    words = [pcache, verb, "-q", "--must-record", "--json", f"{user_dir}/json", "touch", "ran"]
    nowhere = {"PCACHE_SOCKET": "/nonexistent"}
    done = as_user(words, env=nowhere, cwd=user_dir)
    assert (done.returncode, done.stdout) == (125, b"")
    nothing, so = done.stderr.splitlines()
    assert nothing.startswith(b"pcache: nothing is recorded (")
    assert so == b"pcache: so the command does not run: --must-record"
    assert not (user_dir / "ran").exists()
    del words[3]
    assert as_user(words, env=nowhere, cwd=user_dir).returncode == 0
    assert (user_dir / "ran").exists()


def connect(path: str) -> _socket.socket:
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    socket.connect(path)
    socket.settimeout(PATIENCE)
    return socket


def test_sessions_of_a_user_are_bounded(service: str) -> None:
    sockets = []
    for _ in range(4):
        sockets.append(connect(service))
        protocol.send(sockets[-1], protocol.START, protocol.RING.pack(4096, 0))
        assert protocol.receive(sockets[-1], 1)[0] == protocol.READY
    refused = connect(service)
    assert protocol.receive(refused)[0] == protocol.REFUSED
    for _ in range(50):  # who does not wait for the answer does not end the service
        connect(service).close()
    assert protocol.receive(connect(service))[0] == protocol.REFUSED
    for socket in sockets:
        socket.close()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        again = connect(service)
        try:
            protocol.send(again, protocol.START, protocol.RING.pack(4096, 0))
            if protocol.receive(again, 1)[0] == protocol.READY:
                break
        except (OSError, EOFError):
            pass
        time.sleep(0.05)
    else:
        raise AssertionError("ended sessions count")


@pytest.mark.parametrize("kind", [protocol.GATE, protocol.MAKE])
def test_nothing_is_done_as_root(service: str, kind: int) -> None:
    socket = connect(service)
    protocol.send(socket, protocol.START, protocol.RING.pack(4096, 1))
    assert protocol.receive(socket, 1)[0] == protocol.READY
    descriptors = (socket.fileno(),) if kind == protocol.GATE else ()
    protocol.send(socket, kind, b"recorder", descriptors)
    assert protocol.receive(socket)[0] == protocol.REFUSED


def test_its_rights(service: str, service_pid: int) -> None:
    text = Path(f"/proc/{service_pid}/status").read_text()
    fields = dict(re.findall(r"^(\w+):[ \t]*(.*)$", text, re.MULTILINE))
    assert set(fields["Uid"].split()) == {"65534"} and fields["Groups"].strip() == ""
    granted = 1 << 38 | 1 << 39
    assert [int(fields[name], 16) for name in ("CapPrm", "CapEff")] == [granted] * 2
    assert {int(fields[name], 16) for name in ("CapInh", "CapAmb", "CapBnd")} == {0}
    assert fields["NoNewPrivs"] == "1"
    mode = os.stat(service)
    assert (mode.st_uid, mode.st_gid) == (0, grp.getgrnam("users").gr_gid)
    assert mode.st_mode & 0o777 == 0o660


def test_status_and_idle_end(pcache: str) -> None:
    with open_directory() as directory:
        path = f"{directory}/sock"
        look = [pcache, "service", "status", "--socket", path]
        assert subprocess.run(look, check=False, capture_output=True).returncode == 1
        words = [pcache, "service", "start", "--socket", path, "--group", "users", "--idle", "1"]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            assert process.stdout and b"listens" in process.stdout.readline()
            found = subprocess.run(look, check=False, capture_output=True)
            assert (found.returncode, b"answers" in found.stdout) == (0, True), found
            assert process.wait(PATIENCE) == 0


def test_started_by_who_connects(pcache: str) -> None:
    """The socket is handed over as sd_listen_fds(3) has it."""
    with open_directory() as directory:
        path = directory / "sock"
        words = ["systemd-socket-activate", "--seqpacket", "--listen", str(path)]
        with subprocess.Popen([*words, pcache, "service", "start", "--idle", "1"]) as process:
            deadline = time.monotonic() + PATIENCE
            while not path.is_socket() and time.monotonic() < deadline:
                time.sleep(0.01)
            look = [pcache, "service", "status", "--socket", str(path)]
            found = subprocess.run(look, check=False, capture_output=True)
            assert (found.returncode, b"answers" in found.stdout) == (0, True), found
            assert process.wait(PATIENCE) == 0


@contextmanager
def started(pcache: str, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    words = [pcache, "service", "start", "--socket", str(path), "--group", "users"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.terminate()


def gone(path: Path) -> bool:
    deadline = time.monotonic() + PATIENCE
    while path.is_socket() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not os.path.lexists(path)


@pytest.mark.parametrize("what", ["file", "directory", "link", "stream"])
def test_what_is_no_abandoned_socket_stays(pcache: str, what: str) -> None:
    with open_directory() as directory, closing(_socket.socket(_socket.AF_UNIX)) as stream:
        path = directory / "sock"
        if what == "file":
            path.write_text("precious")
        elif what == "directory":
            path.mkdir()
        elif what == "link":
            path.symlink_to("/etc/passwd")
        else:
            stream.bind(str(path))
            stream.listen()
        before = path.lstat()
        with started(pcache, path) as process:
            said = process.communicate(timeout=PATIENCE)[1]
        assert process.returncode == 125
        assert f"cannot listen at {path}: ".encode() in said and b"--socket" in said
        assert path.lstat() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_its_socket_goes_with_it(pcache: str, number: int) -> None:
    """And one that was left nevertheless is in nobody's way."""
    with open_directory() as directory:
        path = directory / "sock"
        with closing(_socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)) as abandoned:
            abandoned.bind(str(path))
        with started(pcache, path) as process:
            assert process.stdout and b"listens" in process.stdout.readline()
            session = connect(str(path))
            protocol.send(session, protocol.START, protocol.RING.pack(4096, 0))
            assert protocol.receive(session, 1)[0] == protocol.READY
            process.send_signal(number)
            assert process.wait(PATIENCE) == -number
        assert gone(path)
        session.close()
