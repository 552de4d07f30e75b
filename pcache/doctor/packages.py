"""Libraries and Python packages."""

from __future__ import annotations

import ctypes
import importlib
import os

from pcache.doctor.result import FAIL, OK, Result
from pcache.errors import PcacheError
from pcache.probes.resources import import_bcc


def bcc_module() -> Result:
    """BCC's Python module, the real one."""
    try:
        module = import_bcc()
    except PcacheError as error:
        return Result(FAIL, str(error), error.remedy)
    version = getattr(module, "__version__", "of unknown version")
    return Result(OK, f"BCC {version}, {os.path.dirname(module.__file__ or '')}")


def libseccomp(name: str = "libseccomp.so.2") -> Result:
    """The library that pyseccomp loads."""
    remedy = "sudo apt-get install libseccomp2"
    try:
        library = ctypes.CDLL(name)
        library.seccomp_version.restype = ctypes.POINTER(ctypes.c_uint * 3)
        version = ".".join(map(str, library.seccomp_version().contents))
    except (OSError, AttributeError) as error:
        return Result(FAIL, f"cannot load {name}: {error}", remedy)
    return Result(OK, f"libseccomp {version}")


def python_package(name: str) -> Result:
    """Whether one of the packages that pcache depends on can be imported."""
    try:
        module = importlib.import_module(name)
    except Exception as error:
        # Not only ImportError: pyseccomp raises RuntimeError without libseccomp.
        return Result(
            FAIL, f"cannot import {name}: {error}", "make install  (in pcache's source directory)"
        )
    version = getattr(module, "__version__", None) or getattr(module, "VERSION", "")
    return Result(OK, f"{name} {version}".rstrip())
