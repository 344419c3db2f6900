"""Keys on the disk, signatures, digests and commitments."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from cubbyhole.protocol.digest import commitment, credential_digest, unknown_credential
from cubbyhole.protocol.signing import UnusableKey, is_signed, load_or_make, parse_public, public_text, sign

KEY = Ed25519PrivateKey.from_private_bytes(b"s" * 32)


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "journal.key"
    first = load_or_make(path)
    assert public_text(load_or_make(path)) == public_text(first)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", [b"", b"half", b"\xff\xfe", base64.b64encode(b"short")])
def test_a_damaged_key_file_is_never_replaced_by_a_new_key(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "journal.key"
    path.write_bytes(damage)
    with pytest.raises(UnusableKey, match=r"journal\.key"):
        load_or_make(path)
    assert path.read_bytes() == damage


@given(st.text(max_size=100))
def test_any_text_is_no_signature_and_no_key(text: str) -> None:
    assert not is_signed(KEY.public_key(), b"head", text)
    if text.strip() != public_text(KEY):
        try:
            parse_public(text)
        except UnusableKey:
            return
        assert len(base64.b64decode(text)) == 32


def test_a_signature_is_for_one_text_and_one_key() -> None:
    signature = sign(KEY, b"head")
    assert is_signed(parse_public(public_text(KEY)), b"head", signature)
    assert not is_signed(KEY.public_key(), b"heae", signature)
    assert not is_signed(Ed25519PrivateKey.generate().public_key(), b"head", signature)


def test_one_banks_digest_tells_nothing_at_another_bank() -> None:
    badge = "uid:04a2241b"
    assert credential_digest(b"k" * 32, badge) == credential_digest(b"k" * 32, badge)
    assert credential_digest(b"k" * 32, badge) != credential_digest(b"l" * 32, badge)
    assert unknown_credential(b"k" * 32, badge)[2:] not in credential_digest(b"k" * 32, badge)


def test_no_other_salt_and_text_can_be_shown_for_a_commitment() -> None:
    assert commitment(b"s" * 16, "A" + "da") != commitment(b"s" * 16 + b"A", "da")
    with pytest.raises(ValueError, match="salt"):
        commitment(b"short", "ada")
