"""The server in memory: the ingest's own judgement over dictionaries, a directory, commands, claims.

`server.banks.receive.judge` is the real one and so is the calendar; what SQL does around them is done here one change
at a time, so a commit either happened or did not.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cubbyhole.domain.bank import BankState
from cubbyhole.domain.directory import CredentialRow, PersonRow, Row, row_key, row_weight
from cubbyhole.domain.events import Assigned, Disabled
from cubbyhole.domain.rules import Rule
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.digest import credential_digest
from cubbyhole.protocol.journal import encode_state
from cubbyhole.server.banks.receive import Accepted, Gap, Known, Nothing, judge
from cubbyhole.server.directory.calendar import calendar_for
from cubbyhole.simulator.world.people import Human
from cubbyhole.simulator.world.server import NUDGES, BankRecord, Server
from cubbyhole.simulator.world.witness import CommandIssued

_MODULUS = 1 << 256
LIVE_FOR_MS = 3_000


@dataclass(slots=True)
class Edition:
    """One version of a bank's directory, as a change of the one before."""

    puts: dict[str, Row]
    deletes: tuple[str, ...]
    content_hash: str


@dataclass(slots=True)
class Live:
    """A live command that waits to be claimed."""

    issued: CommandIssued
    claimed: bool = False


@dataclass(slots=True)
class Kept(BankRecord):
    """All that the server keeps of one bank. ``key`` is the bank's own, which its directory's digests are under."""

    key: bytes = b""
    controller: str = ""
    journal_key: str = ""
    last_hash: bytes = b""
    past: set[str] = field(default_factory=set)
    hashes: dict[int, bytes] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    editions: list[Edition] = field(default_factory=list)
    total: int = 0
    standing: list[m.StandingCommand] = field(default_factory=list)
    seen_directory: int = 0
    seen_standing: int = 0


