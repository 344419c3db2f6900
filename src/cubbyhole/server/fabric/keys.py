"""The server's own keys for NATS: who signs permissions, and its three logins, one for each account.

``SYS`` sees connections and ends them, ``AUTH`` answers who may connect, ``LOCK`` is where banks and server talk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cubbyhole.protocol.fabric.nkey import ACCOUNT, USER, Nkey


@dataclass(frozen=True, slots=True)
class FabricKeys:
    """``issuer`` signs what a controller may do; the others are users."""

    issuer: Nkey
    auth: Nkey
    system: Nkey
    server: Nkey


def load_or_make(folder: Path) -> FabricKeys:
    """The keys in ``folder`` (mode 0600), made at first use. Raises BadNkey for a damaged file."""
    return FabricKeys(
        issuer=Nkey.load_or_make(folder / "issuer.nk", ACCOUNT),
        auth=Nkey.load_or_make(folder / "auth.nk", USER),
        system=Nkey.load_or_make(folder / "system.nk", USER),
        server=Nkey.load_or_make(folder / "server.nk", USER),
    )
