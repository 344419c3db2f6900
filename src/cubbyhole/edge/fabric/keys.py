"""The controller's own keys, made on it and never leaving it: one to log in with, one to sign the journal with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cubbyhole.protocol import signing
from cubbyhole.protocol.fabric import nkey

NKEY_FILE = "controller.nk"
JOURNAL_KEY_FILE = "journal.key"


@dataclass(frozen=True, slots=True)
class ControllerKeys:
    """``login`` is the user nkey for the fabric; ``journal`` signs journal heads."""

    login: nkey.Nkey
    journal: Ed25519PrivateKey

    @property
    def journal_public(self) -> str:
        """The journal's public key, raw, standard base64."""
        return signing.public_text(self.journal)


def load_or_make(folder: Path) -> ControllerKeys:
    """The keys in ``folder`` (mode 0600), made at first use. Raises BadNkey or UnusableKey for a damaged file."""
    return ControllerKeys(
        login=nkey.Nkey.load_or_make(folder / NKEY_FILE, nkey.USER),
        journal=signing.load_or_make(folder / JOURNAL_KEY_FILE),
    )
