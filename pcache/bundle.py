"""The modules of each package in one file, for a command that starts often.

A hit loads a hundred modules, a recording two hundred; looking for each, and opening and reading
it, takes a twelfth of a hit (measured).  What is in no bundle, compiled
modules among it, is found as always.

A bundle is what Python's cache files are, in one: the magic number of the version of Python, then a
dictionary, marshalled: name -> (whether it is a package, its code, marshalled).
"""

from __future__ import annotations

import marshal
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

_ENDING = ".bundle"
_IN_A_PACKAGE = 3
"""Parts of the names of modules that are not in the bundle of the outermost package."""


class Finder:
    """Finds and loads modules of one package: an entry of sys.meta_path."""

    def __init__(self, root: str, package: str) -> None:
        """`root`: the directory that the package and its bundles are in."""
        self._root = root
        self._package = package
        self._bundles: dict[str, dict[str, tuple[bool, bytes]]] = {}

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        parts = name.split(".", 2)
        if parts[0] != self._package:
            return None
        found = None
        if len(parts) < _IN_A_PACKAGE:
            found = self._bundle(parts[0]).get(name)
        if found is None:
            found = self._bundle(".".join(parts[:2])).get(name)
        if found is None:
            return None
        is_package, code = found
        place = f"{self._root}/{name.replace('.', '/')}"
        origin = f"{place}/__init__.py" if is_package else f"{place}.py"
        spec = ModuleSpec(
            name,
            self,  # type: ignore[arg-type]
            origin=origin,
            loader_state=code,
            is_package=is_package,
        )
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [place]
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """The module is made as always."""

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        exec(marshal.loads(module.__spec__.loader_state), module.__dict__)

    def _bundle(self, name: str) -> dict[str, tuple[bool, bytes]]:
        """What is in a bundle; nothing if there is none, or another Python's."""
        found = self._bundles.get(name)
        if found is None:
            found = {}
            try:
                with open(f"{self._root}/{name}{_ENDING}", "rb", 0) as file:
                    data = file.read()
            except OSError:
                data = b""
            if data.startswith(MAGIC_NUMBER):
                found = marshal.loads(memoryview(data)[len(MAGIC_NUMBER) :])
            self._bundles[name] = found
        return found


def use(root: str, package: str) -> None:
    """Modules of a package come from its bundles from now on, where they are in one."""
    sys.meta_path.insert(0, Finder(root, package))


def write(directory: Path, package: str, root: str) -> None:
    """Makes the bundles of a package that lies in `directory` and will lie in `root`: one for each
    package in it, and one for the modules beside these.  Raises OSError, SyntaxError."""
    bundles: dict[str, dict[str, tuple[bool, bytes]]] = {}
    for source in sorted((directory / package).rglob("*.py")):
        if any(source.parent.glob(f"{source.stem}.*.so")):
            continue  # the compiled one is found
        *above, last = source.relative_to(directory).with_suffix("").parts
        is_package = last == "__init__"
        name = ".".join(above if is_package else [*above, last])
        code = compile(source.read_bytes(), f"{root}/{source.relative_to(directory)}", "exec")
        bundles.setdefault(".".join(above[:2]), {})[name] = is_package, marshal.dumps(code)
    for bundle, modules in bundles.items():
        (directory / f"{bundle}{_ENDING}").write_bytes(MAGIC_NUMBER + marshal.dumps(modules))
