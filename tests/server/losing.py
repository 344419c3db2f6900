"""A bank's journal in the hand of which lines can be lost, and a server's ingest for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import RowMapping, select

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState
from cubbyhole.domain.chain import genesis, head_text, link
from cubbyhole.domain.fold import now_of
from cubbyhole.domain.moment import Moment
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.enrolment import parse_code
from cubbyhole.protocol.export import ReceiptRecord, Record, decode_record, encode_record
from cubbyhole.protocol.journal import decode_line, encode_line, encode_state, fold_line
from cubbyhole.protocol.signing import public_text, sign
from cubbyhole.protocol.verify import Verdict, verify
from cubbyhole.server.audit.export import export_journal
from cubbyhole.server.banks.controllers import create_code, enrol
from cubbyhole.server.banks.ingest import Change, Ingest
from cubbyhole.server.banks.receive import Known
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.unit import Store

CONFIGURED = ev.BankConfigured(
    label="Lobby", area="Ground floor", site="Kestrel House", columns=("M M M M", "L L+ S S"), reader="door",
    senses_lock=True, senses_occupancy=False, drives_lights=False,
)  # fmt: skip


@dataclass
class LosingJournal:
    """Lines with their hashes, a head behind each commit, and the state that the bank itself never lost."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    bank: str = "A"
    epoch: str = "e" * 32
    controller: str = "ctl_0123456789ab"
    previous: tuple[str | None, int, str | None] = (None, 0, None)
    lines: list[bytes] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    heads: dict[int, m.Head] = field(default_factory=dict)
    state: BankState = field(default_factory=lambda: BankState(bank="A"))

    def begin(self) -> LosingJournal:
        self.hashes.append(genesis(self.bank, self.epoch))
        previous, seq, hashed = self.previous
        started = ev.EpochStarted(
            controller=self.controller, journal_key=public_text(self.key), previous_epoch=previous, previous_seq=seq,
            previous_hash=hashed,
        )  # fmt: skip
        self.commit(started, CONFIGURED)
        return self

    def commit(self, *events: ev.Event) -> None:
        """The next lines, with one head."""
        for event in events:
            seq = len(self.lines) + 1
            moment = Moment(1_794_830_400_000 + seq, seq, "0" * 32, True)
            raw = encode_line(bank=self.bank, epoch=self.epoch, seq=seq, moment=moment, actor=None, event=event)
            self.lines.append(raw)
            self.hashes.append(link(self.hashes[-1], raw))
            fold_line(self.state, decode_line(raw))
        self.heads[len(self.lines)] = self.head(len(self.lines))

    def head(self, seq: int) -> m.Head:
        text = head_text(self.bank, self.epoch, seq, self.hashes[seq])
        return m.Head(seq, self.hashes[seq].hex(), sign(self.key, text))

    def lose(self, first: int, last: int, *, before: str | None = "") -> int:
        """Write that these lines are gone; the number of the line that says so."""
        hash_before = self.hashes[first - 1].hex() if before == "" else before
        self.commit(
            ev.JournalGap(
                first=first, last=last, hash_before=hash_before, hash_after=self.hashes[last].hex(), why="damaged",
                state=now_of(self.state, 300),
            )
        )  # fmt: skip
        return len(self.lines)

    def batch(self, first: int, last: int, gap: m.GapProof | None = None) -> m.Events:
        """Lines ``first`` to ``last``, at the end of which there must be a head."""
        raw = [msgspec.Raw(line) for line in self.lines[first - 1 : last]]
        heads = [head for seq, head in self.heads.items() if first <= seq <= last]
        return m.Events(bank=self.bank, epoch=self.epoch, first=first, lines=raw, heads=heads, gap=gap)

    def proof(self, seq: int) -> m.GapProof:
        """What shows that line ``seq``, a journal.gap, was signed."""
        upto = min(at for at in self.heads if at >= seq)
        raw = [msgspec.Raw(line) for line in self.lines[seq - 1 : upto]]
        return m.GapProof(before=self.hashes[seq - 1].hex(), lines=raw, head=self.heads[upto])

    def known(self, seq: int, state: BankState, promised: dict[int, bytes] | None = None) -> Known:
        """A server that has committed this journal up to line ``seq`` and sees the bank like this."""
        return Known(
            bank=self.bank, controller=self.controller, journal_key=public_text(self.key), epoch=self.epoch,
            last_seq=seq, last_hash=self.hashes[seq], state=encode_state(state), promised=promised,
        )  # fmt: skip

    def folded(self, upto: int) -> BankState:
        state = BankState(bank=self.bank)
        for raw in self.lines[:upto]:
            fold_line(state, decode_line(raw))
        return state


class Desk:
    """The server's ingest for one bank, whose controller it has enrolled."""

    def __init__(self, store: Store, sealing: SealingKey) -> None:
        self.store, self.receipt_key = store, Ed25519PrivateKey.generate()
        self.changes: list[Change] = []
        self.journal = LosingJournal()
        with store.write() as work:
            code = parse_code(create_code(work, b"f" * 16, ("A",), "op:test"))
            self.journal.controller, _ = enrol(
                work, sealing, code_id=code.code_id, secret=code.secret, nkey="UA",
                journal_key=public_text(self.journal.key), bank_ids=("A",),
            )  # fmt: skip
        self.journal.begin()

    def take(self, batch: m.Events) -> m.EventsReply:
        return Ingest(self.store, self.receipt_key, self.changes.append).receive("A", batch)

    def row(self) -> RowMapping:
        with self.store.read() as connection:
            return connection.execute(select(t.banks)).mappings().one()

    def alarms(self) -> list[str]:
        with self.store.read() as connection:
            return list(connection.execute(select(t.alarms.c.kind).order_by(t.alarms.c.id)).scalars())

    def gaps(self) -> list[tuple[int, int]]:
        with self.store.read() as connection:
            return [(a, b) for a, b in connection.execute(select(t.gaps.c.first, t.gaps.c.last))]

    def lines(self) -> list[int]:
        with self.store.read() as connection:
            return seqs(list(connection.execute(select(t.events.c.line).order_by(t.events.c.ordinal)).scalars()))

    def open_assignments(self) -> list[tuple[str, str]]:
        with self.store.read() as connection:
            query = select(t.assignments.c.assignment, t.assignments.c.locker).where(t.assignments.c.ended_ms.is_(None))
            return [(a, b) for a, b in connection.execute(query.order_by(t.assignments.c.assignment))]

    def export(self) -> list[Record]:
        with self.store.read() as connection:
            return [decode_record(raw) for raw in export_journal(connection, self.receipt_key, "A", 1)]

    def verdict(self, records: Sequence[Record], kept: list[ReceiptRecord] | None = None) -> Verdict:
        return verify([encode_record(r) for r in records], self.receipt_key.public_key(), kept or [])


def seqs(lines: Sequence[bytes]) -> list[int]:
    return [decode_line(bytes(raw)).seq for raw in lines]
