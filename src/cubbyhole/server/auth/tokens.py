"""Bearer tokens for programs: ``cbh_<name>_<secret>``, shown once, kept as a hash, with scopes."""

from __future__ import annotations

from collections.abc import Iterable

from cubbyhole.server.auth.roles import Scope
from cubbyhole.server.persistence.unit import UnitOfWork


def create(work: UnitOfWork, title: str, scopes: Iterable[Scope], actor: str) -> str:
    """Make a token and return it; it cannot be read again."""
    raise NotImplementedError
