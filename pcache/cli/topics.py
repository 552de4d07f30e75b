"""What `pcache help TOPIC` prints of things that are no verbs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENVIRONMENT = {
    "XDG_CACHE_HOME": "records are kept in $XDG_CACHE_HOME/pcache; default ~/.cache",
    "XDG_CONFIG_HOME": "your settings: $XDG_CONFIG_HOME/pcache/config.toml; default ~/.config",
    "NO_COLOR": "if set, no colours",
    "CI": "if set, no live line",
    "PCACHE_DEBUG": "if set, an internal error shows where it happened",
}
FILES = {
    "~/.cache/pcache/": "what was recorded, with the contents of files and streams",
    "~/.config/pcache/config.toml": "your settings: see pcache config",
    ".pcache.toml": "settings of a project, in its directory",
    "/var/cache/pcache/": "what root made for itself: compiled BPF programs and seccomp filters;"
    " can be deleted",
    "/sys/fs/bpf/pcache-*/": "the BPF programs as loaded, attached to nothing while nobody records;"
    " can be deleted",
}


def _reasons() -> str:
    """Every reason with its cure."""
    from textwrap import fill

    from pcache.report.cures import CURES, PAGE

    lines = [f"Why an execution is not cacheable, and what to do about it; {PAGE} has more.\n"]
    for reason, cure in CURES.items():
        lines.append(reason)
        lines.append(fill(cure, 96, initial_indent="  ", subsequent_indent="  "))
    return "\n".join(lines) + "\n"


def _sandbox() -> str:
    from pcache.cli.sandbox import HELP

    return HELP


def _settings() -> str:
    from pcache.cli.config import HELP

    return HELP


def _environment() -> str:
    return _table(ENVIRONMENT)


def _files() -> str:
    return _table(FILES)


def _table(rows: Mapping[str, str]) -> str:
    width = max(map(len, rows))
    return "".join(f"{name:<{width}}  {text}\n" for name, text in rows.items())


TOPICS: dict[str, Callable[[], str]] = {
    "reasons": _reasons,
    "sandbox": _sandbox,
    "settings": _settings,
    "environment": _environment,
    "files": _files,
}
