"""What is shipped, and what a replay loads before its first decision."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash

from pcache import __version__
from pcache.recorder import bpf, image
from tests.conftest import CHECKOUT, open_directory

HEAVY = {
    "argparse",
    "bcc",
    "dataclasses",
    "enum",
    "json",
    "pathlib",
    "pydantic",
    "pyseccomp",
    "re",
    "rich",
    "signal",
    "socket",
    "subprocess",
    "typing",
}
"""Each costs a noticeable part of a hit, some of them more than the whole of it."""

HOT = [
    "pcache.cli.main",
    "pcache.cli.replay",
    "pcache.session.verbs.replay",
    "pcache.memo.decide",
    "pcache.memo.restore",
    "pcache.enforce.supervisor",
]


@pytest.fixture(scope="module")
def wheel() -> Iterator[Path]:
    with open_directory() as directory:
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
        subprocess.run(
            [*command, "--directory", directory], cwd=CHECKOUT, check=True, capture_output=True
        )
        (built,) = directory.glob("*.whl")
        yield built


@pytest.fixture(scope="module")
def sdist() -> Iterator[Path]:
    """Unpacked."""
    with open_directory() as directory:
        command = [sys.executable, "-m", "hatchling", "build", "--target", "sdist"]
        subprocess.run(
            [*command, "--directory", directory], cwd=CHECKOUT, check=True, capture_output=True
        )
        (built,) = directory.glob("*.tar.gz")
        subprocess.run(["tar", "-xf", built, "-C", directory], check=True)
        yield directory / built.name.removesuffix(".tar.gz")


def shipped(folder: str, suffixes: tuple[str, ...]) -> set[str]:
    """What git knows below `folder`, with one of the suffixes."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return {name for name in listing if name.endswith(suffixes) and (CHECKOUT / name).exists()}


def test_wheel_holds_the_package_and_its_sources_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    python = shipped("pcache", (".py", ".typed", ".html", ".c"))
    sources = {f"pcache/{name}" for name in shipped("bpf", ("",))}
    assert any(name.endswith(".bpf.c") for name in sources)
    assert names == python | sources


def test_wheel_finds_its_bpf_sources(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = "import pcache.recorder.image as r; print(r.bpf_dir(), r.__file__)"
    done = subprocess.run(
        ["/usr/bin/python3", "-S", "-c", program],
        env={"PYTHONPATH": str(tmp_path)},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [
        f"{tmp_path}/pcache/bpf",
        f"{tmp_path}/pcache/recorder/image.py",
    ]


def test_wheel_runs_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    check_in_fresh_environment(wheel, tmp_path)


def test_sdist_holds_all_that_git_knows(sdist: Path) -> None:
    names = {str(path.relative_to(sdist)) for path in sdist.rglob("*") if path.is_file()}
    assert names - {"PKG-INFO"} == shipped(".", ("",))
    assert {
        "LICENSE",
        "CHANGELOG.md",
        "tools/install",
        "demo/run.py",
        "vagrant/Vagrantfile",
    } <= names
    assert os.access(sdist / "tools/install", os.X_OK)


def test_sdist_makes_the_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(
        [*command, "--directory", tmp_path / "dist"], cwd=sdist, check=True, capture_output=True
    )
    (made,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(made) as archive, zipfile.ZipFile(wheel) as other:
        assert {(info.filename, info.CRC) for info in archive.infolist()} == {
            (info.filename, info.CRC) for info in other.infolist()
        }
    check_in_fresh_environment(made, tmp_path)


def check_in_fresh_environment(wheel: Path, directory: Path) -> None:
    """Install it alone; its dependencies are those of the environment that runs the tests."""
    subprocess.run(["/usr/bin/python3", "-m", "venv", directory / "venv"], check=True)
    bin_ = directory / "venv/bin"
    install = [bin_ / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, wheel], check=True)
    site = os.path.dirname(os.path.dirname(xxhash.__file__ or ""))
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "PYTHONPATH": site}
    # The package of the checkout, which is editable there, is not among what PYTHONPATH adds.
    for command, wanted in (
        ([bin_ / "pcache", "--version"], f"pcache {__version__}"),
        ([bin_ / "pcache", "replay", "echo", "hello"], "hello"),
        ([bin_ / "python", "-c", "import pcache; print(pcache.__file__)"], f"{directory}/venv/"),
    ):
        done = subprocess.run(
            command, env=environment, cwd="/", capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith(wanted), done.stderr


def test_metadata_names_the_license(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
        (text,) = (name for name in archive.namelist() if name.endswith("/licenses/LICENSE"))
        assert archive.read(text).decode() == (CHECKOUT / "LICENSE").read_text()
    assert "\nLicense: MIT\n" in metadata
    assert f"\nVersion: {__version__}\n" in metadata


def test_bpf_sources_and_the_kernel_are_told_the_same_license() -> None:
    sources = [*(CHECKOUT / "bpf").glob("*.c"), *(CHECKOUT / "bpf").glob("*.h")]
    assert sources
    for path in sources:
        first = path.read_text().partition("\n")[0]
        assert first == "/* SPDX-License-Identifier: MIT OR GPL-2.0-only */", path
    assert bpf._LICENSE == b"Dual MIT/GPL"


def test_changelog_knows_the_version() -> None:
    changelog = (CHECKOUT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in changelog
    assert f"## [{__version__}]" in changelog


def test_checkout_finds_its_bpf_sources() -> None:
    assert image.bpf_dir() == str(CHECKOUT / "bpf")
    assert any(name.endswith(".bpf.c") for name in os.listdir(image.bpf_dir()))


def test_unrelated_bcc_is_no_dependency(wheel: Path) -> None:
    with open(CHECKOUT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"].values()
    for requirement in [*project["dependencies"], *(line for extra in extras for line in extra)]:
        assert not requirement.startswith("bcc")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "pcache = pcache.cli.main:main" in archive.read(name).decode()


@pytest.mark.parametrize("module", HOT)
def test_hot_path_is_light(module: str) -> None:
    program = (
        f"import sys; before = set(sys.modules)\n"
        f"import {module}\n"
        f"print(*sorted(set(sys.modules) - before))\n"
    )
    # Without site processing: what that loads is none of our doing.
    site = os.path.dirname(os.path.dirname(xxhash.__file__ or ""))
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": f"{CHECKOUT}:{site}"},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert module in loaded
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()


def test_whole_replay_of_a_miss_is_light(pcache: str, tmp_path: Path) -> None:
    site = os.path.dirname(os.path.dirname(xxhash.__file__ or ""))
    # -X importtime is not to be had through the launcher; the verb itself is called instead.
    program = (
        "import sys\n"
        f"sys.path[:0] = [{os.path.dirname(pcache) + '/lib'!r}]\n"
        f"sys.path += [{site!r}]\n"
        "from pcache.cli.main import main\n"
        "status = main(['replay', '--quiet', 'true'])\n"
        "print(status, *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    subprocess.run([pcache, "replay", "--quiet", "true"], env=env, check=True)  # caches the filter
    done = subprocess.run(
        ["/usr/bin/python3", "-ISc", program], env=env, capture_output=True, text=True, check=True
    )
    status, *loaded = done.stdout.split()
    assert status == "0"
    assert set(loaded) & HEAVY == set()
