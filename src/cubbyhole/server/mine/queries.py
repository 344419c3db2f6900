"""What somebody has, what is shared with them, and which lockers they could get now, the best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, or_, select

from cubbyhole.domain.bank import BankState
from cubbyhole.domain.case import Case, offline_for_ms
from cubbyhole.domain.choosing import Candidate, Choice, Wish, rank
from cubbyhole.domain.directory import Directory, PersonRow
from cubbyhole.domain.giving import why_not_given
from cubbyhole.domain.keeping import renewal
from cubbyhole.domain.moment import Moment
from cubbyhole.domain.rules import Effective
from cubbyhole.domain.vocabulary import Mode, Reason
from cubbyhole.protocol.journal import decode_state
from cubbyhole.server.directory.calendar import calendar_for
from cubbyhole.server.directory.rows import groups_of, person_rows
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.rules.queries import kept_rules

BANKS_MOST = 40  # that are looked at for one answer; the nearest first


@dataclass(frozen=True, slots=True)
class ShareOf:
    """Somebody, or a group, that may open a locker too."""

    share: str
    person: str | None
    name: str | None
    group: str | None
    until_ms: int | None
    once: bool


@dataclass(frozen=True, slots=True)
class Mine:
    """A locker that somebody has, or may open because its holder shares it (``holder`` is their name then).

    ``renewable`` None: it could be renewed now, else why not.
    """

    bank: str
    number: str
    label: str
    area: str
    site: str
    size: str
    features: tuple[str, ...]
    door: str
    assignment: str
    mode: str
    since_ms: int
    ends_ms: int | None
    hold_until_ms: int | None
    out_of_service: str | None
    renewable: Reason | None
    remote_open: bool
    sharing: bool
    shares: tuple[ShareOf, ...]
    holder: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A locker that the person could get, and what it would be."""

    bank: str
    number: str
    choice: Choice
    mode: Mode
    rules: Effective


@dataclass(frozen=True, slots=True)
class Offers:
    """The best first. Without any: the reasons of those that were free but not for this person, the commonest first,
    and by which rule."""

    found: tuple[Offer, ...]
    reasons: tuple[tuple[Reason, str | None], ...]
    free: int


