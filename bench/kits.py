"""Tools that come from PyPI and npm: installed once below the work folder, for the bench alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import TypeAdapter, model_validator

from bench.config import Table
from bench.inputs import NoInput

KITS = Path(__file__).with_name("kits.toml")


class Kit(Table):
    """Packages of one registry."""

    pip: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one(self) -> Kit:
        if bool(self.pip) == bool(self.npm):
            raise ValueError("a kit is of packages of pip or of npm")
        return self


def load(path: Path = KITS) -> dict[str, Kit]:
    """Every kit by its name.  Raises ValidationError."""
    return TypeAdapter(dict[str, Kit]).validate_python(tomllib.loads(path.read_text()))


class Kits:
    """Those below one work folder."""

    def __init__(self, work: Path) -> None:
        self._folder = work / "kits"
        self._known = load()

    def missing(self, names: Iterable[str]) -> list[str]:
        """Which of these are not installed as they are described now.  Raises KeyError."""
        return [name for name in names if not self._is_there(name)]

    def _is_there(self, name: str) -> bool:
        stamp = self._stamp(name)
        return stamp.exists() and stamp.read_text() == self._known[name].model_dump_json()

    def _stamp(self, name: str) -> Path:
        return self._folder / f"{name}.stamp"

    def install(self, name: str) -> None:
        """Raises NoInput."""
        kit, folder = self._known[name], self._folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        quiet = ["--quiet", "--disable-pip-version-check"]
        steps = (
            [
                ["/usr/bin/python3", "-m", "venv", "."],
                ["bin/python", "-m", "pip", "install", *quiet, *kit.pip],
            ]
            if kit.pip
            else [["npm", "install", "--silent", "--no-fund", "--no-audit", *kit.npm]]
        )
        for step in steps:
            try:
                subprocess.run(step, cwd=folder, check=True, stdin=subprocess.DEVNULL)
            except (OSError, subprocess.CalledProcessError) as error:
                raise NoInput(f"cannot install the kit {name}: {error}") from None
        self._stamp(name).write_text(kit.model_dump_json())

    def env(self, names: Iterable[str], env: Mapping[str, str]) -> dict[str, str]:
        """The environment with the programs of these kits first in PATH."""
        found = dict(env)
        for name in names:
            programs = "bin" if self._known[name].pip else "node_modules/.bin"
            found["PATH"] = f"{self._folder / name / programs}{os.pathsep}{found['PATH']}"
            found["KITS"] = str(self._folder)
        return found
