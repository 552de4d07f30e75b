"""Show what changed between two results."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from bench import results
from bench.report import comparison
from bench.verbs import LATEST


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of this verb."""
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path, nargs="?", default=LATEST)


def call(args: argparse.Namespace, console: Console) -> int:
    """Always 0: a change is no failure."""
    comparison.show(results.read(args.old), results.read(args.new), console)
    return 0
