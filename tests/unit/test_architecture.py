"""The shape of the tree: what may import what, for types too, and how long a file may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LONGEST = 400
"""Lines of a file."""

VOCABULARY = {
    *("model", "values", "codec", "errors", "counters", "timing", "times"),
    *("sha256", "wording", "pattern"),
}
BASE = VOCABULARY | {"settings", "linux"}
DOMAIN = BASE | {"memo", "store"}
PROBES = VOCABULARY | {"linux", "recorder"}
STEPS = {"observe", "enforce", "rerun", "doctor", "history"}
MAY_IMPORT: dict[str, set[str]] = {
    "__main__": {"cli"},
    "bundle": set(),
    "cli": DOMAIN | STEPS | {"session", "remote", "report", "export", "api", "pcache"},
    "export": DOMAIN | {"session", "history", "report", "pcache"},
    "reference": {"cli", "pcache"},
    "report": DOMAIN | {"session", "history"},
    "session": DOMAIN | STEPS | {"probes", "recorder", "remote"},
    "history": DOMAIN,
    "observe": DOMAIN | {"probes"},
    "enforce": DOMAIN,
    "rerun": DOMAIN | {"enforce"},
    "doctor": DOMAIN | {"probes", "recorder", "remote"},
    "memo": BASE | {"store"},
    "store": BASE,
    "remote": DOMAIN,
    "settings": VOCABULARY | {"linux"},
    "linux": VOCABULARY,
    "probes": PROBES,
    "recorder": set(),
    "model": set(),
    **{name: VOCABULARY for name in VOCABULARY - {"model"}},
    "pcache": {"api"},
    "api": DOMAIN | {"history", "report", "export"},
}
"""By package, or by module where it stands in none; a package may always import itself."""

ALLOWED_FOR_NOW: set[str] = set()
"""Violations that are known; each has to go from here when it is gone."""


class Import(NamedTuple):
    source: str
    target: str
    for_types: bool
    """Under TYPE_CHECKING."""

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}"


@cache
def modules() -> dict[str, Path]:
    found = {}
    for path in sorted((ROOT / "pcache").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def statements(tree: ast.AST, for_types: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """Every import statement, and whether it is for types only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, for_types
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for inner in node.body:
                yield from statements(ast.Module([inner], []), True)
        else:
            yield from statements(node, for_types)


@cache
def imports() -> tuple[Import, ...]:
    known = modules()
    found = []
    for source, path in known.items():
        for node, for_types in statements(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                targets = [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{source}: a relative import"
                whole = [f"{node.module}.{name.name}" for name in node.names]
                targets = [name if name in known else str(node.module) for name in whole]
            found += [Import(source, name, for_types) for name in targets if name in known]
    return tuple(found)


def package(module: str) -> str:
    return module.removeprefix("pcache.").partition(".")[0]


def circles(edges: list[Import]) -> set[str]:
    """Each set of modules that import each other, however indirectly."""
    direct: dict[str, set[str]] = {name: set() for name in modules()}
    for edge in edges:
        direct[edge.source].add(edge.target)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = direct[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    reach = {name: reached(name) for name in direct}
    return {
        "circle: " + " ".join(sorted(other for other in ends if name in reach[other]))
        for name, ends in reach.items()
        if name in ends
    }


def against_the_arrows() -> set[str]:
    return {
        str(edge)
        for edge in imports()
        if package(edge.source) != package(edge.target)
        and package(edge.target) not in MAY_IMPORT[package(edge.source)]
    }


def too_long() -> set[str]:
    sources = [*modules().values(), *(ROOT / "bpf").glob("*.c"), *(ROOT / "bpf").glob("*.h")]
    sources += (ROOT / "tests").rglob("*.py")
    return {
        f"long: {path.relative_to(ROOT)}"
        for path in sources
        if len(path.read_text().splitlines()) > LONGEST
    }


def test_every_package_has_its_place() -> None:
    assert {package(name) for name in modules()} <= MAY_IMPORT.keys()


def test_imports_are_seen() -> None:
    lazy = Import("pcache.settings.config", "pcache.settings.configfile", False)
    typed = Import("pcache.enforce.sandbox", "pcache.enforce.filter_rules", True)
    assert {lazy, typed} <= set(imports())


def test_arrows_go_one_way() -> None:
    assert against_the_arrows() <= ALLOWED_FOR_NOW


def test_no_circles_at_run_time() -> None:
    assert circles([edge for edge in imports() if not edge.for_types]) <= ALLOWED_FOR_NOW


def test_no_circles_for_types() -> None:
    assert circles(list(imports())) <= ALLOWED_FOR_NOW


def test_no_file_is_long() -> None:
    assert too_long() <= ALLOWED_FOR_NOW


def test_what_is_allowed_for_now_is_still_there() -> None:
    assert against_the_arrows() | circles(list(imports())) | too_long() >= ALLOWED_FOR_NOW
