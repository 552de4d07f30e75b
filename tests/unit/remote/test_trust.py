"""Signatures: only what somebody believed has signed, for that purpose, unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcache.codec import pack, unpack
from pcache.remote.errors import RemoteError, Untrusted
from pcache.remote.trust import (
    MANIFEST,
    OUTCOME,
    Signer,
    Trust,
    find_signer,
    new_secret,
    public_text,
)


@pytest.fixture
def signer() -> Signer:
    return Signer(new_secret())


def test_signed(signer: Signer) -> None:
    trust = Trust([public_text(signer.public)])
    assert trust.opened(OUTCOME, signer.sign(OUTCOME, b"data")) == b"data"


def test_refused(signer: Signer) -> None:
    trust = Trust([public_text(signer.public)])
    good = signer.sign(OUTCOME, b"data")
    kind, public, signature, data = unpack(good)
    other = Signer(new_secret())
    for bad in (
        b"",
        b"rubbish",
        pack([]),
        signer.sign(MANIFEST, b"data"),
        other.sign(OUTCOME, b"data"),
        pack([kind, public, signature, b"datb"]),
        pack([kind, public, bytes(64), data]),
        pack([kind, public, b"short", data]),
        pack([kind, public, signature[:-1], data]),
        pack([kind, public, signature + kind[:1], data]),
        pack([kind, public + b"\0", signature, data]),
        pack([kind, b"", signature, data]),
        pack([kind, other.public, signature, data]),
        pack([MANIFEST, public, signature, data]),
    ):
        with pytest.raises(Untrusted):
            trust.opened(OUTCOME, bad)


def test_key_that_is_none(signer: Signer) -> None:
    """In the settings, by mistake: it lets nobody in."""
    trust = Trust([b"ed25519:"])
    kind, _, signature, data = unpack(signer.sign(OUTCOME, b"data"))
    with pytest.raises(Untrusted):
        trust.opened(OUTCOME, pack([kind, b"", signature, data]))


def test_nobody_is_trusted(signer: Signer) -> None:
    trust = Trust([])
    assert not trust
    with pytest.raises(Untrusted):
        trust.opened(OUTCOME, signer.sign(OUTCOME, b"data"))
    trust.add(signer.public)
    assert trust.opened(OUTCOME, signer.sign(OUTCOME, b"data")) == b"data"


def test_finding_a_key(tmp_path: Path) -> None:
    file = tmp_path / "key"
    path = bytes(file)
    assert find_signer(path, {}) is None
    assert find_signer(b"", {}) is None
    secret = new_secret()
    file.write_bytes(secret)
    file.chmod(0o640)
    with pytest.raises(RemoteError, match="others may read"):
        find_signer(path, {})
    file.chmod(0o600)
    found = find_signer(path, {})
    assert found is not None and found.public == Signer(secret).public
    other = new_secret()
    found = find_signer(path, {b"PCACHE_SIGNING_KEY": other.strip()})
    assert found is not None and found.public == Signer(other).public
    for text in (b"no key", b"ed25519-secret:", b"ed25519-secret:AAAA", b"ed25519-secret:????"):
        with pytest.raises(RemoteError):
            Signer(text)
