"""Every shell example in README.md, docs/manual.md and docs/finer.md, executed: in their order, by
an ordinary user, in one project."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pcache.settings.configfile import compile_files
from pcache.settings.rules import Rule
from tests.conftest import CHECKOUT, Run

pytestmark = pytest.mark.system_files

PAGES = [(CHECKOUT / name).read_text() for name in ("README.md", "docs/manual.md", "docs/finer.md")]
TEXT_OF_ALL = "".join(PAGES)
BLOCKS: list[str] = re.findall(r"^```sh\n(.*?)^```$", TEXT_OF_ALL, flags=re.MULTILINE | re.DOTALL)
CONFIGURATIONS: list[str] = re.findall(
    r"^```toml\n(.*?)^```$", TEXT_OF_ALL, flags=re.MULTILINE | re.DOTALL
)
SHOWN: list[str] = re.findall(r"^```text\n.*?^```$", TEXT_OF_ALL, flags=re.MULTILINE | re.DOTALL)
"""What is there to be looked at: transcripts and files of other tools."""
TARGETS = re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), flags=re.MULTILINE)
IN_THE_CLONE = ("make demo\n", "make test\n", "make uninstall\n")
"""Blocks that are about this repository's own Makefile."""

MAKEFILE = """\
CFLAGS = -O2
all: hello
hello: main.o text.o
\t$(CC) -o $@ $^
clean:
\trm -f hello *.o
"""
MAIN = (
    "extern const char *text;\nint puts(const char *);\nint main(void) { return puts(text) < 0; }\n"
)
TEXT = 'const char *text = "hello";\n'


@pytest.mark.parametrize("page", PAGES, ids=["README", "manual", "finer"])
def test_every_fence_is_a_known_kind(page: str) -> None:
    fences = re.findall(r"^```(.*)$", page, flags=re.MULTILINE)
    assert set(fences[::2]) <= {"sh", "toml", "text"}
    assert fences[1::2] == [""] * (len(fences) // 2)
    assert len(fences) % 2 == 0


def test_every_example_is_found() -> None:
    fences = re.findall(r"^```(.*)$", TEXT_OF_ALL, flags=re.MULTILINE)
    assert len(fences) == 2 * (len(BLOCKS) + len(CONFIGURATIONS) + len(SHOWN))
    assert len(BLOCKS) >= 8


def test_configurations_are_valid(tmp_path: Path) -> None:
    of_a_user, of_a_project = CONFIGURATIONS
    file = tmp_path / "config.toml"
    file.write_text(of_a_user)
    policy = compile_files([bytes(file)])
    named = {name for name in Rule.__slots__ for rule in policy.rules if getattr(rule, name)}
    assert policy.max_size
    # Every setting is shown; those that are switched off are not in `named`.
    assert named | {"mtime_order", "cache_failures"} == set(Rule.__slots__)
    project = tmp_path / ".pcache.toml"
    project.write_text(of_a_project)
    assert compile_files([bytes(project)]).base_dir == bytes(tmp_path)


def test_targets_exist() -> None:
    mentioned = [block.split()[1] for block in BLOCKS if block in IN_THE_CLONE]
    assert mentioned == ["demo", "test", "uninstall"]
    mentioned += re.findall(r"`make ([a-z-]+)`", TEXT_OF_ALL)
    assert set(mentioned) - {"clean"} <= set(TARGETS)
    for target in mentioned:
        done = subprocess.run(
            ["make", "--dry-run", target], cwd=CHECKOUT, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_verbs_and_variables_exist() -> None:
    known = "".join(path.read_text() for path in (CHECKOUT / "pcache").rglob("*.py"))
    known += (CHECKOUT / "tools/install").read_text()
    known += (CHECKOUT / "Makefile").read_text() + (CHECKOUT / "vagrant/stock-kernel").read_text()
    rows = re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|", TEXT_OF_ALL, flags=re.MULTILINE)
    assert rows
    for name in re.findall(r"`([A-Z_]+)`", " ".join(rows)):
        assert name in known


@pytest.mark.root
def test_examples_work(as_user: Run, user_dir: Path) -> None:
    installed = shutil.which("pcache", path="/usr/local/bin")
    assert installed, "the examples are about the installed command: make install"
    for name, text in (("Makefile", MAKEFILE), ("main.c", MAIN), ("text.c", TEXT)):
        as_user(["tee", str(user_dir / name)], input=text.encode(), check=True)
    for block in BLOCKS:
        if block in IN_THE_CLONE:
            continue
        done = as_user(["sh", "-eux", "-c", block], cwd=user_dir)
        assert done.returncode == 0, (block, done.stdout, done.stderr)
        assert b"pcache: internal error" not in done.stderr, done.stderr
        if "replay" in block or "run make" in block:
            hello = as_user([str(user_dir / "hello")])
            assert (hello.returncode, hello.stdout) == (0, b"hello\n"), (block, done.stderr)
