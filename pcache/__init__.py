"""pcache: automatic memoization of unmodified Linux programs.

`run`, `trace`, `replay`, `lookup`, `sessions`, `Session`, `Completed`, `Lookup` and `Failed` are
those of `pcache.api` (docs/api.md), which is loaded when one is asked for: a hit needs none of it.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.api import (
        Completed,
        Failed,
        Lookup,
        Session,
        lookup,
        replay,
        run,
        sessions,
        trace,
    )

__all__ = [
    "Completed",
    "Failed",
    "Lookup",
    "Session",
    "lookup",
    "replay",
    "run",
    "sessions",
    "trace",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        from pcache import api

        return getattr(api, name)
    raise AttributeError(f"module 'pcache' has no attribute {name!r}")
