"""The command line: `run`, `report`, `compare`, `list`."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from bench import config, goals, plans, results
from bench.verbs import BadRequest, compare, list_, report, run

_WIDTH = 200
_VERBS = {"run": run, "report": report, "compare": compare, "list": list_}
_MISTAKES = (
    BadRequest,
    config.BadWorkload,
    goals.BadGoals,
    plans.BadPlans,
    results.BadResults,
)


def main(argv: list[str] | None = None) -> int:
    """Run one command line; 0 if all went well, 1 for a wrong result, 2 for wrong usage."""
    args = _parser().parse_args(argv)
    # A report in a file or a pipe is not cut to 80 columns.
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    try:
        status: int = args.verb(args, console)
    except _MISTAKES as error:
        Console(stderr=True).print(f"bench: {error}", style="red", markup=False)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for name, module in _VERBS.items():
        summary = (module.__doc__ or "").partition("\n")[0]
        verb = verbs.add_parser(name, help=summary, description=summary)
        module.add_arguments(verb)
        verb.set_defaults(verb=module.call)
    return parser
