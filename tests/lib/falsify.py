"""Records that lie."""

from __future__ import annotations

import os
from pathlib import Path

from pcache.model import Outcome
from pcache.store.index import Store
from pcache.store.records import pack_outcome, unpack_outcome


def falsify(cache: Path, argv: tuple[bytes, ...], outcome: Outcome) -> None:
    """Puts another outcome in place of the one that is stored for a command: its status, outputs
    and data, where they are given."""
    with Store.open(os.fsencode(cache / "pcache")) as store:
        changed = 0
        rows = store.database.rows("SELECT strong, weak, outcome FROM outcomes")
        for strong, weak, packed in rows:
            call = store.call(weak)
            assert call is not None
            if call.argv == argv:
                was = unpack_outcome(strong, packed)
                fields = {name: getattr(was, name) for name in Outcome.__slots__}
                given = {name: getattr(outcome, name) for name in ("status", "outputs", "data")}
                fields |= {name: value for name, value in given.items() if value}
                store.database.change(
                    "UPDATE outcomes SET outcome = ? WHERE strong = ?",
                    (pack_outcome(strong, Outcome(**fields)), strong),
                )
                changed += 1
        assert changed == 1
