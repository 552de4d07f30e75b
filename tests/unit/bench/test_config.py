"""bench.toml: what is accepted, what is refused, and what is said then."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import config
from tests.unit.bench.lab import TOML, workload


def test_every_workload_of_the_checkout_is_valid() -> None:
    found = {w.name for w in config.load_all()}
    assert {"lua", "zlib", "tmux", "redis", "bash", "sqlite"} <= found
    assert {"hmmer", "align", "bwa", "raxml", "tiny", "pipelines", "imports", "git"} <= found


@pytest.mark.parametrize("loaded", config.load_all(), ids=lambda w: w.name)
def test_edited_files_of_the_checkout_exist(loaded: config.Workload) -> None:
    files = loaded.folder / "files"
    if loaded.edit and not loaded.input.source and not loaded.input.generator:
        assert (files / loaded.edit.file).is_file()


def test_phases_follow_from_what_is_there(tmp_path: Path) -> None:
    full = workload(tmp_path / "a")
    assert full.phases == config.PHASES
    bare = TOML.partition("[edit]")[0]
    assert workload(tmp_path / "b", toml=bare).phases == (
        *("unknown", "cold", "again", "third"),
        *("warm", "no-op"),
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "copies"', "", "title: Field required"),
        ('group = "scripts"', 'group = "other"', "group"),
        ("[versions]", "[version]", "version: Extra inputs"),
        ("count = 2", "count = 0", "versions.count"),
        ('"input"', '"/etc/passwd"', "edit.file"),
        ('"input"', '"a/../../b"', "edit.file"),
        ('["sh", "run.sh"]', "[]", "run.command"),
        ("[verify]", '[verify]\nmask = ["("]', "no regular expression"),
        ("[verify]", '[input]\nsource = "a"\ngenerator = "reads"', "not both"),
        ("title", "title = ", "bench.toml"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(config.BadWorkload, match=message):
        workload(tmp_path, toml=TOML.replace(old, new, 1))


def test_versions_need_an_edit(tmp_path: Path) -> None:
    bare = TOML.partition("[edit]")[0]
    with pytest.raises(config.BadWorkload, match=r"edit.*is missing"):
        workload(tmp_path / "a", toml=bare + "[versions]\ncount = 2\n")


def test_select() -> None:
    everything = config.load_all()

    def names(*patterns: str) -> list[str]:
        return [w.name for w in config.select(everything, list(patterns))]

    assert names("tiny", "lua", "lu*") == ["tiny", "lua"]
    assert "lua" in names("C builds") and "hmmer" not in names("C builds")
    assert sorted(names("*")) == [w.name for w in everything]
    with pytest.raises(config.BadWorkload, match="nothing-like-this"):
        names("nothing-like-this")
