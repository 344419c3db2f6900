"""The server's authority: the certificate authority that banks trust, the fabric's own certificate, and the key that
countersigns journals. Made at first start, kept in the data folder; whoever has these files is the server.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cubbyhole.protocol import signing
from cubbyhole.protocol.enrolment import fingerprint_of
from cubbyhole.protocol.fabric.keyfile import write_key_file
from cubbyhole.protocol.fabric.login import FABRIC_TLS_NAME
from cubbyhole.protocol.fabric.transport import trust_only

AUTHORITY_YEARS = 30
LEAF_DAYS = 730
LEAF_RENEW_BEFORE_DAYS = 365

_DAY = datetime.timedelta(days=1)


class AuthorityDamaged(Exception):
    """A file of the authority is missing or unusable while others exist; the message says what to do."""


class Authority:
    """``load_or_make`` gives one. ``pem`` is public; ``leaf_path`` and ``leaf_key_path`` are for nats-server."""

    def __init__(self, folder: Path, certificate: x509.Certificate, receipt_key: Ed25519PrivateKey) -> None:
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.fingerprint = fingerprint_of(certificate.public_bytes(serialization.Encoding.DER))
        self.receipt_key = receipt_key
        self.pem_path = folder / "authority.pem"
        self.leaf_path = folder / "fabric.pem"
        self.leaf_key_path = folder / "fabric.key"

    def trust(self) -> ssl.SSLContext:
        """A client context that trusts this authority and nothing else."""
        return trust_only(self.pem, at_any_time=False)


def load_or_make(folder: Path, names: Sequence[str] = (), *, now: datetime.datetime | None = None) -> Authority:
    """The authority in ``folder``, made there at first use; its fabric certificate is renewed when half of it is over.

    ``names`` are further host names or addresses for the certificate; banks do not need them, they go by a fixed name.
    Raises AuthorityDamaged.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    ca_path, ca_key_path = folder / "authority.pem", folder / "authority.key"
    if ca_path.exists() != ca_key_path.exists():
        raise AuthorityDamaged(
            f"{folder} holds only half of the authority. Restore authority.pem and authority.key from the backup;"
            " a new authority would mean to enrol every controller again."
        )
    if not ca_path.exists():
        _make_authority(ca_path, ca_key_path, now)
    try:
        certificate = x509.load_pem_x509_certificate(ca_path.read_bytes())
        key = serialization.load_pem_private_key(ca_key_path.read_bytes(), password=None)
    except ValueError as error:
        raise AuthorityDamaged(
            f"the authority in {folder} cannot be read ({error}); restore it from the backup"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise AuthorityDamaged(f"{ca_key_path} does not belong to {ca_path}; restore both from the same backup")
    authority = Authority(folder, certificate, signing.load_or_make(folder / "receipt.key"))
    wanted = _alternative_names(names)
    if not _still_good(authority.leaf_path, authority.leaf_key_path, certificate, wanted, now):
        _make_leaf(authority, certificate, key, wanted, now)
    return authority


def _make_authority(path: Path, key_path: Path, now: datetime.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Cubbyhole authority")])
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)  # signs certificates, CRLs
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + 365 * AUTHORITY_YEARS * _DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    # The key last: a crash in between is told apart from an authority that lost its key, and named above.
    write_key_file(path, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    write_key_file(key_path, _private_pem(key))


def _make_leaf(
    authority: Authority,
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    names: x509.SubjectAlternativeName,
    now: datetime.datetime,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, FABRIC_TLS_NAME)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + LEAF_DAYS * _DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    write_key_file(authority.leaf_key_path, _private_pem(key))
    write_key_file(authority.leaf_path, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _still_good(
    path: Path,
    key_path: Path,
    issuer: x509.Certificate,
    names: x509.SubjectAlternativeName,
    now: datetime.datetime,
) -> bool:
    try:
        leaf = x509.load_pem_x509_certificate(path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        leaf.verify_directly_issued_by(issuer)
        present = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (
        OSError,
        ValueError,
        TypeError,
        InvalidSignature,
        x509.ExtensionNotFound,
    ):  # whatever is wrong with a leaf, a new one is the answer
        return False
    fresh = leaf.not_valid_after_utc - now > LEAF_RENEW_BEFORE_DAYS * _DAY
    return fresh and set(names) <= set(present) and key.public_key() == leaf.public_key()


def _alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    found: list[x509.GeneralName] = [x509.DNSName(FABRIC_TLS_NAME), x509.DNSName("localhost")]
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return x509.SubjectAlternativeName(found)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
