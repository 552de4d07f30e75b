"""Tools from PyPI and npm: described in a file, found below the work folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from bench import config, kits
from bench.kits import Kits


def test_workloads_name_kits_that_there_are() -> None:
    known = kits.load()
    assert {kit for workload in config.load_all() for kit in workload.kits} <= known.keys()


@pytest.mark.parametrize("text", ["[a]\n", '[a]\npip = ["x"]\nnpm = ["y"]\n', "[a]\napt = []\n"])
def test_a_kit_is_of_one_registry(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kits.toml"
    path.write_text(text)
    with pytest.raises(ValidationError):
        kits.load(path)


def test_a_kit_that_is_described_otherwise_is_missing(tmp_path: Path) -> None:
    there = Kits(tmp_path)
    assert there.missing(["python", "node"]) == ["python", "node"]
    (tmp_path / "kits").mkdir()
    stamp = tmp_path / "kits/python.stamp"
    stamp.write_text(kits.load()["python"].model_dump_json())
    assert there.missing(["python", "node"]) == ["node"]
    stamp.write_text("{}")
    assert there.missing(["python"]) == ["python"]


def test_the_programs_of_kits_come_first(tmp_path: Path) -> None:
    env = Kits(tmp_path).env(["python", "node"], {"PATH": "/bin"})
    folder = tmp_path / "kits"
    assert env["PATH"] == f"{folder}/node/node_modules/.bin:{folder}/python/bin:/bin"
    assert env["KITS"] == str(folder)
    assert Kits(tmp_path).env([], {"PATH": "/bin"}) == {"PATH": "/bin"}
