"""Print debian/copyright for a directory of installed distributions: `copyright.py DIRECTORY`.

The directory is that of the command: pcache and what it depends on, each with its licence below
its .dist-info.  Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

BPF = """\
Files: usr/lib/pcache/pcache/bpf/*
Copyright: 2026 The pcache developers
License: MIT-pcache or GPL-2

License: GPL-2
 On Debian systems, the text of version 2 of the GNU General Public License is in
 /usr/share/common-licenses/GPL-2.
"""


def main(directory: Path) -> None:
    own_first = sorted(
        distributions(path=[str(directory)]), key=lambda found: (found.name != "pcache", found.name)
    )
    print("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/")
    print("Upstream-Name: pcache")
    for distribution in own_first:
        name, text = distribution.name, "\n\n".join(licences(distribution))
        if not text:
            sys.exit(f"{name} comes without a licence")
        # Names of licences are taken apart at blanks, and say whose text it is.
        label = f"{licence_name(distribution)}-{name}"
        files = (
            ["*"] if name == "pcache" else [f"usr/lib/pcache/{top}" for top in tops(distribution)]
        )
        print(f"\nFiles: {' '.join(files)}")
        print(f"Copyright: {indented(holders(distribution, text)).lstrip()}")
        print(f"License: {label}\n{indented(text)}")
        if name == "pcache":
            print(f"\n{BPF}", end="")


def licences(distribution: Distribution) -> list[str]:
    """The texts: what is called so below the .dist-info."""
    wanted = re.compile(r"\.dist-info/(licenses/)?(LICENSE|AUTHORS)[^/]*$")
    files = [file for file in distribution.files or () if wanted.search(str(file))]
    return [file.read_text().strip() for file in files]


def licence_name(distribution: Distribution) -> str:
    metadata = distribution.metadata
    name = metadata.get("License-Expression") or metadata.get("License")
    if not name:
        (classifier,) = (
            line for line in metadata.get_all("Classifier", []) if line.startswith("License ::")
        )
        name = classifier.rpartition(" :: ")[2].removesuffix(" License")
    return name.replace(" ", "-")


def holders(distribution: Distribution, text: str) -> str:
    lines = re.findall(r"^ *Copyright +(?:\(c\) +)?(.*\d.*|.*and .*)$", text, re.IGNORECASE | re.M)
    return "\n".join(lines) or str(distribution.metadata["Author-email"])


def tops(distribution: Distribution) -> Iterator[str]:
    names = {file.parts[0] for file in distribution.files or ()}
    for name in sorted(names - {".."}):
        yield name if "." in name and not name.endswith(".dist-info") else f"{name}/*"


def indented(text: str) -> str:
    return "\n".join(f" {line}" if line.strip() else " ." for line in text.splitlines())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