class Persons:
    """One person's side of the server's view, read in one snapshot."""

    def __init__(self, connection: Connection, person: str, now_ms: int) -> None:
        self._connection, self._now_ms = connection, now_ms
        row = connection.execute(select(t.people).where(t.people.c.person == person)).mappings().one_or_none()
        self.row: PersonRow | None = person_rows(connection, [row])[0] if row is not None else None
        self.person = person
        self._directory: Directory | None = None

    @property
    def directory(self) -> Directory:
        """The rules, and of people this one: no decision about them looks at anybody else."""
        if self._directory is None:
            found = Directory(version=1)
            found.rules = {kept.rule.rule: kept.rule for kept in kept_rules(self._connection)}
            if self.row is not None:
                found.people[self.person] = self.row
            zone = self._connection.execute(select(t.sites.c.timezone).where(t.sites.c.site == "")).scalar()
            found.calendar = calendar_for(zone or "UTC", self._now_ms)
            self._directory = found
        return self._directory

    # -- what they have -----------------------------------------------------------------------------------------

    def lockers(self) -> list[Mine]:
        """What the person has, then what is shared with them, each in order of bank and number."""
        c = self._connection
        own = c.execute(_joined().where(t.lockers.c.person == self.person)).mappings().all()
        groups = groups_of(c, [self.person]).get(self.person, [])
        mine = or_(t.shares.c.person == self.person, t.shares.c.group.in_(groups))
        alive = or_(t.shares.c.until_ms.is_(None), t.shares.c.until_ms > self._now_ms)
        named = select(t.shares.c.bank, t.shares.c.number).where(mine, alive).distinct()
        shared: list[RowMapping] = []
        for bank, number in c.execute(named).all():
            query = _joined().where(t.lockers.c.bank == bank, t.lockers.c.number == number)
            shared += c.execute(query).mappings().all()
        return [self._mine(row) for row in own] + [self._mine(row) for row in shared if row["person"] != self.person]

    def locker(self, assignment: str) -> Mine | None:
        """The one locker that the person holds, or may open, by this assignment."""
        return next((found for found in self.lockers() if found.assignment == assignment), None)

    def _mine(self, row: RowMapping) -> Mine:
        state = self._state(row["bank"])
        s = state.lockers[row["number"]]
        a = s.assignment
        is_own = row["person"] == self.person
        renewable: Reason | None = Reason.ASSIGNMENT_CHANGED
        if is_own and a is not None and self.row is not None:
            made = renewal(self._case(state), s, a, self.row)
            renewable = made if isinstance(made, Reason) else None
        rules = self._rules(state, row["number"])
        return Mine(
            bank=row["bank"], number=row["number"], label=row["label"], area=row["area"], site=row["site"],
            size=row["size"], features=tuple(row["features"].split()), door=row["door"], assignment=row["assignment"],
            mode=row["mode"], since_ms=row["since_ms"], ends_ms=row["ends_ms"], hold_until_ms=row["hold_until_ms"],
            out_of_service=row["out_of_service"], renewable=renewable, remote_open=rules.remote_open,
            sharing=rules.sharing, shares=self._shares(row) if is_own else (),
            holder=None if is_own else self._name(row["person"]),
        )  # fmt: skip

    def _shares(self, row: RowMapping) -> tuple[ShareOf, ...]:
        query = select(t.shares).where(t.shares.c.bank == row["bank"], t.shares.c.number == row["number"])
        found = self._connection.execute(query.order_by(t.shares.c.share)).mappings().all()
        return tuple(
            ShareOf(x["share"], x["person"], self._name(x["person"]), x["group"], x["until_ms"], x["once"])
            for x in found
            if x["until_ms"] is None or x["until_ms"] > self._now_ms
        )

    def _name(self, person: str | None) -> str | None:
        if person is None:
            return None
        return self._connection.execute(select(t.people.c.name).where(t.people.c.person == person)).scalar()

    # -- what they could get ------------------------------------------------------------------------------------

    def offers(
        self, wish: Wish, mode: Mode | None = None, *, only: Sequence[str] | None = None, area: str | None = None,
        moving: bool = False,
    ) -> Offers:  # fmt: skip
        """Lockers that are free and may be the person's, the best first: in ``area`` before elsewhere at the site.

        The same decision as at the door; the bank decides again when it is asked. With ``moving`` the limit does not
        count: one is given back for the other.
        """
        if self.row is None:
            return Offers((), (), 0)
        found: dict[tuple[str, str], Offer] = {}
        candidates: list[Candidate] = []
        reasons: dict[tuple[Reason, str | None], int] = {}
        free, held = 0, self._held()
        for bank in self._near(only, area):
            state = self._state(bank["bank"])
            case = self._case(state)
            for s in state.offered():
                free += 1
                rules = self._rules(state, s.number)
                asked = mode or rules.mode
                refused = why_not_given(case, s, self.row, rules, asked)
                if refused is None and held >= rules.max_lockers:
                    # What somebody has at other banks only the server knows; at the door the bank counts its own.
                    refused = Reason.LIMIT_REACHED, rules.by["max_lockers"]
                if refused is not None and not (moving and refused[0] is Reason.LIMIT_REACHED):
                    reasons[refused] = reasons.get(refused, 0) + 1
                    continue
                distance = 0 if area is None or bank["area"] == area else 1
                candidate = Candidate(
                    bank=bank["bank"], number=s.number, size=s.size, features=frozenset(s.features), distance=distance
                )
                candidates.append(candidate)
                found[candidate.bank, candidate.number] = Offer(
                    candidate.bank, candidate.number, Choice(candidate, ()), asked, rules
                )
        ranked = rank(candidates, wish)
        offers = tuple(
            Offer(c.candidate.bank, c.candidate.number, c, was.mode, was.rules)
            for c in ranked
            for was in (found[c.candidate.bank, c.candidate.number],)
        )
        return Offers(offers, tuple(sorted(reasons, key=lambda key: -reasons[key])), free)

    def _held(self) -> int:
        """How many lockers the person has, at all banks together."""
        alive = or_(t.lockers.c.ends_ms.is_(None), t.lockers.c.ends_ms > self._now_ms)
        query = select(func.count()).select_from(t.lockers).where(t.lockers.c.person == self.person, alive)
        return int(self._connection.execute(query).scalar_one())

    def _near(self, only: Sequence[str] | None, area: str | None) -> Sequence[RowMapping]:
        """Banks to look at: at the person's area first, those with the most free lockers first."""
        free = (
            select(t.lockers.c.bank, func.count().label("free"))
            .where(t.lockers.c.offered)
            .group_by(t.lockers.c.bank)
            .subquery()
        )
        query = select(t.banks).join(free, free.c.bank == t.banks.c.bank).where(t.banks.c.epoch != "")
        if only is not None:
            query = query.where(t.banks.c.bank.in_(only))
        here = t.banks.c.area == area if area is not None else t.banks.c.bank.is_not(None)
        query = query.order_by(here.desc(), free.c.free.desc(), t.banks.c.bank).limit(BANKS_MOST)
        return self._connection.execute(query).mappings().all()

    # -- inside -------------------------------------------------------------------------------------------------

    def _state(self, bank: str) -> BankState:
        raw = self._connection.execute(select(t.banks.c.state).where(t.banks.c.bank == bank)).scalar_one()
        return decode_state(bytes(raw))

    def _case(self, state: BankState) -> Case:
        moment = Moment(max(self._now_ms, state.highest_ms), 0, state.boot, not state.clock_in_doubt)
        return Case(state, self.directory, moment, _no_id, offline_for_ms(state, moment))

    def _rules(self, state: BankState, number: str) -> Effective:
        groups = self.row.groups if self.row is not None else ()
        return self.directory.effective(state.place(number), groups)


def _no_id(prefix: str) -> str:
    """What is only looked at is never journaled."""
    return f"{prefix}_none"


def _joined() -> Select[Any]:
    return (
        select(t.lockers, t.banks.c.label, t.banks.c.area, t.banks.c.site)
        .join(t.banks, t.banks.c.bank == t.lockers.c.bank)
        .order_by(t.lockers.c.bank, t.lockers.c.number)
    )
