"""A bank's journal leaves the server and is verified without it; `cubbyhole audit` is what people type for that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, update
from typer.testing import CliRunner, Result

from cubbyhole.cli.audit import audit
from cubbyhole.domain import events as ev
from cubbyhole.protocol.export import ReceiptRecord, decode_record, encode_record
from cubbyhole.protocol.journal import LineError, decode_line
from cubbyhole.protocol.signing import load_or_make, public_text
from cubbyhole.protocol.verify import Verdict, verify
from cubbyhole.server.audit.export import LINES_AT_ONCE, NoSuchBank, export_journal, receipts
from cubbyhole.server.directory.rows import people_by_name, person_row
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.people.commands import add_person
from cubbyhole.server.persistence.tables import enrolments, events, people, server_audit
from cubbyhole.server.persistence.unit import Store
from tests.server.hand import HandBank


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder whose server has started once."""
    folder = tmp_path / "home"
    load_or_make(folder / "keys" / "receipt.key")
    return folder


@pytest.fixture
def key(home: Path) -> Ed25519PrivateKey:
    return load_or_make(home / "keys" / "receipt.key")


@pytest.fixture
def bank(store: Store, sealing: SealingKey, key: Ed25519PrivateKey) -> HandBank:
    """A bank on its second controller, so that its journal has two epochs."""
    made = HandBank(store, key).begin(sealing)
    made.write(ev.DoorOpened(locker="01"), ev.DoorClosed(locker="01"))
    made.begin(sealing)
    made.write(ev.DoorOpened(locker="02"))
    made.write(ev.DoorClosed(locker="02"))
    return made


def exported(store: Store, key: Ed25519PrivateKey, **options: Any) -> list[bytes]:
    with store.read() as connection:
        return list(export_journal(connection, key, "A", store.now_ms(), **options))


def kept(store: Store, **options: Any) -> list[ReceiptRecord]:
    with store.read() as connection:
        return list(receipts(connection, "A", **options))


def verdict_on(records: list[bytes], key: Ed25519PrivateKey, given: list[ReceiptRecord]) -> Verdict:
    return verify(records, key.public_key(), given)


def test_an_exported_journal_of_two_controllers_verifies_and_its_receipts_prove_the_end(
    store: Store, bank: HandBank, key: Ed25519PrivateKey
) -> None:
    verdict = verdict_on(exported(store, key), key, kept(store))
    assert (verdict.ok, verdict.lines, len(verdict.epochs), verdict.not_proved) == (True, 8, 2, [])
    assert [epoch.receipted for epoch in verdict.epochs] == [4, 4]


def test_the_journal_says_who_endorsed_each_controllers_key(
    store: Store, bank: HandBank, key: Ed25519PrivateKey
) -> None:
    verdict = verdict_on(exported(store, key), key, [])
    assert [e.endorsed is not None and e.endorsed.by for e in verdict.epochs] == ["op:test", "op:test"]
    assert sum("endorsed by op:test" in text for text in verdict.proved) == 2
    with store.write() as work:  # a code of an earlier release, whose audit log is gone
        work.connection.execute(update(enrolments).values(made_by=None))
    verdict = verdict_on(exported(store, key), key, [])
    assert verdict.ok and sum("does not say who endorsed" in text for text in verdict.not_proved) == 2


def test_receipts_are_the_newest_of_each_epoch_or_all(store: Store, bank: HandBank) -> None:
    assert [record.seq for record in kept(store)] == [4, 4]
    assert [record.seq for record in kept(store, every=True)] == [2, 4, 2, 3, 4]


def test_a_journal_exported_after_its_end_was_cut_is_found_out_by_kept_receipts(
    store: Store, bank: HandBank, key: Ed25519PrivateKey
) -> None:
    before = kept(store)
    cut = [record for record in exported(store, key) if b'"seq":4' not in record.replace(b'\\"', b'"')]
    # The last epoch's line 4 with its head and receipt are gone, and so is the first one's: verification names it.
    assert not verdict_on(cut, key, before).ok


def test_an_export_under_another_servers_key_is_refused(store: Store, bank: HandBank, key: Ed25519PrivateKey) -> None:
    verdict = verdict_on(exported(store, Ed25519PrivateKey.generate()), key, [])
    assert not verdict.ok and "not certified" in verdict.why


