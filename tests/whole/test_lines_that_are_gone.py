"""The server is restored to an earlier day, and the bank's disk has lost a part of what it would have to send again."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from cubbyhole.simulator.house import House
from tests.support.house import (
    SMALL,
    agree,
    at_the_bank,
    at_the_server,
    eventually,
    last_line,
    of_type,
    open_by_tap,
    rows_of_server,
    running_house,
)

pytestmark = pytest.mark.slow
RESTORED = ("events", "heads", "banks", "lockers", "assignments")


def backed_up(house: House, copy: Path) -> None:
    live, kept = sqlite3.connect(house.folder / "cubbyhole.db"), sqlite3.connect(copy)
    with contextlib.closing(live), contextlib.closing(kept):
        live.backup(kept)


def restored(house: House, copy: Path) -> None:
    """The bank's part of the database is that of the backup, in one transaction, while everything runs."""
    with contextlib.closing(sqlite3.connect(house.folder / "cubbyhole.db", timeout=30)) as live:
        live.execute("ATTACH ? AS backup", (str(copy),))
        with live:
            for table in RESTORED:
                live.execute(f"DELETE FROM {table}")
                live.execute(f"INSERT INTO {table} SELECT * FROM backup.{table}")


def test_what_is_gone_is_signed_for_and_everything_else_arrives(tmp_path: Path) -> None:
    with running_house((SMALL,), people=4) as house:
        ada, ben, *_ = house.staff
        open_by_tap(house, "A", "01", ada)
        eventually(lambda: agree(house, "A"), "the server to have it all")
        day = last_line(house, "A")
        backed_up(house, tmp_path / "backup.db")
        open_by_tap(house, "A", "02", ben)
        eventually(lambda: agree(house, "A"), "the server to have it all")
        with contextlib.closing(sqlite3.connect(house.journal_of("A"), timeout=30)) as disk, disk:
            disk.execute("UPDATE line SET bytes = zeroblob(20) WHERE seq = ?", (day + 2,))
        restored(house, tmp_path / "backup.db")

        told = eventually(lambda: rows_of_server(house, "SELECT first, last, seq FROM gaps"), "the gap to be told")
        [(first, last, line)] = told
        assert first <= day + 2 <= last and first > day
        eventually(lambda: is_whole(house, line), "the view to be whole again")
        have = {kept.seq for kept in at_the_server(house, "A")}
        assert have >= set(range(1, first)) | set(range(last + 1, line + 1)) and not have & set(range(first, last + 1))
        [gap] = of_type(at_the_bank(house, "A", last), "journal.gap")
        assert (gap["first"], gap["last"], gap["why"]) == (first, last, "damaged")
        assert rows_of_server(house, "SELECT kind FROM alarms WHERE kind = 'journal_gap'")
        views = {view["id"]: view for view in house.get("/api/v1/lockers?bank=A")["items"]}
        assert views["A-02"]["holder"] is not None, "whoever got a locker in the lines that are gone still has it"

        file = tmp_path / "journal-A.jsonl"
        house.command("audit", "export", "A", "--out", str(file))
        verdict = audit(house, file)
        assert verdict["ok"], verdict
        assert any(
            f"lines {first} to {last} are gone; the controller says so itself" in x for x in verdict["not_proved"]
        )


def is_whole(house: House, line: int) -> bool:
    [(stale, last)] = rows_of_server(house, "SELECT stale, last_seq FROM banks WHERE bank = 'A'")
    return not stale and last >= line


def audit(house: House, file: Path) -> dict[str, Any]:
    key = house.command("audit", "key")["authority"]
    found: Any = house.command("audit", "verify", str(file), "--key", key)
    return dict(found if isinstance(found, dict) else json.loads(found))
