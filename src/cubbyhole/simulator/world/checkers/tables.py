"""5 and 6 at the real server: its tables are what the accepted journals say, and its feed has no gap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import func, select

from cubbyhole.domain.bank import BankState
from cubbyhole.domain.layout import parse_columns
from cubbyhole.protocol.journal import decode_line
from cubbyhole.server.persistence import tables as t
from cubbyhole.simulator.world.banks import BankScene, World
from cubbyhole.simulator.world.installation import Installation
from cubbyhole.simulator.world.witness import Checker, Doc, LineSeen


class Tables(Checker):
    """Judges nothing where the server keeps no tables."""

    invariant = "6 the server's tables are the fold of what it accepted"

    def __init__(self, world: World, scenes: Sequence[BankScene]) -> None:
        super().__init__(world.kernel)
        self._server, self._scenes = world.office, scenes
        self._wrote: dict[str, list[LineSeen]] = {s.bank: [] for s in scenes}

    def lines(self) -> dict[str, Callable[[LineSeen], None]]:
        return {
            "epoch.started": self._keep, "assignment.started": self._keep, "assignment.timed": self._keep,
            "assignment.ended": self._keep,
        }  # fmt: skip

    def _keep(self, line: LineSeen) -> None:
        self._wrote[line.bank].append(line)

    def finished(self) -> None:
        if not isinstance(self._server, Installation):
            return
        with self._server.store.read() as connection:
            def rows(table: Any, *where: Any) -> list[dict[str, Any]]:
                return [dict(row) for row in connection.execute(select(table).where(*where)).mappings()]

            feed = t.events.c.ordinal
            count, first, last = connection.execute(select(func.count(), func.min(feed), func.max(feed))).one()
            counter = connection.execute(select(t.counters.c.value).where(t.counters.c.name == "feed")).scalar_one()
            if (first, last, counter) != (1, count, count):
                self.fail(f"the feed has {count} events from {first} to {last} and its counter is at {counter}")
            for scene in self._scenes:
                bank = scene.bank
                (row,) = rows(t.banks, t.banks.c.bank == bank)
                if row["quarantine"] is not None:
                    continue
                query = select(t.events.c.line).where(t.events.c.bank == bank, t.events.c.epoch == row["epoch"])
                raws = connection.execute(query.order_by(t.events.c.seq)).scalars()
                state = self._fold(bank, [bytes(raw) for raw in raws])
                self._lockers(bank, state, rows(t.lockers, t.lockers.c.bank == bank))
                self._alarms(bank, state, rows(t.alarms, t.alarms.c.bank == bank))
                self._assignments(bank, row["epoch"], rows(t.assignments, t.assignments.c.bank == bank))
                self._commands(bank, rows(t.commands, t.commands.c.bank == bank))

    def _fold(self, bank: str, raws: list[bytes]) -> BankState:
        state = BankState(bank=bank)
        for seq, raw in enumerate(raws, 1):
            line = decode_line(raw)
            if line.seq != seq:
                self.fail(f"line {seq} of {bank} is not in the database")
            state.apply(line.event, seq, line.moment)
        return state

    def _lockers(self, bank: str, state: BankState, rows: list[dict[str, Any]]) -> None:
        found = {row["number"]: row for row in rows}
        if found.keys() != {spec.number for spec in parse_columns(state.columns)}:
            self.fail(f"the table has lockers {sorted(found)} of {bank}")
        for number, s in state.lockers.items():
            a, row = s.assignment, found[number]
            said = {
                "door": s.door, "lock": s.lock, "occupancy": s.occupancy, "alarm": s.alarm, "check_why": s.check,
                "out_of_service": s.out_of_service, "unverified": s.unverified, "link_lost": s.link_lost,
                "armed": s.armed, "assignment": a and a.assignment, "person": a and a.person, "mode": a and a.mode,
                "ends_ms": a and a.ends_ms, "former": s.former and s.former.person,
            }  # fmt: skip
            other = {name: (row[name], value) for name, value in said.items() if row[name] != value}
            if other:
                self.fail(f"the table has another {bank}-{number} than its journal: {other}")

    def _alarms(self, bank: str, state: BankState, rows: list[dict[str, Any]]) -> None:
        on = {(row["locker"], row["kind"]) for row in rows if row["locker"] and row["cleared_ms"] is None}
        said = {(s.number, s.alarm.value) for s in state.lockers.values() if s.alarm is not None}
        if on != said:
            self.fail(f"the table of alarms of {bank} has {sorted(on)}, its journal says {sorted(said)}")

    def _assignments(self, bank: str, epoch: str, rows: list[dict[str, Any]]) -> None:
        """Each assignment that a journal of the bank has begun, with how and when it ended."""
        said: dict[str, Doc] = {}
        dead = {line.epoch for line in self._wrote[bank]} - {epoch}
        accepted = {row["assignment"] for row in rows}
        for line in self._wrote[bank]:
            fields = line.fields
            name = fields.get("assignment", "")
            if line.type == "epoch.started":
                going_on = {a["assignment"] for a in fields["assignments"]}
                for other, doc in said.items():
                    doc["open"] = other in going_on  # also what the dead controller ended and never sent
            elif line.type == "assignment.started":
                said[name] = {"person": fields["person"], "locker": fields["locker"], "open": True, "of": line.epoch}
            elif line.type == "assignment.ended" and name in said:
                said[name]["open"] = False
        for name in said.keys() - accepted:
            if said[name]["of"] not in dead:  # what a dead controller never sent is not there
                self.fail(f"assignment {name} of {bank} is in no table")
        for row in rows:
            known = said.get(row["assignment"])
            if known is None or (row["person"], row["locker"]) != (known["person"], known["locker"]):
                self.fail(f"the table has {row}, the journal of {bank} says {known}")
            elif known["open"] != (row["ended_ms"] is None):
                self.fail(f"assignment {row['assignment']} of {bank}: {known}, the table says {row}")

    def _commands(self, bank: str, rows: list[dict[str, Any]]) -> None:
        waits = [row["ordinal"] for row in rows if row["ordinal"] is not None and row["state"] == "waiting"]
        if waits:
            self.fail(f"standing commands {sorted(waits)} of {bank} still wait, and everything is well")
