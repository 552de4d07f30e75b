"""What tells machines apart: what CPUID would, and what of it only shows in other places."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from pcache.remote import machine
from pcache.remote.machine import Machine

CORE = """\
processor\t: {number}
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 85
model name\t: {name}
stepping\t: 7
microcode\t: {microcode}
cpu MHz\t\t: {clock}
cache size\t: {cache} KB
flags\t\t: {flags}
bogomips\t: {clock}

"""
PR_SET_DUMPABLE = 4
USUAL = {
    "name": "Xeon 8275CL",
    "microcode": "0x5003605",
    "clock": "3000.1",
    "cache": "36608",
    "flags": "fpu sse2 avx2",
}


def text(*cores: dict[str, str]) -> str:
    return "".join(
        CORE.format(number=number, **{**USUAL, **core}) for number, core in enumerate(cores)
    )


@pytest.fixture
def sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for index, size in enumerate(("32K", "1024K")):
        (tmp_path / f"cache/index{index}").mkdir(parents=True)
        (tmp_path / f"cache/index{index}/size").write_text(f"{size}\n")
    monkeypatch.setattr(machine, "_CACHES", str(tmp_path / "cache"))
    monkeypatch.setattr(machine, "_CPUINFO", str(tmp_path / "cpuinfo"))
    return tmp_path


def processor(place: Path, *cores: dict[str, str]) -> bytes:
    (place / "cpuinfo").write_text(text(*cores))
    return Machine().processor


@pytest.mark.parametrize(
    "other",
    [
        ({"name": "Xeon 8259CL"},),
        ({"cache": "33792"},),
        ({"flags": "fpu sse2 avx2 avx512f"},),
        ({}, {"flags": "fpu sse2"}),
    ],
)
def test_another_processor(sizes: Path, other: tuple[dict[str, str], ...]) -> None:
    """Another brand string, size of cache, or feature; of one core alone."""
    assert processor(sizes, {}) != processor(sizes, *other)


def test_another_size_of_a_cache(sizes: Path) -> None:
    """gcc -march=native hands it to the compiler."""
    before = processor(sizes, {})
    (sizes / "cache/index1/size").write_text("2048K\n")
    assert processor(sizes, {}) != before


def test_what_makes_no_difference(sizes: Path) -> None:
    before = processor(sizes, {})
    assert processor(sizes, {"clock": "1200.0"}, {"microcode": "0x1"}) == before
    assert processor(sizes, {"flags": "sse2 fpu avx2"}) == before


def test_portable_programs(sizes: Path) -> None:
    (sizes / "cpuinfo").write_text(text({}))
    one = Machine()
    (sizes / "cpuinfo").write_text(text({"flags": "fpu"}))
    other = Machine()
    assert one.identity((b"cc*",), b"/usr/bin/cc1") == other.identity((b"cc*",), b"/usr/bin/cc1")
    assert one.identity((b"cc*",), b"/usr/bin/ld") != other.identity((b"cc*",), b"/usr/bin/ld")


def test_of_who_gave_up_root(sizes: Path) -> None:
    """The kernel keeps such a process from looking at itself in /proc; it says the same."""
    (sizes / "cpuinfo").write_text(text({}))
    sizes.chmod(0o755)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            libc = ctypes.CDLL(None)
            libc.prctl(PR_SET_DUMPABLE, 0)
            os.setresuid(4711, 4711, 4711) if os.geteuid() == 0 else None
            os.write(writing, machine._capabilities())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    assert os.read(reading, 1000) == machine._capabilities() != b""
    os.close(reading)
