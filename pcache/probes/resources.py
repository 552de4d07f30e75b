"""The way to the system's own Python packages."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"
"""Where Debian puts Python modules: the one place where the real bcc comes from."""


def import_bcc() -> ModuleType:
    """BCC's module, which only the system's package manager can supply.

    Set BCC_KERNEL_SOURCE before.  Raises EnvironmentProblem when it is missing or when something
    else is called bcc: the package of that name on PyPI is unrelated.
    """
    from pcache.errors import EnvironmentProblem

    remedy = "sudo apt-get install python3-bpfcc"
    if SYSTEM_PACKAGES not in sys.path:
        sys.path.append(SYSTEM_PACKAGES)
    try:
        import bcc
    except ImportError as error:
        raise EnvironmentProblem(f"cannot import bcc: {error}", remedy) from error
    if not hasattr(bcc, "BPF") or not hasattr(bcc, "lib"):
        raise EnvironmentProblem(
            f"the module bcc in {bcc.__file__} is not the BPF Compiler Collection",
            "python3 -m pip uninstall bcc; sudo apt-get install python3-bpfcc",
        )
    module: ModuleType = bcc
    return module
