"""A small command that reads, writes and prints, and how it is recorded and replayed."""

from __future__ import annotations

from pathlib import Path

from tests.lib.differential import Bench
from tests.lib.launch import Result, Stdio

COMMAND = ("sh", "-c", "seq 3000 >out; cat in; echo err >&2; exit 5")


PRINTED = (5, b"in\n", b"err\n")


def trace(bench: Bench, *options: str) -> Result:
    return bench.launcher.trace(COMMAND, bench.directory, bench.env, Stdio(), options)


def replay(bench: Bench, *options: str) -> Result:
    (bench.directory / "out").unlink(missing_ok=True)
    result = bench.launcher.replay(COMMAND, bench.directory, bench.env, Stdio(), options)
    assert (bench.directory / "out").stat().st_size == 13893  # it ran or was restored
    return result


def objects(bench: Bench) -> list[Path]:
    """Blobs kept as files."""
    return [path for path in (bench.store / "pcache/objects").rglob("*") if path.is_file()]
