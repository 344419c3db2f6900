"""The one-time link with which the owner signs in first: kept as a hash, good once, printed at the first start."""

from __future__ import annotations

from cubbyhole.server.persistence.unit import UnitOfWork


def first_link(work: UnitOfWork) -> str | None:
    """A new token for ``/owner/<token>`` where no owner has signed in yet; earlier ones end. None where one has."""
    raise NotImplementedError
