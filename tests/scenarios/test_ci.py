"""The recipe of docs/ci.md: its steps, executed twice with the store carried over as a cache."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from pcache.report import schema
from tests.conftest import CHECKOUT, Run
from tests.scenarios.test_readme import MAIN, MAKEFILE, TEXT

pytestmark = [pytest.mark.root, pytest.mark.system_files]

PAGE = (CHECKOUT / "docs/ci.md").read_text()


def steps() -> str:
    (block,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return str(block)


def job(as_user: Run, pcache: str, place: Path, store: Path) -> schema.Counted:
    """A fresh checkout, the cache restored, the steps."""
    project = place / "project"
    as_user(["mkdir", "-p", str(project)], check=True)
    for name, text in (("Makefile", MAKEFILE), ("main.c", MAIN), ("text.c", TEXT)):
        as_user(["tee", str(project / name)], input=text.encode(), check=True)
    bin_ = Path(pcache).parent
    env = {"PATH": f"{bin_}:/usr/bin:/bin", "XDG_CACHE_HOME": str(store), "CI": "true"}
    # sudo looks for commands where it likes.
    text = steps().replace("pcache run", f"{pcache} run")
    done = as_user(["sh", "-eux", "-c", text], cwd=project, env=env)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stderr
    assert (project / "hello").exists()
    summary = (project / "summary.md").read_text()
    assert summary.startswith("### pcache run `make`\n")
    assert "<canvas" in (project / "report.html").read_text()
    counted = schema.Counted.model_validate_json((project / "counters.json").read_text())
    shutil.rmtree(project)
    return counted


def test_second_job_finds_what_the_first_recorded(
    as_user: Run, pcache: str, user_dir: Path
) -> None:
    store = user_dir / "cache"
    first = job(as_user, pcache, user_dir, store)
    assert first.counters["records stored"] > 0 and first.counters["hits"] == 0
    second = job(as_user, pcache, user_dir, store)
    assert (second.counters["hits"], second.counters["misses"]) == (1, 0)


def test_a_job_goes_on_where_nothing_can_be_recorded(
    as_user: Run, pcache: str, user_dir: Path
) -> None:
    """Every step of it, though there is nothing to report on."""
    env = {"PATH": f"{Path(pcache).parent}:/usr/bin:/bin", "XDG_CACHE_HOME": "/proc/nowhere"}
    text = steps().replace("sudo --preserve-env=XDG_CACHE_HOME ", "").replace("make", "touch made")
    done = as_user(["sh", "-eux", "-c", text], cwd=user_dir, env=env)
    assert done.returncode == 0, done.stderr
    assert (user_dir / "made").exists()


def test_recipes_use_what_there_is() -> None:
    """Every pcache command in the recipes is one of the steps that are executed, but for where its
    output goes."""
    known = {command(line) for line in steps().splitlines()}
    for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL):
        used = re.findall(r"(?:run: |- )((?:sudo )?pcache .*)$", block, flags=re.MULTILINE)
        assert len(used) >= 3
        assert {command(line) for line in used} <= known


def command(line: str) -> str:
    """Without sudo, the counters and redirections."""
    line = re.sub(r"^sudo (--\S+ )?", "", line)
    return re.sub(r" (--json \S+|>+\S+|\|\| true)", "", line).strip()
