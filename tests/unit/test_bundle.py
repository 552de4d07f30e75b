"""Modules of a package in one file each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pcache import bundle

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package `some`, bundled."""
    for name, text in {
        "__init__": "",
        "alone": "from some.deep.inner import value",
        "deep/__init__": "made = __name__",
        "deep/inner": "value = __file__",
        "deep/lower/__init__": "from some.deep import made",
        "deep/lower/fails": "1 / 0",
    }.items():
        path = tmp_path / "some" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    bundle.write(tmp_path, "some", str(tmp_path))
    return tmp_path


def run(root: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Code in a Python that finds packages in `root` and goes by their bundles."""
    prepare = f"import sys; sys.path[:0] = [{str(root)!r}, {str(CHECKOUT)!r}]\n"
    use = f"from pcache.bundle import use; use({str(root)!r}, 'some')\n"
    return subprocess.run(
        [sys.executable, "-c", prepare + use + code], capture_output=True, text=True, check=False
    )


def test_modules_come_from_bundles(package: Path) -> None:
    for source in package.rglob("*.py"):
        source.write_text("raise AssertionError")
    done = run(
        package, "import some.alone, some.deep.lower\nprint(some.alone.value, some.deep.lower.made)"
    )
    assert done.stdout == f"{package}/some/deep/inner.py some.deep\n", done.stderr


def test_what_is_in_none_is_found(package: Path) -> None:
    (package / "some/deep/late.py").write_text("value = 3")
    (package / "some/deep.py").write_text("value = 3")
    done = run(package, "import some.deep.late, json\nprint(some.deep.late.value)")
    assert done.stdout == "3\n", done.stderr
    assert "ModuleNotFoundError" in run(package, "import some.nowhere").stderr


def test_compiled_modules_are_left_out(package: Path) -> None:
    (package / "some/alone.cpython-311-x86_64-linux-gnu.so").touch()
    bundle.write(package, "some", str(package))
    assert "some.alone" not in str((package / "some.bundle").read_bytes())


def test_bundle_of_another_python(package: Path) -> None:
    for file in package.glob("*.bundle"):
        file.write_bytes(b"\0\0\r\n" + file.read_bytes()[4:])
    (package / "some/deep/inner.py").write_text("value = 'from its source'")
    assert run(package, "import some.alone; print(some.alone.value)").stdout == "from its source\n"


def test_tracebacks_show_lines(package: Path) -> None:
    said = run(package, "import some.deep.lower.fails").stderr
    assert f'File "{package}/some/deep/lower/fails.py", line 1' in said
    assert "1 / 0" in said
