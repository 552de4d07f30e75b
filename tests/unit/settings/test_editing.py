"""Changing one setting leaves the rest of a file alone."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pcache.errors import ConfigError, UsageError
from pcache.settings.editing import Name, changed, get, literal, set_in

FILE = """\
# mine
max_size = "10G" # enough

[sandbox]
deny = ["network"]

[program."*"]
ignore_env = ["A"]

[program.make] # mine too
strict = true
"""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_size", '"20G"'),
        ("compress", "false"),
        ("sandbox.deny", "[]"),
        ("sandbox.allow", '["ptrace"]'),
        ("remote.url", '"file:///srv/cache"'),
        ("program.*.strict", "true"),
        ("program.make.strict", "false"),
        ("program.make.never_cache", '"callers"'),
        ("program.c++.strict", "true"),
        ("program./usr/bin/x.y.strict", "true"),
    ],
)
@pytest.mark.parametrize("text", [FILE, "", "max_size = '1G'"])
def test_only_that_one_changes(text: str, name: str, value: str) -> None:
    wanted = Name(name)
    new = changed(text, wanted, value)
    assert get(new, wanted) == tomllib.loads(f"x = {value}")["x"]
    before, after = tomllib.loads(text), tomllib.loads(new)
    for found in (before, after):
        table = found
        for part in wanted.table:
            table = table.setdefault(part, {})
        table.pop(wanted.setting, None)
    assert before == after
    for line in text.splitlines():
        assert line in new or line.partition("=")[0].strip() == wanted.setting
    assert changed(new, wanted, value) == new


def test_comments_stay() -> None:
    assert 'max_size = "20G" # enough' in changed(FILE, Name("max_size"), '"20G"')


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("max_sizes", "max_size"),
        ("sandbox.dney", "sandbox.deny"),
        ("remote.urll", "remote.url"),
        ("remote", "pcache help config"),
        ("program.make.strikt", "program.make.strict"),
        ("xyzzy", "pcache help config"),
        ("program", "pcache help config"),
    ],
)
def test_misspelt(name: str, meant: str) -> None:
    with pytest.raises(UsageError) as error:
        Name(name)
    assert meant in error.value.remedy


def test_what_is_no_literal_is_a_string() -> None:
    assert literal("20G") == '"20G"'
    assert [literal(at) for at in ("true", '["a"]', '"x"')] == ["true", '["a"]', '"x"']


def test_a_file_that_would_make_no_sense_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    for name, value in (("max_size", "much"), ("base_dir", "."), ("program.make.strict", "maybe")):
        with pytest.raises(UsageError) as error:
            set_in(bytes(path), Name(name), value)
        assert name in str(error.value) and "Input should" not in str(error.value)
        assert path.read_text() == FILE
    set_in(bytes(path), Name("history"), "90d")
    assert tomllib.loads(path.read_text())["history"] == "90d"
    assert list(tmp_path.iterdir()) == [path]
    path.write_text(FILE.replace("true", "maybe"))
    with pytest.raises(ConfigError, match=str(path)):
        set_in(bytes(path), Name("history"), "90d")
    project = tmp_path / ".pcache.toml"
    set_in(bytes(project), Name("base_dir"), ".")
    assert project.read_text() == 'base_dir = "."\n'


def test_several_lines_are_left_to_an_editor() -> None:
    text = "[sandbox]\ndeny = [\n'network',\n]\n"
    with pytest.raises(ConfigError, match="several lines"):
        changed(text, Name("sandbox.deny"), "[]")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("max_size", 'max_size = "10G" # enough\n'),
        ("program.make.strict", "strict = true\n"),
        ("program.cc.strict", ""),
        ("program.make.mtime_order", ""),
        ("compress", ""),
    ],
)
def test_unset(tmp_path: Path, name: str, line: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    assert set_in(bytes(path), Name(name), None) == bool(line)
    assert path.read_text() == FILE.replace(line, "", 1)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("compress", "maybe", "compress: it is true or false"),
        ("max_size", "20", "max_size: it is a text in quotation marks"),
        ("sandbox.deny", "network", 'sandbox.deny: it is a list of texts, such as ["network"]'),
        ("sandbox.deny", '["x"]', "sandbox.deny: it is one of 'io_uring', 'network' or"),
        ("program.cc.never_cache", "often", "program.cc.never_cache: it is one of 'no', 'its"),
        ("remote.timeout", "99", "remote.url: it is missing"),
        ("base_dir", ".", "base_dir belongs into a project's file"),
    ],
)
def test_what_is_wrong_with_a_value(tmp_path: Path, name: str, value: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        set_in(bytes(tmp_path / "config.toml"), Name(name), value)
    assert str(error.value).startswith(words)
