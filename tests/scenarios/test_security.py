"""What somebody who can write a user's files must not be able to do with them."""

from __future__ import annotations

import os
import pwd
import struct
from pathlib import Path

import pytest
import xxhash

from pcache.probes.program import CACHE_DIR
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
