"""pcache: automatic memoization of unmodified Linux programs."""

__version__ = "0.1.0"
