"""The server as it is: the real services over the real store on SQLite, one call at a time under the virtual clock.

Ingest, directory, commands, claims, heartbeats and the answer to a new controller are `cubbyhole.server`'s own. What
the process would do with threads and the event loop is done here in order: a call either commits or it does not, and
what a running process remembers is gone when it crashes. The database is an image in memory; a backup is a copy of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import event, insert, select

from cubbyhole.domain.bank import BankState
from cubbyhole.domain.directory import CredentialRow, Row
from cubbyhole.domain.rules import Rule
from cubbyhole.protocol import journal
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.enrolment import parse_code
from cubbyhole.protocol.journal import decode_line, decode_state, encode_state
from cubbyhole.server.banks import controllers
from cubbyhole.server.banks.ingest import Change, Ingest
from cubbyhole.server.banks.messages import Unacceptable
from cubbyhole.server.banks.presence import Heartbeats
from cubbyhole.server.banks.queries import standings
from cubbyhole.server.banks.receive import Accepted, NewLine
from cubbyhole.server.banks.refold import refold_stale
from cubbyhole.server.banks.rounds import Rounds
from cubbyhole.server.commands import standing
from cubbyhole.server.commands.live import CLAIM_WITHIN_MS, LiveCommands
from cubbyhole.server.desk import BankDesk
from cubbyhole.server.directory.changes import DirectoryChanges
from cubbyhole.server.directory.sync import DirectoryDesk
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.people.register import PersonDraft, add_badges, holders_of, put_people, set_blocked
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.engine import make_engine
from cubbyhole.server.persistence.migrate import migrate
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import DIRECTORY, Store, UnitOfWork, counter_value
from cubbyhole.simulator.world.calls import AtOnce, Bell, Calls
from cubbyhole.simulator.world.keys import make_key
from cubbyhole.simulator.world.people import Human
from cubbyhole.simulator.world.server import NUDGES, Answered, BankRecord, Server
from cubbyhole.simulator.world.witness import CommandIssued, Violated

NEWER_TYPES = ("occupancy.changed", "lock.changed")  # what a server of an older release does not know yet
LOOK_MS = 500

Entry = Callable[[UnitOfWork], list[Row]]


class _Died(BaseException):
    """The server's process is gone, inside a transaction."""


@cache
def _migrated() -> bytes:
    """An empty database of this release."""
    engine = make_engine("sqlite://")
    migrate(engine)
    with engine.connect() as connection:
        image = cast(sqlite3.Connection, connection.connection.driver_connection).serialize()
    engine.dispose()
    return image


