"""Secrets that the server makes: long and random, shown once, kept as a plain SHA-256 that cannot be turned back."""

from __future__ import annotations

import hashlib
import secrets

SECRET_BYTES = 32


def new_secret() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


def secret_hash(purpose: str, secret: str) -> str:
    """What is kept, hex. A hash for one ``purpose`` is worth nothing for another."""
    return hashlib.sha256(f"cubbyhole-{purpose}\0{secret}".encode("utf-8", "surrogatepass")).hexdigest()
