"""A journal that was found is kept as evidence: compared, exported, and of no effect."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select
from typer.testing import CliRunner

from cubbyhole.cli.audit import audit
from cubbyhole.domain import events as ev
from cubbyhole.domain.chain import link
from cubbyhole.domain.vocabulary import Door
from cubbyhole.edge.store import BankStore
from cubbyhole.protocol.enrolment import parse_code
from cubbyhole.protocol.export import EvidenceLineRecord, EvidenceRecord, Record, encode_record
from cubbyhole.protocol.signing import load_or_make, public_text
from cubbyhole.server.audit.evidence import Imported, import_evidence
from cubbyhole.server.audit.found import NoEvidence
from cubbyhole.server.banks.controllers import create_code, enrol
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.unit import Store
from tests.server.losing import Desk, LosingJournal

SEEN = ev.DoorSeen(locker="01", door=Door.CLOSED)
FORCED = ev.DoorForced(locker="05")


@pytest.fixture
def desk(store: Store, sealing: SealingKey) -> Desk:
    """The server has lines 1 to 4; the controller died with 1 to 8 on its disk."""
    desk = Desk(store, sealing)
    for events in ([SEEN], [FORCED], [SEEN, SEEN], [FORCED], [SEEN]):
        desk.journal.commit(*events)
    assert desk.take(desk.journal.batch(1, 4)).ack == 4
    return desk


def disk_of(journal: LosingJournal, path: Path) -> Path:
    """The journal as its controller kept it."""
    store = BankStore(path, journal.bank)
    store.begin_epoch(journal.epoch)
    first = 1
    for last, head in sorted(journal.heads.items()):
        lines = [(journal.lines[at - 1], journal.hashes[at]) for at in range(first, last + 1)]
        store.commit(journal.epoch, first, lines, head)
        first = last + 1
    store.close()
    return path


def imports(desk: Desk, path: Path) -> Imported:
    with desk.store.write() as work:
        return import_evidence(work, path, desk.receipt_key.public_key(), "op:ada")


def everything_else(desk: Desk) -> list[object]:
    """All that evidence must not touch."""
    with desk.store.read() as connection:
        return [
            connection.execute(select(table)).all()
            for table in (t.banks, t.epochs, t.events, t.heads, t.lockers, t.assignments, t.alarms, t.outbox, t.gaps)
        ]


def test_what_the_dead_controller_still_had_is_kept_and_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    file, before = disk_of(desk.journal, tmp_path / "bank-A.db"), everything_else(desk)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    imported = imports(desk, file)
    [epoch] = imported.epochs
    assert (imported.bank, imported.file_sha256, epoch.is_known) == ("A", digest, True)
    assert (epoch.same, epoch.beyond, epoch.contradictions, epoch.damaged) == ([(1, 4)], [(5, 8)], [], [])
    assert (epoch.kept, epoch.kept_before) == (4, 0)
    assert everything_else(desk) == before
    assert hashlib.sha256(file.read_bytes()).hexdigest() == digest, "the file stays as it was found"


def test_the_same_file_again_adds_nothing(desk: Desk, tmp_path: Path) -> None:
    file = disk_of(desk.journal, tmp_path / "bank-A.db")
    imports(desk, file)
    [epoch] = imports(desk, file).epochs
    assert (epoch.kept, epoch.kept_before) == (0, 4)
    with desk.store.read() as connection:
        assert connection.execute(select(func.count()).select_from(t.evidence_lines)).scalar_one() == 4


def test_an_auditor_gets_it_marked_as_evidence_under_the_controllers_signature(desk: Desk, tmp_path: Path) -> None:
    imports(desk, disk_of(desk.journal, tmp_path / "bank-A.db"))
    records = desk.export()
    assert sum(isinstance(r, EvidenceLineRecord) for r in records) == 4
    verdict = desk.verdict(records)
    assert (verdict.ok, verdict.lines, verdict.epochs[0].last) == (True, 4, 4), "it is no part of the journal"
    [said] = [text for text in verdict.proved if "evidence without effect" in text]
    assert "lines 5 to 8" in said and "op:ada imported on 2026-11-16" in said


@pytest.mark.parametrize("what", ["text", "by", "journal_key", "first", "drop", "double"])
def test_nothing_of_the_evidence_can_be_changed(desk: Desk, tmp_path: Path, what: str) -> None:
    imports(desk, disk_of(desk.journal, tmp_path / "bank-A.db"))
    records: list[Record] = desk.export()
    head = next(r for r in records if isinstance(r, EvidenceRecord))
    lines = [at for at, r in enumerate(records) if isinstance(r, EvidenceLineRecord)]
    if what == "text":
        records[lines[0]] = EvidenceLineRecord(text=records[lines[0]].text.replace("closed", "open"))  # type: ignore[union-attr]
    elif what == "drop":
        del records[lines[-1]]
    elif what == "double":
        records.insert(lines[-1], records[lines[-1]])
    elif what == "first":
        head.first = 4
    else:
        setattr(head, what, public_text(Ed25519PrivateKey.generate()))
    assert not desk.verdict(records).ok


def test_two_signed_histories_are_named_and_kept(desk: Desk, tmp_path: Path) -> None:
    other = LosingJournal(key=desk.journal.key, controller=desk.journal.controller).begin()
    other.commit(FORCED)  # where the server has that the door was seen closed
    other.commit(SEEN)
    other.commit(SEEN)
    [epoch] = imports(desk, disk_of(other, tmp_path / "bank-A.db")).epochs
    assert (epoch.same, epoch.contradictions, epoch.beyond) == ([(1, 2)], [(3, 4)], [(5, 5)])
    verdict = desk.verdict(desk.export())
    assert verdict.ok
    assert any("another line 3: the controller signed two different histories" in text for text in verdict.not_proved)


def test_lines_that_the_server_lacks_in_between_are_found_again(
    store: Store, sealing: SealingKey, tmp_path: Path
) -> None:
    desk = Desk(store, sealing)
    j = desk.journal
    for _ in range(4):
        j.commit(SEEN)
    file = disk_of(j, tmp_path / "an-older-copy.db")
    desk.take(j.batch(1, 2))
    j.lose(3, 5)
    desk.take(j.batch(6, 7, j.proof(7)))
    [epoch] = imports(desk, file).epochs
    assert (epoch.same, epoch.missing) == ([(1, 2), (6, 6)], [(3, 5)])
    verdict = desk.verdict(desk.export())
    assert verdict.ok and any("lines 3 to 5" in text for text in verdict.proved)


def test_a_journal_that_never_reached_the_server_is_kept_under_its_own_epoch(
    desk: Desk, store: Store, sealing: SealingKey, tmp_path: Path
) -> None:
    never = LosingJournal(epoch="f" * 32)
    with store.write() as work:
        code = parse_code(create_code(work, b"f" * 16, ("A",), "op:test"))
        never.controller, _ = enrol(
            work, sealing, code_id=code.code_id, secret=code.secret, nkey="UNEVER",
            journal_key=public_text(never.key), bank_ids=("A",),
        )  # fmt: skip
    never.begin()
    never.commit(FORCED)
    [epoch] = imports(desk, disk_of(never, tmp_path / "bank-A.db")).epochs
    assert (epoch.is_known, epoch.beyond, epoch.kept) == (False, [(1, 3)], 3)
    assert desk.verdict(desk.export()).ok


def test_an_exported_journal_is_evidence_too(desk: Desk, tmp_path: Path) -> None:
    """The server was restored to an earlier day, and an auditor has an export of the day before the loss."""
    file = tmp_path / "journal-A.jsonl"
    with desk.store.write() as work:
        tables = (t.events, t.heads, t.banks)
        was = [[dict(r) for r in work.connection.execute(select(table)).mappings()] for table in tables]
    desk.take(desk.journal.batch(5, 8))
    file.write_bytes(b"".join(map(encode_record, desk.export())))
    with desk.store.write() as work:
        for table, rows in zip(tables, was, strict=True):
            work.connection.execute(table.delete())
            work.connection.execute(table.insert(), rows)
    [epoch] = imports(desk, file).epochs
    assert (epoch.same, epoch.beyond, epoch.kept) == ([(1, 4)], [(5, 8)], 4)
    assert desk.verdict(desk.export()).ok


# -- what is no evidence ----------------------------------------------------------------------------------------


def changed(file: Path, statement: str, *values: object) -> Path:
    db = sqlite3.connect(file)
    with db:
        db.execute(statement, values)
    db.close()
    return file


def test_a_damaged_line_is_left_out_and_what_hangs_together_is_kept(desk: Desk, tmp_path: Path) -> None:
    file = disk_of(desk.journal, tmp_path / "bank-A.db")
    changed(file, "UPDATE line SET bytes = zeroblob(9) WHERE seq = 5")
    [epoch] = imports(desk, file).epochs
    assert (epoch.same, epoch.beyond, epoch.damaged) == ([(1, 4)], [(6, 8)], [(5, 5)])
    assert desk.verdict(desk.export()).ok


def test_a_file_whose_lines_were_rewritten_is_not_signed(desk: Desk, tmp_path: Path) -> None:
    file, j = disk_of(desk.journal, tmp_path / "bank-A.db"), desk.journal
    before = j.hashes[4]
    for seq in range(5, 9):
        raw = j.lines[seq - 1].replace(b'"closed"', b'"open"').replace(b'"05"', b'"06"')
        before = link(before, raw)
        changed(file, "UPDATE line SET bytes = ?, hash = ? WHERE seq = ?", raw, before, seq)
    with pytest.raises(NoEvidence, match=r"line 8 .* is not signed by controller ctl_"):
        imports(desk, file)
    assert not any(isinstance(r, EvidenceRecord) for r in desk.export())


def test_another_key_another_bank_and_no_journal_are_named(desk: Desk, tmp_path: Path) -> None:
    thief = LosingJournal(controller=desk.journal.controller, epoch="d" * 32).begin()
    with pytest.raises(NoEvidence, match="a key that this server never enrolled"):
        imports(desk, disk_of(thief, tmp_path / "thief.db"))
    same_epoch = LosingJournal(controller=desk.journal.controller).begin()
    with pytest.raises(NoEvidence, match="not signed by controller"):
        imports(desk, disk_of(same_epoch, tmp_path / "same.db"))
    other = LosingJournal(key=desk.journal.key, bank="B", controller=desk.journal.controller).begin()
    with pytest.raises(NoEvidence, match="is of bank B; this server has A"):
        imports(desk, disk_of(other, tmp_path / "bank-B.db"))
    for content in (b"", b"hello", b"SQLite format 3\0" + b"\xff" * 5000, b'{"record":"manifest"}\n'):
        (tmp_path / "nothing").write_bytes(content)
        with pytest.raises(NoEvidence):
            imports(desk, tmp_path / "nothing")
    with pytest.raises(NoEvidence, match="cannot be read"):
        imports(desk, tmp_path / "missing")
    changed(tmp_path / "empty.db", "CREATE TABLE other (x)")
    with pytest.raises(NoEvidence, match="no bank's journal"):
        imports(desk, tmp_path / "empty.db")


def test_commits_that_are_still_in_the_log_beside_the_file_count(desk: Desk, tmp_path: Path) -> None:
    file, j = tmp_path / "bank-A.db", desk.journal
    store = BankStore(file, "A")
    store.begin_epoch(j.epoch)
    store.commit(j.epoch, 1, [(j.lines[0], j.hashes[1]), (j.lines[1], j.hashes[2])], j.heads[2])
    assert (tmp_path / "bank-A.db-wal").stat().st_size > 0, "nothing was moved into the file itself yet"
    [epoch] = imports(desk, file).epochs
    assert epoch.same == [(1, 2)]
    store.close()


# -- what people type -------------------------------------------------------------------------------------------


def test_the_command_reports_both_in_words_and_as_json(desk: Desk, database_url: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    load_or_make(home / "keys" / "receipt.key")
    environment = {"CUBBYHOLE_HOME": str(home), "CUBBYHOLE_DATABASE_URL": database_url}
    file = disk_of(desk.journal, tmp_path / "bank-A.db")
    said = CliRunner().invoke(audit, ["import", str(file)], env=environment)
    assert said.exit_code == 0, said.output
    for text in ("exactly these lines: 1 to 4", "that the server has: 5 to 8", "4 lines are kept as evidence now",
                 "Nothing else was changed"):  # fmt: skip
        assert text in said.stdout
    again = CliRunner().invoke(audit, ["import", str(file), "--json"], env=environment)
    facts = json.loads(again.stdout)
    assert (facts["bank"], facts["epochs"][0]["beyond"], facts["epochs"][0]["kept_before"]) == ("A", [[5, 8]], 4)
    wrong = CliRunner().invoke(audit, ["import", str(tmp_path / "missing")], env=environment)
    assert wrong.exit_code == 1 and "Nothing was imported" in wrong.stderr
    with desk.store.read() as connection:
        acts = connection.execute(select(t.server_audit.c.act).where(t.server_audit.c.act == "evidence.imported")).all()
    assert len(acts) == 2
