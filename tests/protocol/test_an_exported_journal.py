"""An exported journal against everything that somebody could do to it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cubbyhole.domain import events as ev
from cubbyhole.domain.chain import genesis, head_text, link, receipt_text
from cubbyhole.domain.moment import Moment
from cubbyhole.protocol.digest import commitment
from cubbyhole.protocol.export import (
    EXPORT_VERSION,
    Endorsement,
    HeadRecord,
    IdentityRecord,
    KeyRecord,
    LineRecord,
    Manifest,
    ReceiptRecord,
    Record,
    encode_record,
    key_text,
)  # fmt: skip
from cubbyhole.protocol.journal import encode_line
from cubbyhole.protocol.signing import public_text, sign
from cubbyhole.protocol.verify import Verdict, verify

SALT = b"0123456789abcdef"
NOON_MS = 1_794_830_400_000  # 2026-11-16 12:00 UTC


@dataclass
class Exported:
    """A journal of two epochs by two controllers, with heads, receipts and one identity."""

    authority: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    records: list[Record] = field(default_factory=list)
    receipts: list[ReceiptRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.records.append(Manifest(v=EXPORT_VERSION, bank="A", made_ms=1, authority=public_text(self.authority)))
        last = self.epoch("a" * 32, Ed25519PrivateKey.generate(), None, 0, None)
        self.epoch("b" * 32, Ed25519PrivateKey.generate(), "a" * 32, 4, last)
        salt = base64.b64encode(SALT).decode()
        self.records.append(IdentityRecord(person="p_ada", salt=salt, identity="Ada Okafor"))

    def epoch(
        self, epoch: str, key: Ed25519PrivateKey, previous: str | None, seq: int, previous_hash: str | None
    ) -> str:
        bare = KeyRecord(
            bank="A", controller=f"ctl_{epoch[:2]}", journal_key=public_text(key), since_ms=1, signature="",
            endorsed=Endorsement(by="op:ada", code="0a1b2c3d", code_ms=NOON_MS, enrolled_ms=NOON_MS + 60_000),
        )  # fmt: skip
        bare.signature = sign(self.authority, key_text(bare))
        self.records.append(bare)
        started = ev.EpochStarted(
            controller=bare.controller, journal_key=bare.journal_key, previous_epoch=previous, previous_seq=seq,
            previous_hash=previous_hash,
        )  # fmt: skip
        bound = ev.PersonBound(person="p_ada", commitment=commitment(SALT, "Ada Okafor"))
        running = genesis("A", epoch)
        made: list[ev.Event] = [started, bound, ev.DoorOpened(locker="01"), ev.DoorClosed(locker="01")]
        for number, event in enumerate(made, 1):
            moment = Moment(1000 + number, number, "0" * 32, True)
            raw = encode_line(bank="A", epoch=epoch, seq=number, moment=moment, actor=None, event=event)
            running = link(running, raw)
            self.records.append(LineRecord(text=raw.decode()))
            if number in (2, 4):
                signature = sign(key, head_text("A", epoch, number, running))
                self.records.append(HeadRecord(epoch=epoch, seq=number, hash=running.hex(), signature=signature))
        text = receipt_text("A", epoch, 4, running, 5000)
        self.receipts.append(
            ReceiptRecord(
                bank="A", epoch=epoch, seq=4, hash=running.hex(), received_ms=5000, signature=sign(self.authority, text)
            )
        )
        return running.hex()

    def verify(self, *, receipts: bool = True, authority: Ed25519PrivateKey | None = None) -> Verdict:
        raw = b"".join(map(encode_record, self.records)).splitlines(keepends=True)
        return verify(raw, (authority or self.authority).public_key(), self.receipts if receipts else ())

    def at(self, text: str) -> int:
        """Index of the first record that contains ``text``."""
        return next(i for i, r in enumerate(self.records) if text in encode_record(r).decode())


@pytest.fixture
def export() -> Exported:
    return Exported()


def test_an_untouched_export_is_proved_complete_by_its_receipts(export: Exported) -> None:
    verdict = export.verify()
    assert (verdict.ok, verdict.lines, verdict.not_proved) == (True, 8, [])


def test_without_receipts_it_says_that_nothing_shows_the_end(export: Exported) -> None:
    verdict = export.verify(receipts=False)
    assert verdict.ok and any("nothing shows that 4 is the last" in text for text in verdict.not_proved)


def test_an_edited_line_is_named(export: Exported) -> None:
    index = export.at("door.opened")
    export.records[index] = LineRecord(text=export.records[index].text.replace('"locker":"01"', '"locker":"02"'))  # type: ignore[union-attr]
    verdict = export.verify(receipts=False)
    assert (verdict.ok, verdict.line) == (False, index + 1)


def test_a_deleted_line_is_detected(export: Exported) -> None:
    index = export.at("door.opened")
    del export.records[index]
    assert export.verify(receipts=False).line == index + 1


def test_reordered_lines_are_detected(export: Exported) -> None:
    index = export.at("door.opened")
    export.records[index], export.records[index + 1] = export.records[index + 1], export.records[index]
    assert export.verify(receipts=False).line == index + 1


def test_a_cut_tail_passes_without_receipts_and_is_detected_with_them(export: Exported) -> None:
    start = max(i for i, r in enumerate(export.records) if isinstance(r, LineRecord)) - 1
    del export.records[start : start + 3]  # lines 3 and 4 of the second epoch with their head
    assert export.verify(receipts=False).ok
    verdict = export.verify()
    assert not verdict.ok and "tail was cut" in verdict.why


def test_a_missing_first_epoch_is_detected_by_the_one_that_follows_it(export: Exported) -> None:
    export.records = [
        r for r in export.records if "a" * 32 not in encode_record(r).decode() or isinstance(r, LineRecord)
    ]
    export.records = [
        r for r in export.records if not (isinstance(r, LineRecord) and f'"epoch":"{"a" * 32}"' in r.text)
    ]
    assert "missing" in export.verify(receipts=False).why


def test_a_missing_last_epoch_is_detected_with_receipts_only(export: Exported) -> None:
    export.records = [r for r in export.records if "b" * 32 not in encode_record(r).decode()]
    assert export.verify(receipts=False).ok
    assert "missing" in export.verify().why


def test_a_journal_signed_with_another_key_is_detected() -> None:
    forged, real = Exported(), Ed25519PrivateKey.generate()
    verdict = forged.verify(authority=real)
    assert not verdict.ok and "not certified" in verdict.why


def test_a_swapped_identity_is_detected(export: Exported) -> None:
    export.records[-1] = IdentityRecord(person="p_ada", salt=base64.b64encode(SALT).decode(), identity="Ben Carter")
    verdict = export.verify()
    assert not verdict.ok and "swapped" in verdict.why and verdict.line == len(export.records)


def test_it_says_who_endorsed_each_key_and_that_cannot_be_changed(export: Exported) -> None:
    said = [text for text in export.verify().proved if "endorsed by op:ada" in text]
    assert len(said) == 2 and "on 2026-11-16 12:00:00 UTC" in said[0] and "spent it on 2026-11-16 12:01:00" in said[0]
    for change in ({"by": "op:eve"}, {"code_ms": 5}, {"code": "ffffffff"}, {"enrolled_ms": 5}):
        changed = Exported()
        record = next(r for r in changed.records if isinstance(r, KeyRecord))
        assert record.endorsed is not None
        for name, value in change.items():
            setattr(record.endorsed, name, value)
        assert "not certified" in changed.verify().why
    record.endorsed = None
    assert "not certified" in changed.verify().why, "an endorsement cannot be taken away either"


def test_a_file_of_an_earlier_release_verifies_and_says_that_nobody_is_named(export: Exported) -> None:
    assert isinstance(export.records[0], Manifest)
    export.records[0].v = 1
    for record in export.records:
        if isinstance(record, KeyRecord):
            record.endorsed = None
            record.signature = sign(export.authority, key_text(record))
    verdict = export.verify()
    assert verdict.ok and sum("does not say who endorsed" in text for text in verdict.not_proved) == 2
    export.records[0].v = 3
    assert "this release reads up to 2" in export.verify().why


def test_garbage_gets_a_verdict_and_no_exception() -> None:
    key = Ed25519PrivateKey.generate().public_key()
    for raw in (b"", b"\xff\xfe", b"{}", b"[" * 5000, b'{"record":"line","text":"x"}'):
        assert not verify([raw], key).ok
