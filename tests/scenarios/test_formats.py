"""Commands of formats that pcache does not know: the kernel and the C library decide."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lib.verbs import VERBS

EXIT_7_ON_I386 = """
void _start(void) { __asm__("mov $1,%eax; mov $7,%ebx; int $0x80"); }
"""
BROKEN = b"\x7fELF\x02\x01\x01" + bytes(57)
EXEC_FORMAT_ERROR = 126
BINFMT_MISC = Path("/proc/sys/fs/binfmt_misc")


def status(*words: str | Path) -> int:
    return subprocess.run(words, check=False, capture_output=True).returncode


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "program"


@pytest.mark.root
@pytest.mark.parametrize("verb", VERBS)
def test_32_bit(pcache: str, program: Path, verb: str) -> None:
    source = program.with_suffix(".c")
    source.write_text(EXIT_7_ON_I386)
    flags = ["-m32", "-ffreestanding", "-fno-pie", "-nostdlib", "-static"]
    subprocess.run(["gcc", *flags, "-o", program, source], check=True)
    assert status(program) == 7
    for _ in range(2):
        assert status(pcache, *VERBS[verb], program) == 7


@pytest.mark.root
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("content", [BROKEN, b"a\0b\n"], ids=["broken ELF", "binary"])
def test_no_program(pcache: str, program: Path, verb: str, content: bytes) -> None:
    program.write_bytes(content)
    program.chmod(0o755)
    assert status("bash", "-c", str(program)) == EXEC_FORMAT_ERROR
    assert status(pcache, *VERBS[verb], program) == EXEC_FORMAT_ERROR


@pytest.mark.root
@pytest.mark.parametrize("verb", VERBS)
def test_script_without_interpreter(pcache: str, program: Path, verb: str) -> None:
    program.write_text("exit 7\n")
    program.chmod(0o755)
    for _ in range(2):
        assert status(pcache, *VERBS[verb], program) == 7


@pytest.fixture
def format_of_its_own() -> Iterator[None]:
    """Files that begin with PCACHETEST are for false(1)."""
    if not (BINFMT_MISC / "register").exists():
        done = subprocess.run(["mount", "-t", "binfmt_misc", "none", str(BINFMT_MISC)], check=False)
        if done.returncode:
            pytest.skip("this kernel has no binfmt_misc")
    name = f"pcachetest{os.getpid()}"
    (BINFMT_MISC / "register").write_text(f":{name}:M::PCACHETEST::/bin/false:\n")
    yield
    (BINFMT_MISC / name).write_text("-1")


@pytest.mark.root
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.usefixtures("format_of_its_own")
def test_binfmt_misc(pcache: str, program: Path, verb: str) -> None:
    program.write_text("PCACHETEST=1\nexit 0\n")
    program.chmod(0o755)
    assert status(program) == 1
    for _ in range(2):
        assert status(pcache, *VERBS[verb], program) == 1
