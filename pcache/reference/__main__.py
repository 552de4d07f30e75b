"""`python -m pcache.reference DIRECTORY` writes the man page and the completions below DIRECTORY,
which is laid out as /usr/share."""

from __future__ import annotations

import sys
from pathlib import Path

from pcache.reference import bash, fish, man, zsh

FILES = {
    "man/man1/pcache.1": man.page,
    "bash-completion/completions/pcache": bash.script,
    "zsh/site-functions/_pcache": zsh.script,
    "fish/vendor_completions.d/pcache.fish": fish.script,
}


def write(directory: Path) -> None:
    """Writes all of them; directories that are missing are made."""
    for name, text in FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(), encoding="ascii")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m pcache.reference DIRECTORY")
    write(Path(sys.argv[1]))
