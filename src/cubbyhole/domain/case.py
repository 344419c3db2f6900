"""What the steps of one decision share: the state as it will be, and the events that pile up on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

from cubbyhole.domain import ending
from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState, LockerState
from cubbyhole.domain.decision import Mint
from cubbyhole.domain.directory import Directory, PersonRow
from cubbyhole.domain.moment import Moment
from cubbyhole.domain.rules import Effective


@dataclass(slots=True)
class Case:
    """What the steps of one decision share; events pile up in order."""

    bank: BankState
    directory: Directory
    moment: Moment
    mint: Mint
    offline_ms: int | None
    events: list[ev.Event] = field(default_factory=list)
    ended: dict[str, LockerState] = field(default_factory=dict)

    @property
    def offline(self) -> bool:
        return self.offline_ms is not None

    def bind(self, person: PersonRow) -> None:
        if self.bank.bound.get(person.person) != person.commitment:
            bound = ev.PersonBound(person=person.person, commitment=person.commitment)
            if bound not in self.events:
                self.events.append(bound)

    def locker(self, number: str) -> LockerState:
        """The locker as it stands after what this decision has ended."""
        return self.ended.get(number) or self.bank.lockers[number]

    def expire(self, number: str) -> None:
        """Rights end when they are used too late, not when a timer comes."""
        s = self.bank.lockers[number]
        cause = ending.cause_of_end(self.bank, s, self.moment) if number not in self.ended else None
        if cause is not None:
            ended = ending.end(self.bank, self.directory, s, cause, self.moment)
            self.events.append(ended)
            self.ended[number] = after_end(s, ended)

    def held_by(self, person: str) -> list[LockerState]:
        """What somebody holds here and what is not over."""
        return [s for s in self.bank.held_by(person) if not ending.due(self.bank, s, self.moment)]

    def rules(self, person: PersonRow | None, number: str) -> Effective:
        return self.directory.effective(self.bank.place(number), person.groups if person is not None else ())


def offline_for_ms(bank: BankState, moment: Moment) -> int | None:
    """How long the bank has been without the server; None while it has contact."""
    return None if bank.contact_lost_ms is None else max(0, moment.at_ms - bank.contact_lost_ms)


def after_end(s: LockerState, ended: ev.AssignmentEnded) -> LockerState:
    """A copy of ``s`` as it will be once ``ended`` is folded: the same decision goes on from there."""
    copy = LockerState(**{name: getattr(s, name) for name in LockerState.__slots__})
    scratch = BankState(bank="", lockers={s.number: copy})
    scratch.apply(ended, 1, Moment(ended.ended_ms, 0, "", True))
    return copy
