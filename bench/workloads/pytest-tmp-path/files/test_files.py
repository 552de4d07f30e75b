import subprocess
from pathlib import Path


def test_write(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n")
    assert (tmp_path / "a").read_text() == "1\n"


def test_program(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("2\n")
    done = subprocess.run(["cat", tmp_path / "b"], capture_output=True, check=False)
    assert done.stdout == b"2\n"
