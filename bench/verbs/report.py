"""Show results, and write Markdown, plots and one HTML page beside them."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from bench import results
from bench.report import files, terminal
from bench.verbs import LATEST


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of this verb."""
    parser.add_argument("results", type=Path, nargs="?", default=LATEST)


def call(args: argparse.Namespace, console: Console) -> int:
    """1 if a result was wrong."""
    return show(results.read(args.results), args.results, console)


def show(shown: results.Results, path: Path, console: Console) -> int:
    """Report results that are kept in `path`; 1 if one of them is wrong."""
    terminal.show(shown, console)
    page = files.write(shown, path)
    console.print(f"written: {path}, {page.with_suffix('.md').name}, {page.name}", highlight=False)
    return 1 if shown.wrong else 0
