"""Getting what a workload runs on: fetched, generated, prepared, and kept for the next time."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from bench.config import Workload
from bench.data import GENERATORS
from demo.source import fetch

_SHOWN_LINES = 15


class NoInput(Exception):
    """The input of a workload cannot be had; says why."""


def package_versions(workload: Workload) -> dict[str, str]:
    """Versions of the packages that the workload needs; empty for one that is not installed."""
    return {package: _version(package) for package in workload.packages}


def _version(package: str) -> str:
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", package]
    try:
        state = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return "unknown"  # not a Debian-like system: let the workload find out
    status, _, version = state.partition(" ")
    return version if status == "installed" else ""


def missing_packages(workload: Workload) -> list[str]:
    """Which of the packages that the workload needs are not installed."""
    return [package for package, version in package_versions(workload).items() if not version]


def install(packages: list[str]) -> None:
    """Install packages of the distribution.  Raises NoInput."""
    sudo = ["sudo"] if os.geteuid() else []
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet=2"]
    try:
        subprocess.run([*sudo, *quiet, "update"], check=False)
        subprocess.run(
            [*sudo, *quiet, "install", "--yes", "--no-install-recommends", *packages],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoInput(f"cannot install {' '.join(packages)}: {error}") from None


class Inputs:
    """The pristine trees of workloads, below one work folder."""

    def __init__(self, work: Path, env: dict[str, str]) -> None:
        self._downloads = work / "downloads"
        self._pristine = work / "pristine"
        self._build = work / "tree"
        self._env = env

    def pristine(self, workload: Workload) -> Path:
        """The directory with everything in it before the first run.  Raises NoInput.

        It is made where the workload will run, since some build systems write down their paths.
        """
        kept = self._pristine / workload.name
        stamp = self._pristine / f"{workload.name}.stamp"
        wanted = _digest(workload.folder)
        if kept.exists() and stamp.exists() and stamp.read_text() == wanted:
            return kept
        stamp.unlink(missing_ok=True)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.rmtree(self._build, ignore_errors=True)
        self._build.mkdir(parents=True)
        self._fill(workload)
        self._pristine.mkdir(exist_ok=True)
        self._build.rename(kept)
        stamp.write_text(wanted)
        return kept

    def _fill(self, workload: Workload) -> None:
        if workload.input.source:
            self._unpack(workload.input.source)
        if workload.input.generator:
            GENERATORS[workload.input.generator](self._build, **workload.input.arguments)
        files = workload.folder / "files"
        if files.is_dir():
            shutil.copytree(files, self._build, symlinks=True, dirs_exist_ok=True)
        for command in workload.prepare.commands:
            done = subprocess.run(
                command,
                cwd=self._build,
                env={**self._env, **workload.run.env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
            if done.returncode:
                last = "\n".join(done.stdout.splitlines()[-_SHOWN_LINES:])
                raise NoInput(f"{' '.join(command)}: status {done.returncode}\n{last}")

    def _unpack(self, package: str) -> None:
        self._downloads.mkdir(parents=True, exist_ok=True)
        try:
            archive = fetch(package, self._downloads)
            unpack = ["tar", "--extract", "--no-same-owner", "--strip-components=1"]
            target = [f"--directory={self._build}", f"--file={archive}"]
            subprocess.run([*unpack, *target], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NoInput(f"no source of {package}: {error}") from None


def _digest(folder: Path) -> str:
    """Of everything that says how to make the input."""
    state = hashlib.sha256()
    for path in [Path(__file__).with_name("data.py"), *sorted(folder.rglob("*"))]:
        if path.is_file():
            state.update(path.name.encode() + b"\0" + path.read_bytes())
    return state.hexdigest()
