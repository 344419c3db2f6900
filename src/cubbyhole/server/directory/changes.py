"""Changing the directory: every changed row gets the version of its transaction, in commit order.

Callers make their change between `remember_*` and `record`:

    changes = DirectoryChanges(work)
    changes.touch_people([...]) before changing, then change, then changes.commit_people()
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, delete, insert, select, update

from cubbyhole.domain.directory import row_weight
from cubbyhole.domain.rules import Rule
from cubbyhole.server.directory.rows import (
    credential_state,
    people_by_name,
    person_rows,
    rule_body,
    rule_from,
    weight_text,
)
from cubbyhole.server.persistence.tables import credentials, directory_changes, people, rules
from cubbyhole.server.persistence.unit import DIRECTORY, UnitOfWork

# A version is what a bank pulls at least at once, so a large import is cut into several.
ROWS_PER_VERSION = 2000


class DirectoryChanges:
    """The changes of one unit of work. Versions are taken under the counter's lock, which lasts to the commit."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._version = 0
        self._rows_in_version = 0
        self._people: dict[str, str | None] = {}
        self._credentials: dict[str, str | None] = {}

    @property
    def version(self) -> int:
        """The newest version that this transaction made; 0 where it made none."""
        return self._version

    def begin(self) -> None:
        """Keep everybody else from changing the directory, to the end of the transaction."""
        self._lock()

    # -- people -------------------------------------------------------------------------------------------------

    def before_people(self, names: Sequence[str]) -> None:
        """Call before people or their groups change."""
        self._lock()
        known = people_by_name(self._work.connection, names)
        weights = {
            r.person: weight_text(row_weight(r)) for r in person_rows(self._work.connection, list(known.values()))
        }
        for name in names:
            self._people.setdefault(name, weights.get(name))

    def after_people(self) -> int:
        """Call once they have changed; how many rows are different now."""
        connection = self._work.connection
        rows = list(people_by_name(connection, list(self._people)).values())
        now = {r.person: weight_text(row_weight(r)) for r in person_rows(connection, rows)}
        changed = [(name, old, now.get(name)) for name, old in self._people.items() if old != now.get(name)]
        for name, old, new in changed:
            version = self._next()
            connection.execute(update(people).where(people.c.person == name).values(version=version))
            self._note(version, "person", name, old, new)
        self._people.clear()
        return len(changed)

    # -- credentials --------------------------------------------------------------------------------------------

    def before_credentials(self, names: Sequence[str]) -> None:
        """Call before credentials are made, blocked or removed."""
        self._lock()
        for name in names:
            self._credentials.setdefault(name, credential_state(self._credential(name)))

    def after_credentials(self) -> int:
        """Call once they have changed; how many are different now."""
        count = 0
        for name, old in self._credentials.items():
            new = credential_state(self._credential(name))
            if new == old:
                continue
            version = self._next()
            self._work.connection.execute(
                update(credentials).where(credentials.c.credential == name).values(version=version)
            )
            self._note(version, "credential", name, old, new)
            count += 1
        self._credentials.clear()
        return count

    # -- rules --------------------------------------------------------------------------------------------------

    def put_rule(self, rule: Rule) -> bool:
        """Write a rule; False where it says what it said before."""
        self._lock()
        connection = self._work.connection
        old = connection.execute(select(rules.c.body).where(rules.c.rule == rule.rule)).scalar()
        if old is not None and rule_from(old) == rule:
            return False
        version = self._next()
        if old is None:
            connection.execute(insert(rules).values(rule=rule.rule, body=rule_body(rule), version=version))
        else:
            connection.execute(
                update(rules).where(rules.c.rule == rule.rule).values(body=rule_body(rule), version=version)
            )
        before = None if old is None else weight_text(row_weight(rule_from(old)))
        self._note(version, "rule", rule.rule, before, weight_text(row_weight(rule)))
        return True

    def remove_rule(self, rule: str) -> bool:
        """Remove a rule; False where there is none."""
        self._lock()
        connection = self._work.connection
        old = connection.execute(select(rules.c.body).where(rules.c.rule == rule)).scalar()
        if old is None:
            return False
        connection.execute(delete(rules).where(rules.c.rule == rule))
        self._note(self._next(), "rule", rule, weight_text(row_weight(rule_from(old))), None)
        return True

    # -- inside -------------------------------------------------------------------------------------------------

    def _lock(self) -> None:
        # Taken before anything is read, so that no other change can come between `before` and `after`.
        if self._version == 0:
            self._version = self._work.take(DIRECTORY)

    def _next(self) -> int:
        self._rows_in_version += 1
        if self._rows_in_version > ROWS_PER_VERSION:
            self._version, self._rows_in_version = self._work.take(DIRECTORY), 1
        return self._version

    def _credential(self, name: str) -> RowMapping | None:
        query = select(credentials).where(credentials.c.credential == name)
        return self._work.connection.execute(query).mappings().one_or_none()

    def _note(self, version: int, kind: str, key: str, before: str | None, after: str | None) -> None:
        self._work.connection.execute(
            insert(directory_changes).values(version=version, kind=kind, key=key, before=before, after=after)
        )
