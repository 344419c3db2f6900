"""A clock in the hand and a bank's journal in the hand: what the server's tests stand on."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cubbyhole.domain import events as ev
from cubbyhole.domain.chain import genesis, head_text, link
from cubbyhole.domain.moment import Moment
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.enrolment import parse_code
from cubbyhole.protocol.journal import encode_line
from cubbyhole.protocol.signing import public_text, sign
from cubbyhole.server.banks.controllers import create_code, enrol
from cubbyhole.server.banks.ingest import Change, Ingest
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.unit import Store

NOON_MS = 1_794_830_400_000  # 2026-11-16 12:00 UTC, a Monday
COLUMNS = ("M M M M", "L L+ S S")


@dataclass
class HandClock:
    """Wall time, moved by hand."""

    at_ms: int = NOON_MS

    def __call__(self) -> int:
        return self.at_ms

    def pass_ms(self, ms: int) -> None:
        self.at_ms += ms


@dataclass
class HandBank:
    """A bank that writes whatever it is told into its journal, properly chained and signed."""

    store: Store
    receipt_key: Ed25519PrivateKey
    bank: str = "A"
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    epoch: str = ""
    seq: int = 0
    hash: bytes = b""
    announced: list[Change] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def begin(self, sealing: SealingKey) -> HandBank:
        """Enrol a new controller for the bank and begin a journal, which continues the one before."""
        number = next(self._numbers)
        self.key = Ed25519PrivateKey.generate()
        with self.store.write() as work:
            code = create_code(work, b"f" * 16, (self.bank,), "op:test")
            code_id, secret = _parts(code)
            controller, _ = enrol(
                work, sealing, code_id=code_id, secret=secret, nkey=f"U{self.bank}{number}",
                journal_key=public_text(self.key), bank_ids=(self.bank,),
            )  # fmt: skip
        before = (self.epoch or None, self.seq, self.hash.hex() if self.hash else None)
        self.epoch = f"{number:032x}"
        self.seq, self.hash = 0, genesis(self.bank, self.epoch)
        self.write(
            ev.EpochStarted(
                controller=controller, journal_key=public_text(self.key), previous_epoch=before[0],
                previous_seq=before[1], previous_hash=before[2],
            ),
            ev.BankConfigured(
                label="Lobby", area="Ground floor", site="Kestrel House", columns=COLUMNS, reader="door",
                senses_lock=True, senses_occupancy=False, drives_lights=False,
            ),
        )  # fmt: skip
        return self

    def batch(self, *events: ev.Event, actor: str | None = None) -> m.Events:
        """The events as the journal's next lines, with one head."""
        first, lines = self.seq + 1, []
        for event in events:
            self.seq += 1
            moment = Moment(self.store.now_ms(), self.seq, "0" * 32, True)
            raw = encode_line(bank=self.bank, epoch=self.epoch, seq=self.seq, moment=moment, actor=actor, event=event)
            self.hash = link(self.hash, raw)
            lines.append(msgspec.Raw(raw))
        signature = sign(self.key, head_text(self.bank, self.epoch, self.seq, self.hash))
        head = m.Head(seq=self.seq, hash=self.hash.hex(), signature=signature)
        return m.Events(bank=self.bank, epoch=self.epoch, first=first, lines=lines, heads=[head])

    def send(self, batch: m.Events) -> m.EventsReply:
        """What the server answers to a batch."""
        return Ingest(self.store, self.receipt_key, self.announced.append).receive(self.bank, batch)

    def write(self, *events: ev.Event, actor: str | None = None) -> None:
        """One batch with one head, taken by the server."""
        reply = self.send(self.batch(*events, actor=actor))
        assert (reply.ack, reply.quarantined) == (self.seq, False), reply


def _parts(code: str) -> tuple[str, str]:
    parsed = parse_code(code)
    return parsed.code_id, parsed.secret
