"""The server's authority: made once, kept, renewed, and never silently replaced."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509

from cubbyhole.protocol import signing
from cubbyhole.protocol.fabric.nkey import ACCOUNT, SERVER, USER, BadNkey, Nkey, is_signed_by, public_key
from cubbyhole.server.fabric import authority, jwt, keys


def test_the_authority_stays_the_same_over_restarts_and_its_keys_are_private(tmp_path: Path) -> None:
    first, second = authority.load_or_make(tmp_path), authority.load_or_make(tmp_path)
    assert first.pem == second.pem
    assert first.fingerprint == second.fingerprint
    assert signing.public_text(first.receipt_key) == signing.public_text(second.receipt_key)
    for name in ("authority.key", "fabric.key", "receipt.key"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600, name


def test_the_fabric_certificate_is_renewed_in_time_and_the_authority_is_not(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    first = authority.load_or_make(tmp_path, now=now)
    leaf = first.leaf_path.read_bytes()
    assert authority.load_or_make(tmp_path, now=now + datetime.timedelta(days=300)).leaf_path.read_bytes() == leaf
    later = authority.load_or_make(tmp_path, now=now + datetime.timedelta(days=400))
    assert later.leaf_path.read_bytes() != leaf
    assert later.pem == first.pem


def test_a_new_host_name_gives_a_new_fabric_certificate(tmp_path: Path) -> None:
    authority.load_or_make(tmp_path)
    made = authority.load_or_make(tmp_path, ["lockers.example.org", "192.0.2.7"])
    leaf = x509.load_pem_x509_certificate(made.leaf_path.read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "lockers.example.org" in names.get_values_for_type(x509.DNSName)
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]


def test_a_damaged_fabric_certificate_is_made_anew(tmp_path: Path) -> None:
    authority.load_or_make(tmp_path).leaf_path.write_text("damaged")
    x509.load_pem_x509_certificate(authority.load_or_make(tmp_path).leaf_path.read_bytes())


@pytest.mark.parametrize("name", ["authority.pem", "authority.key"])
def test_half_an_authority_is_never_replaced_silently(tmp_path: Path, name: str) -> None:
    authority.load_or_make(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(authority.AuthorityDamaged, match="backup"):
        authority.load_or_make(tmp_path)


def test_a_key_of_another_authority_is_found_out(tmp_path: Path) -> None:
    authority.load_or_make(tmp_path / "a")
    authority.load_or_make(tmp_path / "b")
    (tmp_path / "a" / "authority.key").write_bytes((tmp_path / "b" / "authority.key").read_bytes())
    with pytest.raises(authority.AuthorityDamaged, match="does not belong"):
        authority.load_or_make(tmp_path / "a")


def test_the_fabric_keys_stay_the_same_over_restarts(tmp_path: Path) -> None:
    first, second = keys.load_or_make(tmp_path), keys.load_or_make(tmp_path)
    assert first.issuer.public == second.issuer.public
    assert len({first.issuer.public, first.auth.public, first.system.public, first.server.public}) == 4
    assert (tmp_path / "issuer.nk").stat().st_mode & 0o777 == 0o600


def test_a_signature_is_checked_with_the_public_key_alone() -> None:
    key, other = Nkey.make(USER), Nkey.make(USER)
    import base64

    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        signature = encode(key.sign(b"nonce")).decode()
        assert is_signed_by(key.public, USER, b"nonce", signature)
        assert is_signed_by(key.public, USER, b"nonce", signature.rstrip("="))
        assert not is_signed_by(key.public, USER, b"other", signature)
        assert not is_signed_by(other.public, USER, b"nonce", signature)
        assert not is_signed_by(key.public, ACCOUNT, b"nonce", signature)


@pytest.mark.parametrize("text", ["", "U" * 56, "%" * 56, "é" * 56, "A" * 55])
def test_what_is_no_public_nkey_is_refused(text: str) -> None:
    with pytest.raises(BadNkey):
        public_key(text, USER)
    assert not is_signed_by(text, USER, b"", "AA==")


def test_a_token_is_believed_only_with_the_signature_of_its_issuer() -> None:
    key = Nkey.make(ACCOUNT)
    token = jwt.signed({"nats": {"a": 1}}, key, 1_700_000_000)
    assert jwt.verified(token, ACCOUNT)["nats"] == {"a": 1}
    header, body, signature = token.split(".")
    for forged in (f"{header}.{body}A.{signature}", f"{header}.{body}.{signature[:-4]}AAAA", "", "a.b.c", "." * 5):
        with pytest.raises(jwt.BadToken):
            jwt.verified(forged, ACCOUNT)
    with pytest.raises(jwt.BadToken):
        jwt.verified(token, SERVER)
