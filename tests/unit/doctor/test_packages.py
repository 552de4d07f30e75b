"""Libraries and Python packages that are missing, broken or others of the same name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pcache.doctor import packages


def test_missing_bcc() -> None:
    program = (
        "import pcache.probes.resources as r; r.SYSTEM_PACKAGES = '/nonexistent'\n"
        "from pcache.doctor.packages import bcc_module; x = bcc_module()\n"
        "print(x.status, x.reason, x.remedy)\n"
    )
    # Isolated and without site-packages there is no other place where bcc could come from.
    program = f"import sys; sys.path.append({os.getcwd()!r})\n{program}"
    command = ["/usr/bin/python3", "-ISc", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("fail cannot import bcc: No module named 'bcc'")
    assert done.stdout.endswith("sudo apt-get install python3-bpfcc\n")


def test_impostor_of_bcc(tmp_path: Path) -> None:
    (tmp_path / "bcc").mkdir()
    (tmp_path / "bcc/__init__.py").write_text("def compile_business_cards(): ...\n")
    program = (
        "from pcache.doctor.packages import bcc_module; x = bcc_module()\n"
        "print(x.status, x.reason, x.remedy)\n"
    )
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.getcwd()}"}
    command = ["/usr/bin/python3", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert f"fail the module bcc in {tmp_path}/bcc/__init__.py is not the BPF" in done.stdout
    assert "pip uninstall bcc" in done.stdout


def test_missing_libseccomp() -> None:
    result = packages.libseccomp("libseccomp-none.so.2")
    assert (result.status, result.remedy) == ("fail", "sudo apt-get install libseccomp2")
    # A library that is there and is not libseccomp.
    assert packages.libseccomp("libc.so.6").status == "fail"


def test_missing_and_broken_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = packages.python_package("pcache_no_such_package")
    assert (result.status, "make install" in result.remedy) == ("fail", True)
    (tmp_path / "pcache_broken_package.py").write_text("raise RuntimeError('no libseccomp')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "no libseccomp" in packages.python_package("pcache_broken_package").reason
