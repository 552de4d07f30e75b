"""The options of the verbs that record, `trace` and `run`."""

from __future__ import annotations

from pcache.cli.options import PROGRESS_OPTIONS, progress_of
from pcache.cli.sandbox import OPTIONS as SANDBOX_OPTIONS
from pcache.cli.sandbox import sandbox_of
from pcache.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pcache.session.steps.options import Options

OPTIONS = {
    "-q": "quiet",
    "--quiet": "quiet",
    "-v": "explain",
    "--explain": "explain",
    "--verbose": "explain",
    "--as-root": "as-root",
    "--must-record": "must-record",
    "--ring-size": "ring-size=",
    "--timing": "timing",
    "--json": "json=",
    **PROGRESS_OPTIONS,
    **SANDBOX_OPTIONS,
}
DEFAULT_RING_BYTES = 128 << 20  # so that 100 MB of output fit while the disk is slow


def recording_options(options: Mapping[str, str | bool]) -> Options:
    """What was asked for but the size of the ring.  Raises UsageError."""
    from pcache.session.steps.options import Options

    json = options.get("json")
    return Options(
        as_root=bool(options.get("as-root")),
        quiet=bool(options.get("quiet")),
        explain=bool(options.get("explain")),
        json=None if json is None else str(json),
        sandbox=sandbox_of(options),
        timing=bool(options.get("timing")),
        progress=progress_of(options),
        must_record=bool(options.get("must-record")),
    )


def ring_bytes(options: Mapping[str, str | bool]) -> int:
    """The size that --ring-size asks for: MiB, or KiB with a final K.  Raises UsageError."""
    if "ring-size" not in options:
        return DEFAULT_RING_BYTES
    text = str(options["ring-size"])
    unit, number = (1 << 10, text[:-1]) if text.endswith("K") else (1 << 20, text)
    size = int(number) * unit if number.isdigit() else 0
    if size < 4096 or size & (size - 1) or size > 1 << 30:
        raise UsageError(f"--ring-size {text}: a power of two from 4K to 1024 (MiB)")
    return size
