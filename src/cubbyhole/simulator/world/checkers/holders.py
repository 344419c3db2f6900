"""2: one exclusive holder per locker; nobody is let into another's; limits within a bank are exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.witness import Checker, LineSeen


@dataclass(slots=True)
class Held:
    assignment: str
    person: str
    ends_ms: int | None
    hold_until_ms: int | None = None
    shares: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class _Bank:
    held: dict[str, Held] = field(default_factory=dict)
    former: dict[str, str] = field(default_factory=dict)
    out: set[str] = field(default_factory=set)
    unlooked: set[str] = field(default_factory=set)  # out of bounds until somebody has looked
    full: set[str] = field(default_factory=set)  # an occupancy sensor says so
    shut: set[str] = field(default_factory=set)  # doors known to be closed
    doubt: bool = False
    moving: str | None = None  # whose locker ended just now because they have another instead


def _is_over(held: Held, at_ms: int) -> bool:
    return any(end_ms is not None and end_ms <= at_ms for end_ms in (held.ends_ms, held.hold_until_ms))


def _lets_in(share: dict[str, Any], person: str | None, at_ms: int) -> bool:
    """Whether this share lets the person in now; groups are the directory's business."""
    is_theirs = share["person"] == person or share["group"] is not None
    return is_theirs and (share["until_ms"] is None or at_ms < share["until_ms"])


