"""What somebody who can write a user's files must not be able to do with them."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import sqlite3
import struct
import tempfile
from pathlib import Path

import pytest
import xxhash

from pcache.recorder.image import CACHE_DIR
from tests.conftest import Run

pytestmark = pytest.mark.system_files

SETRESUID, SETRESGID, SETGROUPS = 117, 119, 116
PRETEND = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in [
        (0x20, 0, 0, 0),  # the number of the system call
        (0x15, 2, 0, SETRESUID),
        (0x15, 1, 0, SETRESGID),
        (0x15, 0, 1, SETGROUPS),
        (0x06, 0, 0, 0x50000),  # done, says the error 0
    ]
)
"""Instructions that make a process believe it has given up root."""
DIGEST = 16


@pytest.mark.root
@pytest.mark.parametrize("verb", [["run"], ["run", "--no-network"], ["trace", "--no-network"]])
def test_planted_filter_does_not_keep_root(
    pcache: str, as_user: Run, ordinary_user: pwd.struct_passwd, user_dir: Path, verb: list[str]
) -> None:
    """Whatever can write the store (any step of a build) would be root at the next sudo."""
    env = {"XDG_CACHE_HOME": str(user_dir)}
    options = verb[1:]
    as_user([pcache, "replay", *options, "true"], env=env)
    # His own, and those that he need not have because root keeps the same.
    store = user_dir / "pcache"
    filters = [*store.glob("filter-*.bpf"), *Path(CACHE_DIR).glob("filter-*.bpf")]
    assert filters
    for path in filters:
        program = PRETEND + path.read_bytes()[DIGEST:]
        planted = store / path.name
        planted.write_bytes(xxhash.xxh3_128_digest(program) + program)
        os.chown(planted, ordinary_user.pw_uid, ordinary_user.pw_gid)
    done = as_user(["sudo", pcache, *verb, "-q", "sh", "-c", "id -u; id -u"], env=env)
    assert done.stdout.decode().split() == [str(ordinary_user.pw_uid)] * 2, done.stderr


SCRIPT_OF_ROOT = """\
#!/bin/sh
cat {place}/very-secret-name >/dev/null
/bin/echo very-secret-output
env VERY_SECRET_VARIABLE=1 /bin/true very-secret-argument
"""
SECRETS = (b"very-secret", b"VERY_SECRET")


@pytest.mark.root
@pytest.mark.parametrize("verb", ["run", "trace"])
def test_a_command_that_is_privileged_itself(
    pcache: str, as_user: Run, user_dir: Path, verb: str
) -> None:
    """That is told of it, and nothing else."""
    env = {"XDG_CACHE_HOME": str(user_dir)}
    done = as_user(["sudo", pcache, verb, "passwd", "-S"], env=env)
    assert done.returncode == 0 and b"1 not cacheable (started a privileged" in done.stderr
    for asked in ("show", "why"):
        told = as_user([pcache, asked], env=env).stdout
        assert b"passwd -S" in told and b"not cacheable: started a privileged program" in told


@pytest.mark.root
@pytest.mark.parametrize("script", ["{} ran", "sh -c '{} ran; :'"])
def test_a_program_that_cannot_be_read(
    pcache: str, as_user: Run, user_dir: Path, script: str
) -> None:
    """It can be executed, and nobody changed it."""
    program = user_dir / "program"
    shutil.copy("/bin/echo", program)
    program.chmod(0o711)
    env = {"XDG_CACHE_HOME": str(user_dir)}
    for _ in range(2):
        words = ["sudo", pcache, "run", "-v", *shlex.split(script.format(program))]
        done = as_user(words, env=env)
        assert done.stdout == b"ran\n" and b"input that cannot be read: " in done.stderr, (
            done.stderr
        )
        assert b"changed" not in done.stderr


@pytest.mark.root
@pytest.mark.parametrize("verb", ["trace", "run"])
def test_nothing_of_a_privileged_program_is_told(
    pcache: str, as_user: Run, user_dir: Path, verb: str
) -> None:
    """What sudo runs for a user is root's: its arguments, paths, environment and output too."""
    place = Path(tempfile.mkdtemp(prefix="pcache-root-", dir="/var/tmp"))
    try:
        (place / "very-secret-name").write_text("secret\n")
        script = place / "script"
        script.write_text(SCRIPT_OF_ROOT.format(place=place))
        script.chmod(0o755)
        (user_dir / "entry").write_text(f"sudo {script} >/dev/null; /bin/echo after\n")
        place.chmod(0o700)
        env = {"XDG_CACHE_HOME": str(user_dir)}
        words = ["sudo", pcache, verb, "--explain", "--json", f"{user_dir}/report", "sh", "entry"]
        done = as_user(words, env=env, cwd=user_dir)
    finally:
        shutil.rmtree(place)
    assert done.stdout == b"after\n" and done.returncode == 0
    assert b"started a privileged program" in done.stderr
    assert b"stored   /bin/echo after" in done.stderr
    kept = [path for path in user_dir.rglob("*") if path.is_file()]
    assert any(path.name == "index.db" for path in kept)
    for text in (done.stderr, *(path.read_bytes() for path in kept)):
        assert not any(secret in text for secret in SECRETS), text


@pytest.mark.root
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707, 0o755])
@pytest.mark.parametrize("verb", [["replay"], ["sudo", "run"], ["sudo", "trace"]])
def test_store_that_others_can_enter_is_refused(
    pcache: str, as_user: Run, user_dir: Path, verb: list[str], mode: int
) -> None:
    """Whoever can write it decides what is put in place of what runs."""
    env = {"XDG_CACHE_HOME": str(user_dir)}
    store = user_dir / "pcache"
    *sudo, name = verb
    words = [*sudo, pcache, name, "-q", "echo", "ran"]
    assert as_user(words, env=env).stderr == b""
    store.chmod(mode)
    done = as_user(words, env=env)
    assert done.stdout == b"ran\n" and done.returncode == 0
    assert f"the store {store} is open to others (mode {mode:o})".encode() in done.stderr
    assert f"chmod 700 {store}".encode() in done.stderr
    store.chmod(0o700)
    assert as_user(words, env=env).stderr == b""


