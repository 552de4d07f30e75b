"""Attempts in a forked child that end otherwise than expected."""

from __future__ import annotations

import errno
import os

from pcache.doctor.attempt import in_fork


def test_killed_attempt_is_a_failure() -> None:
    code, step = in_fork(lambda: os.kill(os.getpid(), 9))
    assert (code, step) == (errno.EPERM, "the attempt was killed")


def test_bug_in_an_attempt_is_a_failure() -> None:
    def bug() -> None:
        raise KeyError

    code, step = in_fork(bug)
    assert code == errno.EPROTO
    assert "KeyError" in step
