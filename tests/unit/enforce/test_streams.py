"""Recorded streams arrive as the program itself would have written them.

Hits that have to wait for a reader exist only at entry: see the test of the execve below.
"""

from __future__ import annotations

import os
import pty
import time

import pytest

from tests.unit.enforce.lab import PYTHON, Lab

BIG = 300_000
"""More than four full pipes."""
LINE = b"0123456789abcde\n"


@pytest.fixture
def big(lab: Lab) -> str:
    return lab.program(f"hitout-3-{BIG}")


@pytest.fixture(params=["killable", "stop first"])
def order(request: pytest.FixtureRequest) -> dict[str, str]:
    """Both orders of effects and stop."""
    return {} if request.param == "killable" else {"PCACHE_TEST_STOP_FIRST": "1"}


def test_slow_reader(lab: Lab, order: dict[str, str], big: str) -> None:
    script = f"{{ {big}; echo $? >&2; }} | {{ sleep 0.2; md5sum; }}"
    result = lab.run(["sh", "-c", script], env=order)
    assert result.err == "3\n"
    expected = lab.run(["md5sum"], input=(LINE * (BIG // 16 + 1))[:BIG])
    assert result.out == expected.out


def test_reader_that_waits_for_the_supervisor(lab: Lab, order: dict[str, str], big: str) -> None:
    """The pipe is full until its reader has executed two programs: no deadlock."""
    script = f"{big} | {{ bin/hit-0; sleep 0.1; bin/hit-5; echo $?; wc -c; }}"
    result = lab.run(["sh", "-c", script], env=order)
    assert result.out.split() == ["5", str(BIG)]
    assert result.report["applied"] == 3


def test_many_stalled_at_once(lab: Lab, order: dict[str, str], big: str) -> None:
    pairs = f"({big} | {{ sleep 0.3; wc -c; }}) & " * 12
    result = lab.run(["sh", "-c", f"{pairs} wait"], env=order)
    assert result.out.split() == [str(BIG)] * 12
    assert result.report["applied"] == 12


def test_task_killed_while_its_stream_stalls(lab: Lab, order: dict[str, str], big: str) -> None:
    """The job ends, and with it our hold on the pipe: the reader sees its end."""
    script = f"{{ {big} & sleep 0.1; kill -9 $!; wait $!; echo $? >&2; }} | {{ sleep 0.3; wc -c; }}"
    result = lab.run(["bash", "-c", script], env=order)
    assert "137" in result.err
    assert 0 < int(result.out) < BIG


def test_broken_pipe(lab: Lab, intercept: str, order: dict[str, str], big: str) -> None:
    """Nobody reads, or no longer: the program runs (it ends with 99) and may meet it itself."""
    for reader in ("true", "head -c 5 >/dev/null"):
        script = f"{{ sleep 0.1; {big}; echo $? >&2; }} | {reader}"
        result = lab.run(["sh", "-c", script], intercept, order)
        assert result.err == "99\n"


def test_append_and_offset(lab: Lab, intercept: str) -> None:
    program = lab.program("hitout-0-16")
    out = lab.directory / f"offset-{intercept}"
    out.write_text("old\n")
    text = LINE.decode()
    result = lab.run(["sh", "-c", f"{{ echo a; {program}; echo b; }} >{out}"], intercept)
    assert (result.status, out.read_text()) == (0, f"a\n{text}b\n")
    result = lab.run(["sh", "-c", f"{{ {program}; {program}; }} >>{out}"], intercept)
    assert out.read_text() == f"a\n{text}b\n{text}{text}"
    assert result.report["applied"] == 2


def test_order_between_stdout_and_stderr(lab: Lab, intercept: str) -> None:
    program = lab.program("hitmix-4")
    result = lab.run(["sh", "-c", f"{program} 2>&1; echo $?"], intercept)
    assert result.out == "one\ntwo\nthree\n4\n"


@pytest.mark.parametrize("redirection", [">&-", "</dev/full >&0", ">/dev/full"])
def test_descriptor_that_cannot_be_written(lab: Lab, intercept: str, redirection: str) -> None:
    program = lab.program("hitout-0-16")
    result = lab.run(["sh", "-c", f"{program} {redirection}; echo $?"], intercept)
    assert (result.out, result.report["applied"]) == ("99\n", 0)


def test_null_device(lab: Lab, intercept: str) -> None:
    program = lab.program("hitout-3-4000")
    result = lab.run(["sh", "-c", f"{program} >/dev/null; echo $?"], intercept)
    assert (result.out, result.report["applied"]) == ("3\n", 1)


@pytest.mark.parametrize("kind", ["pipe", "socketpair"])
def test_reader_that_waits_for_the_execve(lab: Lab, intercept: str, big: str, kind: str) -> None:
    """subprocess starts programs by vfork: the parent, who reads, sleeps until the execve.

    At the execve nothing that may stall is replayed therefore: the program runs.
    """
    code = (
        "import os, socket, subprocess\n"
        f"if '{kind}' == 'pipe': a, b = os.pipe()\n"
        "else: a, b = [s.detach() for s in socket.socketpair()]\n"
        f"p = subprocess.Popen(['{big}'], stdout=b)\n"
        "os.close(b); n = 0\n"
        "while data := os.read(a, 65536): n += len(data)\n"
        "print(n, p.wait())\n"
    )
    result = lab.run([PYTHON, "-c", code], intercept)
    assert result.out == (f"{BIG} 3\n" if intercept == "entry" else "0 99\n")


def test_terminal(lab: Lab, order: dict[str, str], big: str) -> None:
    """A terminal that is read slowly stalls nobody else, and gets every byte."""
    ours, theirs = pty.openpty()
    with lab.start(["sh", "-c", big], env=order, stdout=theirs) as process:
        os.close(theirs)
        received = 0
        time.sleep(0.2)
        while True:
            try:
                data = os.read(ours, 1 << 16)
            except OSError:  # EIO: nobody has it open any more
                break
            received += len(data)
        assert process.wait() == 3
    os.close(ours)
    assert received == BIG + BIG // 16  # the terminal makes CR LF of each LF
