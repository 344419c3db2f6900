"""Whether the server can do its work: for load balancers, container platforms and people."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from cubbyhole.server.persistence.unit import Store


class Readiness:
    """``checks`` name what else must hold, each a cheap question; ``hints`` what somebody should look after anyway."""

    def __init__(
        self, store: Store, checks: dict[str, Callable[[], bool]], hints: Callable[[], list[str]] = list
    ) -> None:
        self._store, self._checks, self._hints = store, checks, hints

    def report(self) -> dict[str, bool]:
        found = {"database": self._database()}
        for name, check in self._checks.items():
            found[name] = check()
        return found

    def hints(self) -> list[str]:
        """None of them makes the server less ready; none can be found where the database is away."""
        try:
            return self._hints()
        except SQLAlchemyError:
            return []

    def _database(self) -> bool:
        try:
            with self._store.read() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True