@pytest.mark.root
@pytest.mark.parametrize(
    "planted",
    [
        "CREATE TRIGGER planted AFTER INSERT ON calls BEGIN DELETE FROM outcomes; END",
        "CREATE VIEW planted AS SELECT * FROM calls",
    ],
)
def test_code_in_the_index_does_not_run(
    pcache: str, as_user: Run, user_dir: Path, planted: str
) -> None:
    env = {"XDG_CACHE_HOME": str(user_dir)}
    as_user(["sudo", pcache, "run", "-q", "echo", "ran"], env=env)
    index = user_dir / "pcache/index.db"
    with sqlite3.connect(index) as database:
        database.execute(planted)
    database.close()
    done = as_user([pcache, "replay", "echo", "ran"], env=env)
    assert done.stdout == b"ran\n" and b"views or triggers" in done.stderr
    done = as_user(["sudo", pcache, "run", "echo", "ran"], env=env)
    assert done.stdout == b"ran\n" and b"a new one begins" in done.stderr
    done = as_user([pcache, "replay", "echo", "ran"], env=env)
    assert done.stdout == b"ran\n" and b"brought back as a whole" in done.stderr


@pytest.mark.root
def test_secrets_of_the_environment_are_not_kept(pcache: str, as_user: Run, user_dir: Path) -> None:
    """They tell calls apart all the same."""
    env = {"XDG_CACHE_HOME": str(user_dir), "GITHUB_TOKEN": "hunter2-one", "db_password": "hunter2"}
    env |= {"STRIPE_KEY": "hunter2-three", "DATABASE_URL": "postgres://me:hunter2@host/"}
    other = {**env, "GITHUB_TOKEN": "hunter2-two"}
    words = ["echo", "ran"]
    done = as_user(["sudo", pcache, "run", *words], env=env)
    assert b"recorded as a whole" in done.stderr
    assert b"brought back as a whole" in as_user([pcache, "replay", *words], env=env).stderr
    assert b"0 of 1 program brought back" in as_user([pcache, "replay", *words], env=other).stderr
    why = as_user([pcache, "explain", *words], env=other)
    assert b"environment GITHUB_TOKEN: a secret -> a secret" in why.stdout
    assert b"db_password" not in why.stdout and b"hunter2" not in why.stdout
    kept = [path for path in (user_dir / "pcache").rglob("*") if path.is_file()]
    assert not any(b"hunter2" in path.read_bytes() for path in kept)
    assert any(b"GITHUB_TOKEN=" in path.read_bytes() for path in kept)
    again = as_user([pcache, "verify", "--rerun", "100%"], env=env)
    assert b"a secret of its environment is not kept" in again.stdout + again.stderr


@pytest.mark.root
def test_which_variables_are_secrets_is_a_setting(
    pcache: str, as_user: Run, user_dir: Path
) -> None:
    env = {
        "XDG_CACHE_HOME": str(user_dir),
        "XDG_CONFIG_HOME": str(user_dir / "config"),
        "OUR_PIN": "hunter2-one",
        "TOKENIZERS": "harmless",
    }
    setting = ["config", "set", "secret_env", '["*_PIN", "!TOKENIZER*"]']
    assert as_user([pcache, *setting], env=env).returncode == 0
    done = as_user(["sudo", pcache, "run", "echo", "ran"], env=env)
    assert b"recorded as a whole" in done.stderr
    kept = [path.read_bytes() for path in (user_dir / "pcache").rglob("*") if path.is_file()]
    assert not any(b"hunter2" in data for data in kept)
    assert any(b"OUR_PIN=" in data and b"TOKENIZERS=harmless" in data for data in kept)
    why = as_user([pcache, "explain", "echo", "ran"], env={**env, "OUR_PIN": "hunter3"})
    assert b"environment OUR_PIN: a secret -> a secret" in why.stdout


@pytest.mark.root
@pytest.mark.parametrize("verb", [["replay"], ["run", "--as-root"], ["trace", "--as-root"]])
def test_who_asks_to_be_root_is_root(
    pcache: str, as_user: Run, user_dir: Path, verb: list[str]
) -> None:
    """In sudo's environment; the user's store is neither read nor written."""
    env = {"XDG_CACHE_HOME": str(user_dir), "OF_THE_USER": "1"}
    words = [pcache, *verb, "-q", "sh", "-c", "id -u; echo ${HOME}$OF_THE_USER"]
    done = as_user(["sudo", *words], env=env)
    assert done.stdout.split() == [b"0", b"/root"], done
    assert list(user_dir.iterdir()) == []


@pytest.mark.root
def test_doctor_reads_nothing_for_a_user_that_he_may_not(
    pcache: str, as_user: Run, user_dir: Path
) -> None:
    """A configuration that is another name of root's file, say."""
    secret = user_dir / "of-root"
    secret.write_text("very_secret_word = 1\n")
    secret.chmod(0o600)
    os.chown(secret, 0, 0)
    settings = user_dir / "pcache"
    settings.mkdir()
    (settings / "config.toml").symlink_to(secret)
    done = as_user(["sudo", pcache, "doctor"], env={"XDG_CONFIG_HOME": str(user_dir)})
    assert b"shared store" in done.stdout
    assert b"very_secret_word" not in done.stdout + done.stderr
