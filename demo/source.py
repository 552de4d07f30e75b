"""A real C project to build: lua from the distribution's source packages, else the bundled one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "lua5.4"
FALLBACK = Path(__file__).with_name("fallback")
LOG = Path(__file__).resolve().parent.parent / "build/demo.log"
"""What apt and a build that failed have printed."""


@dataclass(frozen=True)
class Project:
    """What the demo builds."""

    title: str
    directory: Path
    """Where make is called."""
    targets: tuple[str, ...]
    edited: str
    """The source that the edit step changes, relative to `directory`."""

    @property
    def build(self) -> list[str]:
        """The command that the demo measures."""
        return ["make", f"-j{os.cpu_count() or 1}", *self.targets]


def prepare(downloads: Path, build: Path) -> Project:
    """Lay out a fresh source tree in `build`, keeping what is fetched in `downloads`."""
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    try:
        archive = fetch(PACKAGE, downloads)
        unpack = ["tar", "--extract", "--no-same-owner", "--directory", str(build)]
        subprocess.run([*unpack, "--file", str(archive)], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no source package of {PACKAGE} ({error}; see {LOG})")
        print("building the bundled program instead")
        shutil.rmtree(build)
        shutil.copytree(FALLBACK, build)
        return Project("concordance (bundled)", build, (), "src/report.c")
    (tree,) = build.iterdir()
    return Project(tree.name, tree, ("linux",), "src/lstrlib.c")


def fetch(package: str, downloads: Path) -> Path:
    """The upstream archive of a source package, fetched unless it is in `downloads` already.

    Raises OSError or CalledProcessError if it cannot be had.
    """
    pattern = f"{package}_*.orig.tar.*[!c]"  # not the signature, .asc
    found = sorted(downloads.glob(pattern))
    if not found:
        _fetch(package, downloads)
        found = sorted(downloads.glob(pattern))
    if not found:
        raise FileNotFoundError("apt-get source left no archive")
    return found[-1]


def _fetch(package: str, downloads: Path) -> None:
    """Run apt-get source with a private configuration: nothing below /etc or /var is touched."""
    apt = downloads / "apt"
    shutil.rmtree(apt, ignore_errors=True)
    for folder in ("lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    parts = apt / "sources"
    parts.mkdir()
    for name, text in _source_entries().items():
        (parts / name).write_text(text)
    options = [
        "--quiet=2",
        "--option=Dir::Etc::sourcelist=/dev/null",
        f"--option=Dir::Etc::sourceparts={parts.absolute()}",
        f"--option=Dir::State::lists={(apt / 'lists').absolute()}",
        f"--option=Dir::Cache={(apt / 'cache').absolute()}",
        # As root apt would drop to a user who may not enter this directory.
        "--option=APT::Sandbox::User=root",
    ]
    print(f"fetching the source of {package}", end=" ... ", flush=True)
    start = time.monotonic()
    LOG.parent.mkdir(exist_ok=True)
    with open(LOG, "wb") as log:
        for words in (["update"], ["source", "--download-only", package]):
            command = ["apt-get", *options, *words]
            subprocess.run(command, check=True, cwd=downloads, stdout=log, stderr=log)
    print(f"{time.monotonic() - start:.1f} s")
    shutil.rmtree(apt)


def _source_entries() -> dict[str, str]:
    """The files from which apt takes the distribution's packages, turned to source packages."""
    listing = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(ORIGIN)|$(SOURCESENTRY)",
            "Created-By: Packages",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    entries = {}
    for line in listing.splitlines():
        origin, _, entry = line.partition("|")
        path = Path(entry.rpartition(":")[0])
        if origin in ("Debian", "Ubuntu"):
            # Both formats of sources.list(5): one line each, and fields.
            text = re.sub(r"^deb(?=\s)", "deb-src", path.read_text(), flags=re.MULTILINE)
            text = re.sub(r"^(Types:).*$", r"\1 deb-src", text, flags=re.MULTILINE)
            entries[path.name] = text
    if not entries:
        raise FileNotFoundError("apt knows no package sources; try: sudo apt-get update")
    return entries
