"""Renewing with one tap in the mail that says when a locker ends: for its holder, without a sign-in."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from cubbyhole.server.banks.wording import hint_for_reason, words_for_reason
from cubbyhole.server.mine.commands import OwnLockers
from cubbyhole.server.mine.queries import Mine, Persons
from cubbyhole.server.notices.links import LinkSpent, Purpose
from cubbyhole.server.notices.taps import Answer, Question, Taps
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.tables import assignments
from cubbyhole.server.persistence.unit import Store
from cubbyhole.ui.words import Words


@dataclass(frozen=True, slots=True)
class _Meant:
    person: str
    mine: Mine


class RenewalByMail:
    """``subject`` is ``<assignment>@<ends_ms>``: a link for an end that has moved meanwhile is spent."""

    def __init__(self, store: Store, pool: WorkPool, own: OwnLockers) -> None:
        self._store, self._pool, self._own = store, pool, own

    def join(self, taps: Taps) -> None:
        taps.on(Purpose.RENEW, self.ask, self.act)

    def ask(self, subject: str, words: Words) -> Question:
        """What the link would do now. Raises LinkSpent."""
        mine = self._meant(subject).mine
        locker, until = self._of(mine, words)
        return Question(
            words.t("one_tap.renew", locker=locker), words.t("one_tap.renew.ends", locker=locker, until=until),
            words.t("one_tap.renew.button", locker=locker),
        )  # fmt: skip

    async def act(self, subject: str, words: Words) -> Answer:
        """Renew it. Raises LinkSpent."""
        meant = await self._pool.run(self._meant, subject)
        result = await self._own.renew(meant.person, meant.mine.assignment)
        locker, _ = self._of(meant.mine, words)
        if result.outcome == "refused":
            why = f"{words_for_reason(result.why, words)}. {hint_for_reason(result.why, words)}"
            return Answer(words.t("one_tap.renew.refused", locker=locker), why)
        if result.outcome != "done":
            return Answer(words.t("one_tap.renew.requested", locker=locker), words.t("one_tap.renew.requested.why"))
        now = await self._pool.run(self._mine, meant.person, meant.mine.assignment)
        _, until = self._of(now or meant.mine, words)
        return Answer(
            words.t("one_tap.renew.done", locker=locker), words.t("one_tap.renew.done.until", until=until)
        )  # fmt: skip

    def _meant(self, subject: str) -> _Meant:
        assignment, _, ends_ms = subject.partition("@")
        with self._store.read() as connection:
            query = select(assignments.c.person).where(assignments.c.assignment == assignment)
            person = connection.execute(query).scalar()
        mine = self._mine(person, assignment) if person is not None else None
        if person is None or mine is None or str(mine.ends_ms) != ends_ms:
            raise LinkSpent("what it was for has changed")
        return _Meant(person, mine)

    def _mine(self, person: str, assignment: str) -> Mine | None:
        with self._store.read() as connection:
            found = Persons(connection, person, self._store.now_ms()).locker(assignment)
        return found if found is not None and found.holder is None else None

    def _of(self, mine: Mine, words: Words) -> tuple[str, str]:
        until = words.until(mine.ends_ms, self._store.now_ms()) if mine.ends_ms is not None else ""
        return f"{mine.bank}-{mine.number}", until
