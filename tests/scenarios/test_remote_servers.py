"""Servers that are slow, or not what they should be: the command runs as without them."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import SUDO, open_directory
from tests.lib.launch import Launcher
from tests.lib.machines import Machine, hits
from tests.lib.servers import (
    BUCKET,
    DIE,
    FULL,
    HANG,
    PASS,
    REFUSE,
    RUBBISH,
    Proxy,
    proxy,
    s3_server,
)

pytestmark = [pytest.mark.root, pytest.mark.system_files]

SOURCES = {f"f{number}.c": f"int f{number}(void) {{ return {number}; }}\n" for number in range(6)}
BUILD = {
    ".pcache.toml": 'base_dir = "."\n',
    "Makefile": (
        f"lib.a: {' '.join(name.replace('.c', '.o') for name in SOURCES)}\n\tar rcD lib.a $^\n"
    ),
    **SOURCES,
}
LONGER_S = 4.0
"""How much longer than without a server a command may take with one that is broken: two look-ups
that time out, the start of the agent, and the machine's noise."""


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with open_directory() as directory, s3_server(directory) as endpoint:
        yield endpoint


@pytest.fixture
def between(s3: str) -> Iterator[Proxy]:
    with proxy(s3) as one:
        yield one


def machine(pcache: str, base: Path, name: str, endpoint: str) -> Machine:
    scratch = base / f"scratch-{name}"
    scratch.mkdir()
    launcher = Launcher(pcache, scratch, as_root=SUDO)
    return Machine(launcher, base, name, f"s3://{BUCKET}/{base.name}", endpoint)


@pytest.fixture
def pair(pcache: str, s3: str, between: Proxy) -> Iterator[tuple[Machine, Machine]]:
    """One that has pushed the build, and one behind the proxy that shall have it."""
    with open_directory() as base:
        one = machine(pcache, base, "a", s3)
        other = machine(pcache, base, "another", between.endpoint)
        one.be_trusted(other)
        one.lay_out(BUILD)
        assert "pushed" in one.run("make").own
        other.lay_out(BUILD)
        yield one, other


@pytest.mark.alone
@pytest.mark.parametrize("mode", [HANG, REFUSE, DIE, RUBBISH])
def test_broken(pair: tuple[Machine, Machine], between: Proxy, mode: str) -> None:
    """One line says so; it takes hardly longer; the next command does not even ask."""
    one, other = pair
    expected = other.plain("make")
    other.lay_out(BUILD)
    began = time.monotonic()
    one.lay_out(BUILD)
    one.forget()
    one.configure([])
    one.lay_out({**BUILD, ".pcache.toml": ""})
    without = time.monotonic()
    alone = one.run("make")
    without = time.monotonic() - without
    between.mode = mode
    began = time.monotonic()
    result = other.run("make")
    took = time.monotonic() - began
    assert result.ended == expected.ended == alone.ended
    assert hits(result) == []
    assert result.own.count("pcache: remote: ") in (1, 2), result.own
    assert took < without + LONGER_S, (took, without)
    print(f"{mode}: {took:.2f} s, without a shared store {without:.2f} s")
    between.mode = PASS
    asked = between.requests
    other.lay_out({**BUILD, "f0.c": "int f0;\n"})
    if mode in (HANG, REFUSE):
        result = other.run("make")
        assert between.requests == asked, "the breaker was not open"


def test_full(pair: tuple[Machine, Machine], between: Proxy) -> None:
    """What cannot be pushed stays for another time."""
    _, other = pair
    other.new_key()
    other.forget()
    other.configure([], "always")
    other.lay_out({**BUILD, "f0.c": "int other;\n"})
    between.mode = FULL
    result = other.run("make")
    assert result.status == 0
    assert "pcache: remote: " in result.own
    assert other.pcache("push", "-q").returncode == 125
    between.mode = PASS
    done = other.pcache("push")
    assert done.returncode == 0, done.stderr
    assert b"pushed 0 records" not in done.stdout