class Installation(Server):
    """All banks have one directory. Times of the server may be wrong by ``clock_error_ms``."""

    real = True

    def open(self, real_keys: bool) -> None:
        """Set the database up and start the services."""
        self.clock_error_ms = 0
        self.is_older = False
        self._die_in_commit = False
        self._backup: bytes | None = None
        self._entries: list[tuple[str, Entry]] = []  # since the backup
        self._changes: list[Change] = []  # committed, and the witness has not heard of them yet
        self._stands: dict[str, CommandIssued] = {}
        self._enrolled = 0
        self._newest = 0
        self._head = 0
        self._receipt_key: Ed25519PrivateKey = make_key(self._chance.randbytes(32), real_keys)
        self._sealing = SealingKey(self._chance.randbytes(32))
        self._engine = make_engine("sqlite://")
        self._raw().deserialize(_migrated())
        self.store = Store(self._engine, self.now_ms)
        event.listen(self._engine, "commit", self._commits)
        self._start()

    def close(self) -> None:
        self._engine.dispose()

    def now_ms(self) -> int:
        return self.kernel.now_ms + self.clock_error_ms

    def _raw(self) -> sqlite3.Connection:
        with self._engine.connect() as connection:
            return cast(sqlite3.Connection, connection.connection.driver_connection)

    def _commits(self, connection: object) -> None:
        if self._die_in_commit:
            self._die_in_commit = False
            raise _Died

    # -- life ---------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """What a process has when it starts: nothing but the database."""
        store, nobody = self.store, cast(Any, None)
        refold_stale(store)
        self._heartbeats = Heartbeats(lambda: self.kernel.now_ms / 1000, self.now_ms, lambda bank, online: None)
        self._ingest = Ingest(store, self._receipt_key, self._changes.append)
        pool, bell = cast(WorkPool, AtOnce()), Bell(self._rung)
        self._live = LiveCommands(store, pool, bell, self._ingest.receive, lambda: self.kernel.now_ms / 1000)
        self._desk = BankDesk(store, DirectoryDesk(store, self._sealing), self._live)
        self._rounds = Rounds(store, nobody, self._heartbeats, nobody)
        self._calls = Calls(self.kernel.after)
        self._look()

    def crash(self, downtime_ms: int) -> None:
        if self.up:
            self._calls.die()
        super().crash(downtime_ms)

    def _back(self) -> None:
        self._start()
        for bank in self.banks:
            self._mirror(bank)
        super()._back()

    def _look(self) -> None:
        """`Rounds` looks into the database each half second; here it does when something has changed."""
        with self.store.read() as connection:
            head, known = standings(connection)
        self._heartbeats.learn(head, known)
        ahead, ordinals = self._heartbeats.ahead()
        if ahead or ordinals:
            self._rounds._catch_up(ahead, ordinals)
            with self.store.read() as connection:
                head, known = standings(connection)
            self._heartbeats.learn(head, known)
        if head != self._head:
            self._head = head
            for bank in self.banks:
                self.directory_committed(bank, head, (), ())

    def _round(self, times: int) -> None:
        """Nudge whoever has something to pull; come again each second, as `Rounds` does, for a while."""
        if not self.up:
            return
        self._look()
        behind = self._heartbeats.behind()
        for bank, nudge in behind:
            self.banks[bank].nudge(m.encode(nudge))
        if behind and times:
            self.kernel.after(1_000, self._round, times - 1)

    def _soon(self) -> None:
        self.kernel.after(self._chance.randint(1, LOOK_MS), self._round, NUDGES)

    # -- backups and upgrades -----------------------------------------------------------------------------------

    def back_up(self) -> None:
        """Copy the database as it is now."""
        self._backup, self._entries = self._raw().serialize(), []

    @property
    def can_restore(self) -> bool:
        """Whether the backup knows every controller that there is now."""
        return self._backup is not None and self.up

    def restore(self, downtime_ms: int) -> None:
        """The database is lost; the backup is put in its place, and people enter again what it lacks."""
        assert self._backup is not None, "`can_restore` says so"
        self.crash(downtime_ms)
        self._raw().deserialize(self._backup)
        entries, self._entries = self._entries, []
        with self.store.read() as connection:
            self._newest, self._head = counter_value(connection, "feed"), counter_value(connection, DIRECTORY)
        for bank, entry in entries:
            self._enter(bank, entry)

    def forget_backup(self) -> None:
        """Something happened that a restored backup could not go on from."""
        self._backup = None

    @contextmanager
    def _of_its_release(self) -> Iterator[None]:
        """What this server understands of journals while within: an older release lacks the newer types."""
        decoders = journal._event_decoders
        lacking = {name: decoders.pop(name) for name in NEWER_TYPES} if self.is_older else {}
        try:
            yield
        finally:
            decoders.update(lacking)

    # -- what people do -----------------------------------------------------------------------------------------

    def add_bank(self, bank: str, timezone: str) -> BankRecord:
        record = self.banks[bank] = BankRecord(bank, timezone)
        record.state = BankState(bank=bank)
        record.encoded = encode_state(record.state)
        with self.store.write() as work:
            if work.connection.execute(select(t.sites.c.site).where(t.sites.c.site == "")).first() is None:
                work.connection.execute(insert(t.sites).values(site="", timezone=timezone))
        return record

    def enrol(self, bank: str, journal_key: str) -> str:
        self._enrolled += 1
        self.forget_backup()
        with self.store.write() as work:
            code = parse_code(controllers.create_code(work, b"f" * 16, (bank,), "op:desk1"))
            name, _ = controllers.enrol(
                work, self._sealing, code_id=code.code_id, secret=code.secret, nkey=f"U{bank}{self._enrolled}",
                journal_key=journal_key, bank_ids=(bank,),
            )  # fmt: skip
        self._soon()
        return name

    def enter(self, bank: str, people: Sequence[Human], rules: Sequence[Rule] = ()) -> None:
        drafts = [PersonDraft(h.person, h.name, None, h.person, h.groups, h.active) for h in people]
        badges = [(h.person, h.badge) for h in people]

        def entry(work: UnitOfWork) -> list[Row]:
            changes = DirectoryChanges(work)
            put_people(work, changes, drafts)
            add_badges(work, changes, self._sealing, badges)
            for rule in rules:
                changes.put_rule(rule)
            return []

        self._keep(bank, entry)

    def block(self, bank: str, human: Human) -> None:
        badge = human.badge

        def entry(work: UnitOfWork) -> list[Row]:
            lookup = self._sealing.lookup(badge)
            credential = holders_of(work.connection, [lookup])[lookup]["credential"]
            set_blocked(work, DirectoryChanges(work), credential, True, "op:desk1")
            lost = CredentialRow(digest="", credential=credential, person=human.person, kind="badge", blocked=True)
            return [lost]

        self._keep(bank, entry)

    def give_badge(self, bank: str, human: Human) -> None:
        badge = human.badge

        def entry(work: UnitOfWork) -> list[Row]:
            add_badges(work, DirectoryChanges(work), self._sealing, [(human.person, badge)])
            return []

        self._keep(bank, entry)

    def _keep(self, bank: str, entry: Entry) -> None:
        self._enter(bank, entry)
        self._soon()

    def _enter(self, bank: str, entry: Entry) -> None:
        self._entries.append((bank, entry))
        with self.store.write() as work:
            rows = entry(work)
            self._head = counter_value(work.connection, DIRECTORY)
        for each in self.banks:
            self.directory_committed(each, self._head, rows, ())

    def directory_head(self, bank: str) -> int:
        return self._head

    # -- what banks say -----------------------------------------------------------------------------------------

    def _serve(self, handler: Callable[[str, bytes], bytes], kind: type[Any], payload: bytes) -> bytes | None:
        """Answer as the fabric does: what cannot be accepted with its fixed word."""
        if not self.up:
            return None
        try:
            bank = m.decode(kind, payload).bank
        except m.MessageError:
            bank = next(iter(self.banks))
        try:
            with self._of_its_release():
                raw = handler(bank, payload)
        except Unacceptable as error:
            raw = m.encode(m.Trouble(error=error.word, detail=str(error)))
        except _Died:
            self.crash(self._chance.randint(2_000, 60_000))
            return None
        self._tell()
        return raw

    def serve_beat(self, payload: bytes) -> bytes | None:
        if not self.up:
            return None
        reply = self._heartbeats.beat(m.decode(m.Beat, payload))
        if any(self._heartbeats.ahead()):
            self._soon()
        return None if reply is None else m.encode(reply)

    def serve_events(self, payload: bytes) -> bytes | None:
        if self.crash_at_commit and self.up and self._chance.random() < 0.5:
            self.crash_at_commit, self._die_in_commit = False, True
            self._coverage.fault("server_died_in_commit")
        raw = self._serve(self._ingest.take, m.Events, payload)
        self._die_in_commit = False
        if raw is None or b'"ack"' not in raw:
            return raw
        if self._reply_is_lost():
            return None
        return raw

    def _tell(self) -> None:
        changes, self._changes[:] = list(self._changes), []
        for change in changes:
            if change.quarantined:
                record = self._mirror(change.bank)
                self.suspected(record, record.quarantined_under or "")
            else:
                self._announced(change)

    def _announced(self, change: Change) -> None:
        """A batch is committed: what the tables now say of it, and nothing else, is what the witness hears."""
        self._heartbeats.committed(change.bank, change.epoch, change.seq)
        first, last = change.ordinals
        if first != self._newest + 1:
            raise Violated("5 no event lost, doubled or reordered", f"the feed goes from {self._newest} to {first}")
        self._newest = last
        if change.settled:
            self._soon()
        query = select(t.events.c.line, t.events.c.hash).where(t.events.c.ordinal.between(first, last))
        with self.store.read() as connection:
            rows = connection.execute(query.order_by(t.events.c.ordinal)).all()
        lines = tuple(NewLine(bytes(raw), bytes(found), decode_line(bytes(raw))) for raw, found in rows)
        record = self._mirror(change.bank)
        head = m.Head(change.seq, lines[-1].hash.hex(), "")
        self.committed(record, Accepted(lines, head, record.state, None))

    def _mirror(self, bank: str) -> BankRecord:
        """Bring the world's record of a bank up to its row."""
        with self.store.read() as connection:
            row = connection.execute(select(t.banks).where(t.banks.c.bank == bank)).mappings().one()
        record = self.banks[bank]
        record.epoch, record.last_seq, record.stale = row["epoch"], row["last_seq"], row["stale"]
        record.encoded = bytes(row["state"])
        record.state = decode_state(record.encoded)
        record.quarantined_under = row["quarantine"]
        return record

    def serve_sync(self, payload: bytes) -> bytes | None:
        return self._serve(self._desk.sync, m.SyncRequest, payload)

    def serve_standing(self, payload: bytes) -> bytes | None:
        raw = self._serve(self._desk.standing, m.StandingRequest, payload)
        if raw is not None:
            for command in m.decode(m.StandingReply, raw).commands:
                self._stands[command.command].ordinal = command.ordinal  # a restored server numbers some again
        return raw

    def serve_claim(self, payload: bytes) -> bytes | None:
        return self._serve(self._desk.claim, m.Claim, payload)

    def resume(self, bank: str) -> m.ResumeReply | None:
        raw = self._serve(self._desk.resume, m.ResumeRequest, m.encode(m.ResumeRequest(bank=bank)))
        return None if raw is None else m.decode(m.ResumeReply, raw)

    # -- commands -----------------------------------------------------------------------------------------------

    def open_now(self, bank: str, locker: str, actor: str) -> None:
        self._calls.drive(self._live.open(bank, locker, actor, "forgot_badge"))
        self._coverage.fault("live_command")

    def _rung(self, bank: str, payload: bytes) -> None:
        command = m.decode(m.LiveCommand, payload)
        deadline_ms = self.kernel.now_ms + CLAIM_WITHIN_MS
        self.issued(CommandIssued(command.command, bank, "open", command.locker, command.actor, deadline_ms))
        self._calls.ringing = command.command
        self.banks[bank].ring(payload, self._answer_to(command.command))

    def _answer_to(self, command: str) -> Answered:
        def answered(raw: bytes) -> None:
            waiting = self._calls.take(command)
            if waiting is not None:
                with self._of_its_release():
                    self._calls.drive(waiting, raw)
                self._tell()

        return answered

    def new_standing(
        self, bank: str, kind: str, locker: str, *, assignment: str | None = None, person: str | None = None,
        for_ms: int = 6 * 3_600_000, **more: Any,
    ) -> None:  # fmt: skip
        candidates = tuple(more.pop("candidates", ()))
        actor = f"op:desk{self._chance.randint(1, 3)}"
        order = standing.Order(
            bank=bank, locker=locker, kind=kind, actor=actor, reason="desk", assignment=assignment, person=person,
            valid_ms=for_ms, candidates=candidates, **more,
        )  # fmt: skip
        try:
            with self.store.write() as work:
                name = standing.issue(work, order)
                query = select(t.commands.c.payload).where(t.commands.c.command == name)
                raw = work.connection.execute(query).scalar_one()
        except standing.NotPossible:
            return  # this release's server does not take commands of a kind that it does not know
        made = msgspec.json.decode(raw, type=m.StandingCommand)
        self._stands[name] = CommandIssued(
            name, bank, kind, locker, actor, self.kernel.now_ms + for_ms, made.ordinal, assignment, person,
            made.needs_directory, candidates,
        )  # fmt: skip
        self.issued(self._stands[name])
        self._coverage.fault("standing_command")
        self._soon()

    def standing_head(self, bank: str) -> int:
        with self.store.read() as connection:
            query = select(t.banks.c.standing_last).where(t.banks.c.bank == bank)
            return int(connection.execute(query).scalar_one())
