"""docs/first-hour.md: a transcript, typed again by an ordinary user."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, Run
from tests.lib.differential import SETTLE_SECONDS
from tests.scenarios.test_readme import MAIN, MAKEFILE, TEXT

pytestmark = [pytest.mark.root, pytest.mark.system_files]

PAGE = (CHECKOUT / "docs/first-hour.md").read_text()


def transcript(text: str) -> list[tuple[str, str]]:
    """Commands, each with what comes of it."""
    blocks = re.findall(r"^```console\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    typed = re.split(r"^\$ ", "".join(blocks), flags=re.MULTILINE)[1:]
    return [(one.partition("\n")[0], one.partition("\n")[2]) for one in typed]


def without_numbers(text: str, directory: Path) -> str:
    """Sizes, times and dates are others each time; so is the directory."""
    text = text.replace(str(directory), "/home/me/hello")
    text = re.sub(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?", "DATE", text)
    text = re.sub(r"\b[0-9a-f]{16,}\b", "DIGEST", text)
    text = re.sub(r"[\d.]+ (ms|s|KiB|MiB|B)\b", "N", text)
    text = re.sub(r", which took N more", "", text)
    text = re.sub("\N{FULL BLOCK}+", "BAR", text)
    text = re.sub(r"\d+", "N", text)
    return re.sub(r" +", " ", text)


def test_it_goes_as_told(as_user: Run, pcache: str, user_dir: Path) -> None:
    for name, text in (("Makefile", MAKEFILE), ("main.c", MAIN), ("text.c", TEXT)):
        as_user(["tee", str(user_dir / name)], input=text.encode(), check=True)
    env = {"PATH": f"{Path(pcache).parent}:/usr/bin:/bin", "XDG_CACHE_HOME": f"{user_dir}/.cache"}
    told = transcript(PAGE)
    typed = []
    for command, _ in told:
        time.sleep(SETTLE_SECONDS)
        # sudo looks for commands where it likes.
        words = command.replace("sudo pcache", f"sudo --preserve-env=XDG_CACHE_HOME {pcache}")
        done = as_user(["sh", "-c", f"{words} 2>&1"], cwd=user_dir, env=env)
        typed.append((command, done.stdout.decode()))
    for (command, expected), (_, seen) in zip(told, typed, strict=True):
        assert without_numbers(seen, user_dir) == without_numbers(expected, user_dir), command
