"""What is taken without pydantic is what pydantic takes, and means the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from pcache.settings import plain
from pcache.settings.schema import TABLES, File
from tests.conftest import CHECKOUT

KEY = "ed25519:" + "A" * 43 + "="
WORDS = st.sampled_from(
    ["", "20G", "x", "12h", "network", "io_uring", "ptrace", "32-bit", "home", "host", "user", "no",
     "itself", "callers", "never", "ci", "always", KEY, KEY[:-2], "ed25519:", "s3://b", "ftp://b"]
)  # fmt: skip
VALUES = st.one_of(
    WORDS, st.booleans(), st.integers(-1, 61), st.floats(), st.none(), st.lists(WORDS, max_size=3),
    st.lists(st.one_of(WORDS, st.booleans(), st.integers()), max_size=2),
)  # fmt: skip


def tables(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from([*model.model_fields, "other"])
    return st.dictionaries(names, VALUES, max_size=4)


FILES = st.fixed_dictionaries(
    {},
    optional={
        **{name: VALUES for name in (*File.model_fields, "other")},
        "sandbox": st.one_of(tables(TABLES["sandbox"]), VALUES),
        "remote": st.one_of(
            tables(TABLES["remote"]),
            tables(TABLES["remote"]).map(lambda found: {"url": "s3://bucket", **found}),
            VALUES,
        ),
        "program": st.one_of(
            st.dictionaries(WORDS, st.one_of(tables(TABLES["program"]), VALUES), max_size=2), VALUES
        ),
    },
)


def meaning(file: Any) -> dict[str, Any]:
    """All that is asked of it."""
    of_tables = {
        "sandbox": attributes(file.sandbox, TABLES["sandbox"]),
        "remote": file.remote and attributes(file.remote, TABLES["remote"]),
        "program": {
            name: attributes(table, TABLES["program"]) for name, table in file.program.items()
        },
    }
    return {**attributes(file, File), **of_tables}


def attributes(table: Any, model: type[BaseModel]) -> dict[str, Any]:
    found = {name: getattr(table, name) for name in model.model_fields}
    return {**found, "set": table.model_fields_set}


@given(FILES)
def test_both_take_the_same(found: dict[str, Any]) -> None:
    try:
        model = File.model_validate(found)
    except ValidationError:
        assert plain.read(found) is None
        return
    read = plain.read(found)
    # Only TOML is read here, which has no null.
    if "None" not in repr(found):
        assert read is not None
    assert read is None or meaning(read) == meaning(model)


def test_every_setting_is_known_to_both() -> None:
    for checks, model in (
        (plain._FILE, File),
        (plain._SANDBOX, TABLES["sandbox"]),
        (plain._REMOTE, TABLES["remote"]),
        (plain._PROGRAM, TABLES["program"]),
    ):
        assert checks.keys() == model.model_fields.keys()


@pytest.mark.parametrize("text", ['max_size = "1G"\n[remote]\nurl = "s3://bucket"\n'])
def test_pydantic_is_not_loaded_for_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    program = (
        "import os, sys; from pcache.settings.configfile import compile_files;"
        f"assert compile_files([{bytes(file)!r}]).max_size == 1 << 30;"
        "print(sorted({'pydantic', 'difflib', 'base64'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