def test_dies_meanwhile(pair: tuple[Machine, Machine], between: Proxy) -> None:
    """The look-up was answered, the contents are not."""
    _, other = pair
    expected = other.plain("make")
    other.lay_out(BUILD)
    between.delay_s = 0.2

    def later() -> None:
        while between.requests < 3:
            time.sleep(0.01)
        between.mode = REFUSE

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(later)
        result = other.run("make")
        between.requests = 3
        done.result()
    assert result.ended == expected.ended


@pytest.mark.parametrize("milliseconds", [0, 10, 100])
def test_latency(pair: tuple[Machine, Machine], between: Proxy, milliseconds: int) -> None:
    """A hit of the whole, and the hits after an edit, whatever a round trip takes."""
    _, other = pair
    between.delay_s = milliseconds / 1000
    times: dict[str, list[float]] = {"plain": [], "root": [], "local": [], "edit": []}
    for _ in range(5):
        for what, taken in times.items():
            files = {**BUILD, "f0.c": "int edited;\n"} if what == "edit" else BUILD
            if what != "local":
                other.forget()
            other.lay_out(files)
            if what == "plain":
                other.run("true", verb="replay")  # the settings are compiled
                began = time.monotonic()
                other.plain("make")
                taken.append(time.monotonic() - began)
                continue
            if what != "local":
                other.pcache("stats")  # the same
            result = other.run("make", verb="replay")
            taken.append(other.took_s)
            assert (hits(result) == ["make"]) == (what != "edit"), (what, result.own)
            asked = result.counters["remote hits"] + result.counters["remote hits declined"]
            assert asked >= (what != "local"), result.own
    medians = {what: statistics.median(taken) for what, taken in times.items()}
    print(f"{milliseconds} ms: " + ", ".join(f"{w} {t:.3f} s" for w, t in medians.items()))


def test_many_at_once(pcache: str, s3: str) -> None:
    """Eight that record and push, eight that look up, at once: none is lost, none is wrong."""
    with open_directory() as base:
        writers = [machine(pcache, base, f"writer-{number}", s3) for number in range(8)]
        readers = [machine(pcache, base, f"reader-{number}", s3) for number in range(8)]
        trusted = [one.new_key() for one in writers]
        for one in (*writers, *readers):
            one.configure(trusted, "always" if one in writers else "never", 'map = ["home"]')
            # The same calls with other inputs: one path set, or several, and many outcomes.
            number = one.name.rpartition("-")[2]
            files = {".pcache.toml": 'base_dir = "."\n', "in": f"{number}\n"}
            if int(number) % 2:
                files["more"] = f"more {number}\n"
            one.work.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (one.work / name).write_text(text)
        script = "cat in >out; test -e more && cat more >>out; cat out"

        def work(one: Machine) -> bytes:
            return one.run("sh", "-c", script).stdout

        with ThreadPoolExecutor(16) as pool:
            outputs = list(pool.map(work, [*writers, *readers]))
        for one, printed in zip([*writers, *readers], outputs, strict=True):
            number = int(one.name.rpartition("-")[2])
            expected = f"{number}\n" + (f"more {number}\n" if number % 2 else "")
            assert printed == expected.encode()
        for one in readers:
            one.forget()
            (one.work / "out").unlink()
            result = one.run("sh", "-c", script, verb="replay")
            assert hits(result) == [f"sh -c {script}"], (one.name, result.own)
            number = int(one.name.rpartition("-")[2])
            expected = f"{number}\n" + (f"more {number}\n" if number % 2 else "")
            assert result.stdout == expected.encode()


def test_start_up_without_one(pcache: str) -> None:
    """Nothing of this is imported where no shared store is configured."""
    with open_directory() as base:
        env = {"HOME": str(base), "PATH": "/usr/bin:/bin"}
        code = (
            "import sys; from pcache.session.verbs.replay import Replay;"
            "from pcache.session.verbs import run;"
            "print([name for name in sys.modules if 'remote' in name or 'obstore' in name])"
        )
        done = subprocess.run(
            ["/usr/bin/python3", "-c", code],
            env={**env, "PYTHONPATH": f"{Path(pcache).parent / 'lib'}:{_site()}"},
            capture_output=True,
            check=True,
            text=True,
        )
        assert done.stdout.strip() == "[]"


def _site() -> str:
    import sysconfig

    return sysconfig.get_path("platlib")
