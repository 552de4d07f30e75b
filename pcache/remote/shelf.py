"""What a shared store must be able to do: the interface behind which engines stand.

A path set is found by the call, an outcome by call and state of the inputs, a content by itself, a
manifest by the command.  Nothing is ever changed or deleted: who adds what is there already adds
nothing.  `docs/remote.md` has how this maps to the Remote Execution API.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from pcache.remote.names import Name

    class Shelf(Protocol):
        """Every method raises Unreachable or Forbidden; any thread may call them."""

        def path_sets(self, call: Name) -> list[bytes]:
            """Signed path sets of a call: a few, those added last first."""

        def outcome(self, state: Name) -> bytes | None:
            """The signed outcome for a call and the state of its inputs."""

        def manifests(self, command: Name) -> list[bytes]:
            """Signed manifests of a command: a few, those added last first."""

        def content(self, name: Name, size: int, write: Callable[[memoryview], None]) -> bool:
            """Gives `write` the pieces of a content of that size, and no more, not verified;
            False if it is not there in that size."""

        def has_content(self, name: Name, size: int) -> bool:
            """Whether it is there, in that size."""

        def add_content(self, name: Name, content: bytes | int) -> None:
            """`content`: bytes, or the descriptor of a file."""

        def add_path_set(self, call: Name, path_set: Name, signed: bytes) -> None: ...

        def add_outcome(self, state: Name, signed: bytes) -> None: ...

        def add_manifest(self, command: Name, signed: bytes) -> None: ...