class Holders(Checker):
    invariant = "2 one exclusive holder per locker"

    def __init__(self, world: World, scenes: Sequence[BankScene]) -> None:
        super().__init__(world.kernel)
        self._limit = {s.bank: 2 if s.shared_reader else 1 for s in scenes}
        self._numbers = {s.bank: s for s in scenes}
        self._banks = {s.bank: _Bank() for s in scenes}
        self._at_server: dict[str, dict[str, Held]] = {s.bank: {} for s in scenes}
        self._at_backup: dict[str, dict[str, Held]] = {}

    def lines(self) -> dict[str, Callable[[LineSeen], None]]:
        return {
            "epoch.started": self._epoch, "assignment.started": self._started, "assignment.ended": self._ended,
            "assignment.timed": self._timed, "access.granted": self._granted, "locker.out_of_service": self._out,
            "locker.in_service": self._in, "locker.check_needed": self._check, "locker.checked": self._checked,
            "occupancy.changed": self._occupancy, "door.opened": self._opens, "door.forced": self._forced,
            "door.closed": self._shuts, "door.seen": self._door_seen, "link.lost": self._blind,
            "assignment.renewed": self._timed, "assignment.shared": self._shared, "share.ended": self._unshared,
            "boot.started": self._boot, "clock.doubted": self._doubted, "clock.trusted": self._trusted,
        }  # fmt: skip

    def _epoch(self, line: LineSeen) -> None:
        b = self._banks[line.bank] = _Bank()
        fields = line.fields
        b.held = {
            a["locker"]: Held(
                a["assignment"], a["person"], a["ends_ms"], a["hold_until_ms"], {x["share"]: x for x in a["shares"]}
            )
            for a in fields["assignments"]
        }
        b.out = {d["locker"] for d in fields["disabled"]}
        if fields["previous_epoch"] is not None:
            b.unlooked = set(self._numbers[line.bank].doors) - b.held.keys()
            known = {n: h.assignment for n, h in self._at_server[line.bank].items()}
            said = {n: h.assignment for n, h in b.held.items()}
            if known != said:
                self.fail(f"a new controller of {line.bank} starts from {said}, the server had committed {known}")

    def _started(self, line: LineSeen) -> None:
        b, number, person = self._banks[line.bank], line.fields["locker"], line.fields["person"]
        where = f"{line.bank}-{number}"
        if number in b.held:
            self.fail(f"{where} is given to {person} while {b.held[number].person} has it")
        if number in b.out:
            self.fail(f"{where} is given to {person} although it is out of service")
        moved, b.moving = b.moving == person, None
        # What is handed over is full, and its door may stand open: the holder and the next one stand before it.
        if line.fields["rule"] not in ("operator", "handed_over"):
            if number in b.unlooked:
                self.fail(f"{where} is given to {person} although somebody had to look first")
            if number in b.full:
                self.fail(f"{where} is given to {person} although its sensor says that it is not empty")
            if number not in b.shut:
                self.fail(f"{where} is given to {person} although its door is not known to be closed")
        if line.fields["rule"] != "operator" and not moved:
            alive = [
                n
                for n, h in b.held.items()
                if h.person == person and (b.doubt or not _is_over(h, line.at_ms))
            ]
            if len(alive) >= self._limit[line.bank]:
                self.fail(f"{where} is given to {person} who already has {alive}")
        b.held[number] = Held(
            line.fields["assignment"], person, line.fields["ends_ms"], line.fields["hold_until_ms"]
        )  # fmt: skip
        b.former.pop(number, None)

    def _timed(self, line: LineSeen) -> None:
        held = self._banks[line.bank].held.get(line.fields["locker"])
        if held is not None:
            held.ends_ms = line.fields["ends_ms"]

    def _shared(self, line: LineSeen) -> None:
        held = self._banks[line.bank].held.get(line.fields["locker"])
        if held is None or held.assignment != line.fields["assignment"]:
            self.fail(f"line {line.seq} of {line.bank} shares {line.fields['assignment']}, which nobody has")
            return
        held.shares[line.fields["share"]] = line.fields

    def _unshared(self, line: LineSeen) -> None:
        held = self._banks[line.bank].held.get(line.fields["locker"])
        if held is None or held.shares.pop(line.fields["share"], None) is None:
            self.fail(f"line {line.seq} of {line.bank} ends the share {line.fields['share']}, which there is not")

    def _ended(self, line: LineSeen) -> None:
        b, number = self._banks[line.bank], line.fields["locker"]
        held = b.held.pop(number, None)
        if held is None or held.assignment != line.fields["assignment"]:
            self.fail(f"line {line.seq} of {line.bank} ends {line.fields['assignment']}, but {number} has {held}")
            return
        b.moving = held.person if line.fields["cause"] == "moved" else None
        if line.fields["former_may_open"]:
            b.former[number] = held.person
        if line.fields["check"] is not None:
            b.unlooked.add(number)
        elif number in b.full and line.fields["cause"] != "handed_over":
            self.fail(f"{line.bank}-{number} ended with things inside and nobody is told to look")

    def _granted(self, line: LineSeen) -> None:
        b, number, way = self._banks[line.bank], line.fields["locker"], line.fields["way"]
        person, held = line.fields["person"], b.held.get(number)
        where = f"{line.bank}-{number}"
        if way == "tap" and (held is None or held.person != person or held.assignment != line.fields["assignment"]):
            self.fail(f"{where} was opened by {person}'s tap; it is held by {held}")
        if held is not None and held.person == person:
            held.hold_until_ms = None
        shares = held.shares.values() if held is not None else ()
        if way == "shared" and not any(_lets_in(share, person, line.at_ms) for share in shares):
            self.fail(f"{where} was opened by {person}, with whom nobody shares it; it is held by {held}")
        if way == "retrieve" and (held is not None or b.former.get(number) != person):
            self.fail(
                f"{where} was opened for {person} to retrieve; held by {held}, former holder {b.former.get(number)}"
            )
        if way == "command" and not line.fields["reason"]:
            self.fail(f"{where} was opened outside the rules without a reason")

    def _out(self, line: LineSeen) -> None:
        self._banks[line.bank].out.add(line.fields["locker"])

    def _in(self, line: LineSeen) -> None:
        self._banks[line.bank].out.discard(line.fields["locker"])

    def _check(self, line: LineSeen) -> None:
        self._banks[line.bank].unlooked.add(line.fields["locker"])

    def _checked(self, line: LineSeen) -> None:
        b = self._banks[line.bank]
        b.unlooked.discard(line.fields["locker"])
        b.former.pop(line.fields["locker"], None)

    def _occupancy(self, line: LineSeen) -> None:
        full = self._banks[line.bank].full
        (full.add if line.fields["occupancy"] == "occupied" else full.discard)(line.fields["locker"])

    def _opens(self, line: LineSeen) -> None:
        self._banks[line.bank].shut.discard(line.fields["locker"])

    def _forced(self, line: LineSeen) -> None:
        self._banks[line.bank].shut.discard(line.fields["locker"])

    def _shuts(self, line: LineSeen) -> None:
        self._banks[line.bank].shut.add(line.fields["locker"])

    def _door_seen(self, line: LineSeen) -> None:
        shut = self._banks[line.bank].shut
        (shut.add if line.fields["door"] == "closed" else shut.discard)(line.fields["locker"])

    def _blind(self, line: LineSeen) -> None:
        b = self._banks[line.bank]
        b.shut -= set(line.fields["lockers"])
        b.full -= set(line.fields["lockers"])

    def _boot(self, line: LineSeen) -> None:
        b = self._banks[line.bank]
        b.shut, b.full = set(), set()

    def _doubted(self, line: LineSeen) -> None:
        self._banks[line.bank].doubt = True

    def _trusted(self, line: LineSeen) -> None:
        self._banks[line.bank].doubt = False

    def backed_up(self) -> None:
        self._at_backup = {bank: dict(held) for bank, held in self._at_server.items()}

    def restored(self) -> None:
        self._at_server = {bank: dict(held) for bank, held in self._at_backup.items()}

    def server_line(self, line: LineSeen) -> None:
        held, fields = self._at_server[line.bank], line.fields
        if line.type == "epoch.started":
            self._at_server[line.bank] = {
                a["locker"]: Held(a["assignment"], a["person"], None) for a in fields["assignments"]
            }
        elif line.type == "assignment.started":
            held[fields["locker"]] = Held(fields["assignment"], fields["person"], None)
        elif line.type == "assignment.ended":
            held.pop(fields["locker"], None)
