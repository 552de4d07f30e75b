"""An empty store is made without waiting for the disk: nothing can be lost of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import CHECKOUT

MADE = """
import os
from pcache.counters import Counters
from pcache.remote.evaluation import strong_digests
from pcache.remote.known import Known
from pcache.store.index import Store

store = Store.open({path!r})
strong = strong_digests(store)
for digests in (store.digests, strong):
    digests.file_digest(b"/bin/sh", os.stat("/bin/sh"))
known = Known(store.directory, b"file:///nowhere")
known.note_pushed(b"c", bytes(32))
known.close()
strong.close()
store.close()
"""


def test_made_without_waiting(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    subprocess.run(
        ["strace", "-f", "-e", "trace=fsync,fdatasync,sync_file_range,syncfs,sync", "-o", trace,
         sys.executable, "-c", MADE.format(path=bytes(tmp_path / "store"))],
        cwd=CHECKOUT, check=True,
    )  # fmt: skip
    # Once for each of the three databases, as it is closed; making them took two dozen.
    assert trace.read_text().count("sync(") <= 3
    assert (tmp_path / "store/index.db").stat().st_size