def test_a_long_journal_is_exported_in_parts_and_whole(store: Store, bank: HandBank, key: Ed25519PrivateKey) -> None:
    steps: list[ev.Event] = [ev.DoorOpened(locker="03"), ev.DoorClosed(locker="03")]
    for _ in range(5):
        bank.write(*steps * (LINES_AT_ONCE // 8))
    verdict = verdict_on(exported(store, key), key, kept(store))
    assert verdict.ok and verdict.epochs[1].last == 4 + 10 * (LINES_AT_ONCE // 8) > LINES_AT_ONCE


def test_identities_are_in_it_only_when_asked_for_and_only_as_they_were_bound(
    store: Store, bank: HandBank, key: Ed25519PrivateKey
) -> None:
    with store.write() as work:
        ada = add_person(work, "op:test", name="Ada Okafor", email="ada@kestrel.example")
        ben = add_person(work, "op:test", name="Ben Carter", email="ben@kestrel.example")
        rows = people_by_name(work.connection, [ada, ben])
    for person in (ada, ben):
        bank.write(ev.PersonBound(person=person, commitment=person_row(rows[person], ()).commitment))
    with store.write() as work:  # Ben has another name since; nothing binds that one
        work.connection.execute(update(people).where(people.c.person == ben).values(name="Ben Weber"))
    assert b"Ada Okafor" not in b"".join(exported(store, key))
    records = exported(store, key, identities=True)
    assert b"Ada Okafor" in records[-1] and b"Ben" not in b"".join(records)
    assert verdict_on(records, key, kept(store)).ok
    swapped = [*records[:-1], records[-1].replace(b"Ada Okafor", b"Eva Okafor")]
    assert "swapped" in verdict_on(swapped, key, []).why


def test_a_line_that_cannot_be_exported_as_text_is_no_journal_line(bank: HandBank, store: Store) -> None:
    with store.read() as connection:
        raw = bytes(
            connection.execute(select(events.c.line).where(events.c.type == "door.opened")).scalars().first() or b""
        )
    assert decode_line(raw).type == "door.opened"
    with pytest.raises(LineError):
        decode_line(raw[:-1] + b',"more":"\xff"}')


def test_a_bank_that_is_not_there_is_named(store: Store, bank: HandBank, key: Ed25519PrivateKey) -> None:
    with store.read() as connection, pytest.raises(NoSuchBank, match="there is A"):
        export_journal(connection, key, "Z", 0)


# -- what people type -------------------------------------------------------------------------------------------


class Shell:
    """`cubbyhole audit` in a data folder."""

    def __init__(self, home: Path, database_url: str) -> None:
        self.environment = {"CUBBYHOLE_HOME": str(home), "CUBBYHOLE_DATABASE_URL": database_url}

    def __call__(self, *words: object) -> Result:
        return CliRunner().invoke(audit, [str(word) for word in words], env=self.environment)


@pytest.fixture
def shell(home: Path, database_url: str, bank: HandBank) -> Shell:
    return Shell(home, database_url)


def test_export_receipts_key_and_verify_fit_together(shell: Shell, store: Store, tmp_path: Path) -> None:
    file, receipts_file, key_file = tmp_path / "a.jsonl", tmp_path / "a.receipts", tmp_path / "server.pub"
    written = shell("export", "A", "--out", file, "--json")
    assert written.exit_code == 0, written.output
    assert json.loads(written.stdout)["records"] == len(file.read_bytes().splitlines())
    assert file.stat().st_mode & 0o777 == 0o600 and not list(tmp_path.glob("*.part"))
    assert shell("receipts", "A", "--out", receipts_file).exit_code == 0
    key_file.write_text(shell("key").stdout)
    for key in (key_file, key_file.read_text().strip()):
        done = shell("verify", file, "--key", key, "--receipts", receipts_file, "--json")
        facts = json.loads(done.stdout)
        assert (done.exit_code, facts["ok"], facts["lines"], facts["not_proved"]) == (0, True, 8, [])
    without = shell("verify", file, "--key", key_file)
    assert without.exit_code == 0
    assert "Not proved: " in without.stdout and "nothing shows that" in without.stdout
    with store.read() as connection:
        [row] = connection.execute(select(server_audit).where(server_audit.c.act == "journal.exported")).mappings()
    assert row["subject"] == "A" and row["actor"].startswith("op:shell")


def test_verify_ends_with_one_and_names_the_first_wrong_line(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    shell("export", "A", "--out", file)
    lines = file.read_bytes().splitlines(keepends=True)
    wrong = next(at for at, line in enumerate(lines) if b"door.closed" in line)
    lines[wrong] = lines[wrong].replace(b"door.closed", b"door.opened")
    file.write_bytes(b"".join(lines))
    key = shell("key").stdout.strip()
    said = shell("verify", file, "--key", key)
    # Lines 3 and 4 have one signature: the first line that it covers is named.
    assert said.exit_code == 1 and f"WRONG: line {wrong}" in said.stdout and "Nothing is proved" in said.stdout
    facts = json.loads(shell("verify", file, "--key", key, "--json").stdout)
    assert (facts["ok"], facts["line"]) == (False, wrong)


def test_verify_refuses_what_is_no_key_and_no_receipt_with_two(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    shell("export", "A", "--out", file)
    key = shell("key").stdout.strip()
    assert shell("verify", file, "--key", "nonsense").exit_code == 2
    assert shell("verify", tmp_path / "missing", "--key", key).exit_code == 2
    mixed = shell("verify", file, "--key", key, "--receipts", file)
    assert mixed.exit_code == 2 and "line 1: not a receipt" in mixed.stderr


def test_garbage_is_wrong_and_no_traceback(tmp_path: Path, key: Ed25519PrivateKey) -> None:
    file = tmp_path / "garbage"
    for content in (b"", b"\xff" * 5000, b"{}\n", b"x" * 3_000_000):
        file.write_bytes(content)
        said = CliRunner().invoke(audit, ["verify", str(file), "--key", public_text(key)])
        assert said.exit_code == 1 and "WRONG" in said.stdout, said.output


def test_without_a_server_there_is_no_key_and_none_is_made(tmp_path: Path) -> None:
    said = CliRunner().invoke(audit, ["key", "--home", str(tmp_path / "nobody")])
    assert said.exit_code == 1 and "--home" in said.stderr and not (tmp_path / "nobody").exists()


def test_export_to_standard_output_is_the_file(shell: Shell, tmp_path: Path) -> None:
    records = shell("export", "A").stdout_bytes.splitlines(keepends=True)
    assert [encode_record(decode_record(record)) for record in records] == records
    assert shell("export", "A", "--json").exit_code == 1
    assert "there is A" in shell("export", "Z", "--out", tmp_path / "z").stderr and not (tmp_path / "z").exists()
