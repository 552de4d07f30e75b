"""The options about the sandbox, which all verbs that run a command share."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pcache.enforce.sandbox import Sandbox

OPTIONS = {
    "--allow": "allow=",
    "--deny": "deny=",
    "--no-network": "no-network",
    "--deterministic": "deterministic",
}

HELP = """\
sandbox:
      --allow LIST       let the command use these features (separated by commas):
      --deny LIST        make these fail, so that programs do without:
                         io_uring  cannot be observed: denied unless allowed
                         network   sockets other than unix ones, as on a machine without network
                         ptrace    tracing of other processes (strace, gdb, leak checkers)
                         32-bit    32-bit and x32 system calls
      --no-network       --deny network
      --deterministic    the same for every run: umask 022, TZ=UTC, LC_ALL=C.UTF-8, no address
                         randomisation, getrandom(2) from a seed, and, unless they are set,
                         SOURCE_DATE_EPOCH=315532800 and PYTHONHASHSEED=0; clocks are as ever
  What was recorded under other options of this group than the present ones is not replayed.
  It is no boundary against programs that mean harm.
"""


def sandbox_of(options: Mapping[str, str | bool]) -> Sandbox | None:
    """The sandbox that was asked for; None for the default.  Raises UsageError."""
    if not {"allow", "deny", "no-network", "deterministic"} & options.keys():
        return None
    from pcache.enforce.sandbox import NETWORK, Sandbox

    deny = _names(options.get("deny"))
    if options.get("no-network"):
        deny.append(NETWORK)
    return Sandbox.choose(_names(options.get("allow")), deny, bool(options.get("deterministic")))


def _names(value: str | bool | None) -> list[str]:
    return [name for name in str(value or "").split(",") if name]