class Office(Server):
    """Every bank has a directory of its own people."""

    @cached_property
    def kept(self) -> dict[str, Kept]:
        return {}

    @cached_property
    def live(self) -> dict[str, Live]:
        return {}

    def add_bank(self, bank: str, timezone: str) -> BankRecord:
        record = self.kept[bank] = self.banks[bank] = Kept(bank, timezone, key=self._chance.randbytes(32))
        record.state = BankState(bank=bank)
        record.encoded = encode_state(record.state)
        return record

    def enrol(self, bank: str, journal_key: str) -> str:
        record = self.kept[bank]
        record.controller, record.journal_key = f"ctl_{self._chance.getrandbits(48):012x}", journal_key
        return record.controller

    # -- directory ----------------------------------------------------------------------------------------------

    def enter(self, bank: str, people: Sequence[Human], rules: Sequence[Rule] = ()) -> None:
        rows: list[Row] = []
        for h in people:
            window = h.window or (None, None)
            commitment = hashlib.sha256(h.person.encode()).hexdigest()
            person = PersonRow(
                person=h.person, name=h.name, groups=h.groups, active=h.active, commitment=commitment,
                from_ms=window[0], until_ms=window[1],
            )  # fmt: skip
            rows += [person, self._credential(bank, h)]
        self._change(bank, [*rows, *rules])

    def block(self, bank: str, human: Human) -> None:
        self._change(bank, [self._credential(bank, human)])

    def give_badge(self, bank: str, human: Human) -> None:
        self._change(bank, [self._credential(bank, human)])

    def _credential(self, bank: str, h: Human) -> CredentialRow:
        return CredentialRow(
            digest=credential_digest(self.kept[bank].key, h.badge), credential=f"k_{h.person[2:]}_{h.badge_number}",
            person=h.person, kind="badge", blocked=h.blocked,
        )  # fmt: skip

    def _change(self, bank: str, puts: Iterable[Row], deletes: Iterable[str] = ()) -> None:
        """Commit a new version of one bank's directory and nudge the bank."""
        record = self.kept[bank]
        changed = {row_key(row): row for row in puts}
        gone = tuple(key for key in deletes if key in record.rows)
        for key, row in changed.items():
            old = record.rows.get(key)
            record.total += row_weight(row) - (row_weight(old) if old is not None else 0)
            record.rows[key] = row
        for key in gone:
            record.total -= row_weight(record.rows.pop(key))
        record.total %= _MODULUS
        record.editions.append(Edition(changed, gone, f"{record.total:064x}"))
        version = len(record.editions)
        self.directory_committed(bank, version, changed.values(), gone)
        self._nudge(bank, NUDGES)

    def directory_head(self, bank: str) -> int:
        return len(self.kept[bank].editions)

    def standing_head(self, bank: str) -> int:
        return len(self.kept[bank].standing)

    def _nudge(self, bank: str, times: int) -> None:
        record = self.kept[bank]
        behind = record.seen_directory < len(record.editions) or record.seen_standing < len(record.standing)
        if behind and times and self.up:
            record.nudge(m.encode(m.Nudge(directory=len(record.editions), standing=len(record.standing))))
            self.kernel.after(1_000, self._nudge, bank, times - 1)

    def serve_sync(self, payload: bytes) -> bytes | None:
        if not self.up:
            return None
        request = m.decode(m.SyncRequest, payload)
        record = self.kept[request.bank]
        upto = len(record.editions)
        known = 0 < request.have <= upto and record.editions[request.have - 1].content_hash == request.content_hash
        puts: dict[str, Row] = {}
        deletes: set[str] = set()
        if known:
            for edition in record.editions[request.have : upto]:
                puts |= edition.puts
                deletes = (deletes - edition.puts.keys()) | set(edition.deletes)
                for key in edition.deletes:
                    puts.pop(key, None)
        else:
            puts = dict(record.rows)
        kinds: dict[str, list[Row]] = {"person": [], "credential": [], "rule": []}
        for key, row in puts.items():
            kinds[key.partition(":")[0]].append(row)
        reply = m.SyncReply(
            upto=upto, full=not known, content_hash=f"{record.total:064x}", key=base64.b64encode(record.key).decode(),
            calendar=calendar_for(record.timezone, self.kernel.now_ms), people=kinds["person"],  # type: ignore[arg-type]
            credentials=kinds["credential"], rules=kinds["rule"], deletes=sorted(deletes),  # type: ignore[arg-type]
        )  # fmt: skip
        return zlib.compress(m.encode(reply), 1)

    # -- what banks say -----------------------------------------------------------------------------------------

    def serve_beat(self, payload: bytes) -> bytes | None:
        if not self.up:
            return None
        beat = m.decode(m.Beat, payload)
        record = self.kept[beat.bank]
        record.seen_directory, record.seen_standing = beat.directory, beat.standing
        return m.encode(
            m.BeatReply(
                at=self.kernel.now_ms, directory=len(record.editions), standing=len(record.standing),
                acked_epoch=record.epoch or None, acked=record.last_seq,
            )
        )  # fmt: skip

    def serve_events(self, payload: bytes) -> bytes | None:
        if not self.up:
            return None
        try:
            batch = m.decode(m.Events, payload)
        except m.MessageError as error:
            return m.encode(m.Trouble(error=error.word, detail=str(error)))
        reply = self._receive(batch)
        return None if self._reply_is_lost() else m.encode(reply)

    def _receive(self, batch: m.Events) -> m.EventsReply:
        """Judge and commit a batch, as the ingest's unit of work does."""
        r = self.kept[batch.bank]
        known = Known(
            bank=r.bank, controller=r.controller, journal_key=r.journal_key, epoch=r.epoch, last_seq=r.last_seq,
            last_hash=r.last_hash, state=r.encoded, past_epochs=frozenset(r.past),
            quarantined_under=r.quarantined_under, hashes=r.hashes,
        )  # fmt: skip
        verdict = judge(known, batch)
        if isinstance(verdict, Accepted):
            if verdict.new_epoch is not None:
                if r.epoch:
                    r.past.add(r.epoch)
                r.quarantined_under, r.hashes = None, {}
            last = verdict.lines[-1]
            r.epoch, r.last_seq, r.last_hash = last.line.epoch, last.line.seq, last.hash
            r.state, r.encoded = verdict.state, encode_state(verdict.state)
            r.hashes[last.line.seq] = last.hash
            if len(r.hashes) > 50:
                del r.hashes[next(iter(r.hashes))]
            self.committed(r, verdict)
            return m.EventsReply(epoch=r.epoch, ack=r.last_seq)
        if isinstance(verdict, Gap):
            return m.EventsReply(epoch=batch.epoch, ack=verdict.need - 1, need=verdict.need)
        if isinstance(verdict, Nothing):
            return m.EventsReply(epoch=r.epoch, ack=r.last_seq)
        self.suspected(r, verdict.why)
        r.quarantined_under = r.quarantined_under or r.controller
        return m.EventsReply(epoch=batch.epoch, ack=batch.first + len(batch.lines) - 1, quarantined=True)

    def resume(self, bank: str) -> m.ResumeReply | None:
        if not self.up:
            return None
        r = self.kept[bank]
        assigned = [
            Assigned(
                assignment=s.assignment.assignment, locker=number, person=s.assignment.person, mode=s.assignment.mode,
                since_ms=s.assignment.since_ms, ends_ms=s.assignment.ends_ms, rule=s.assignment.rule,
                renewed=s.assignment.renewed, hold_until_ms=s.assignment.hold_until_ms, shares=s.assignment.shares,
            )
            for number, s in r.state.lockers.items() if s.assignment is not None
        ]  # fmt: skip
        disabled = [
            Disabled(locker=n, reason=s.out_of_service)
            for n, s in r.state.lockers.items()
            if s.out_of_service is not None
        ]
        return m.ResumeReply(
            previous_epoch=r.epoch or None, previous_seq=r.last_seq,
            previous_hash=r.last_hash.hex() if r.epoch else None, assignments=assigned, disabled=disabled,
            answered=list(r.state.answered.values()), standing=r.state.standing,
        )  # fmt: skip

    # -- commands -----------------------------------------------------------------------------------------------

    def open_now(self, bank: str, locker: str, actor: str) -> None:
        command = f"c_{self._chance.getrandbits(64):016x}"
        issued = CommandIssued(command, bank, "open", locker, actor, self.kernel.now_ms + LIVE_FOR_MS)
        self.live[command] = Live(issued)
        self.issued(issued)
        self._coverage.fault("live_command")
        message = m.LiveCommand(command=command, kind="open", locker=locker, actor=actor, reason="forgot_badge")
        self.kept[bank].ring(m.encode(message), lambda raw: None)

    def serve_claim(self, payload: bytes) -> bytes | None:
        if not self.up:
            return None
        claim = m.decode(m.Claim, payload)
        live = self.live.get(claim.command)
        if (
            live is None
            or live.claimed
            or self.kernel.now_ms > live.issued.deadline_ms
            or live.issued.bank != claim.bank
        ):
            return m.encode(m.ClaimReply(go=False, why="late"))
        live.claimed = True
        return m.encode(m.ClaimReply(go=True))

    def new_standing(
        self, bank: str, kind: str, locker: str, *, assignment: str | None = None, person: str | None = None,
        for_ms: int = 6 * 3_600_000, **more: Any,
    ) -> None:  # fmt: skip
        r = self.kept[bank]
        ordinal, command = len(r.standing) + 1, f"c_{self._chance.getrandbits(64):016x}"
        actor, not_after_ms = f"op:desk{self._chance.randint(1, 3)}", self.kernel.now_ms + for_ms
        needs = len(r.editions)
        r.standing.append(
            m.StandingCommand(
                ordinal=ordinal, command=command, kind=kind, locker=locker, actor=actor, reason="desk", person=person,
                not_after_ms=not_after_ms, needs_directory=needs, assignment=assignment, **more,
            )
        )  # fmt: skip
        self.issued(
            CommandIssued(
                command, bank, kind, locker, actor, not_after_ms, ordinal, assignment, person, needs,
                tuple(more.get("candidates", ())),
            )
        )  # fmt: skip
        self._coverage.fault("standing_command")
        self._nudge(bank, NUDGES)

    def serve_standing(self, payload: bytes) -> bytes | None:
        if not self.up:
            return None
        request = m.decode(m.StandingRequest, payload)
        commands = self.kept[request.bank].standing[request.after : request.after + m.MAX_STANDING]
        return m.encode(m.StandingReply(commands=commands))
