"""What this machine must offer, tried for real: for `doctor`, and for trace and replay when they
cannot start.

Every probe looks for the thing itself (loads a program, installs a filter, seizes a process)
rather than for a version, wherever trying is harmless.
"""

from __future__ import annotations

from pcache.doctor import kernel, packages, place, remote, store, supervision
from pcache.doctor.result import FAIL, REPLAY, SHARE, TRACE, Check
from pcache.errors import EnvironmentProblem


def all_checks() -> list[Check]:
    """Every check, in the order in which a person would mend them."""
    both = (TRACE, REPLAY)
    return [
        Check("place", both, place.place),
        Check("kernel", both, kernel.kernel),
        Check("kernel type information (BTF)", (TRACE,), kernel.btf),
        Check("BPF privilege", (TRACE,), kernel.bpf_privilege),
        Check("recorder's service", (TRACE,), place.service),
        Check("BCC", (TRACE,), packages.bcc_module),
        Check("libseccomp", (REPLAY,), packages.libseccomp),
        Check("pyseccomp", (REPLAY,), lambda: packages.python_package("pyseccomp")),
        Check("xxhash", both, lambda: packages.python_package("xxhash")),
        Check("seccomp notification", (REPLAY,), supervision.seccomp_notification),
        Check("ptrace", (REPLAY,), supervision.ptrace),
        Check("store", both, store.store),
        Check("shared store", (SHARE,), remote.remote),
    ]


def problem(verb: str, cause: str) -> EnvironmentProblem:
    """The error with which `verb` gives up: the first failed check explains it, else `cause`."""
    for check in all_checks():
        if verb in check.needed_for:
            result = check.probe()
            if result.status == FAIL:
                return EnvironmentProblem(f"{check.name}: {result.reason}", result.remedy)
    return EnvironmentProblem(cause, "pcache doctor checks what pcache needs")
