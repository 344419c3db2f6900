"""A controller whose disk is full opens nothing that it cannot write down, and says afterwards what is missing.

A file system of a few MiB needs the right to mount one; where that is missing, a limit on the size of the controller's
files stands for it, which every account may set.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cubbyhole.simulator.house import House
from tests.support.house import (
    Kept,
    agree,
    at_the_bank,
    controller_pid,
    eventually,
    free,
    is_online,
    last_line,
    of_type,
    open_by_tap,
    pulses,
    tap,
)

pytestmark = pytest.mark.slow
MIB = 1024 * 1024
DISK_MIB = 24
BANK, NUMBER = "A", "08"


@pytest.fixture(autouse=True)
def _door_is_free(house: House) -> None:
    free(house, f"{BANK}-{NUMBER}")


@pytest.fixture
def small_disk(house: House) -> Iterator[Path]:
    """The controller's folder on a file system of its own of DISK_MIB MiB."""
    folder = house.edge_folder(BANK)
    kept = folder.with_name(f"{BANK}-kept")
    house.sim("power", bank=BANK, act="off")
    shutil.copytree(folder, kept)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        start_again(house)
        shutil.rmtree(kept)
        pytest.skip("this account may not mount a file system; the limit on file sizes is tested instead")
    try:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        start_again(house)
        yield folder
    finally:
        house.sim("power", bank=BANK, act="off")
        shutil.rmtree(kept)
        shutil.copytree(folder, kept)
        subprocess.run(["umount", str(folder)], check=True)
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        start_again(house)
        shutil.rmtree(kept)


def start_again(house: House) -> None:
    line = last_line(house, BANK)
    house.sim("power", bank=BANK, act="on")
    eventually(lambda: of_type(at_the_bank(house, BANK, line), "contact.restored"), "the controller to come back")
    eventually(lambda: is_online(house, BANK) and agree(house, BANK), "the server to have it all")
    # A free locker whose door has not been read twice since the start is not given to anybody.
    eventually(lambda: house.get(f"/api/v1/lockers/{BANK}-{NUMBER}")["door"] == "closed", "the door to be read again")


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    filler = disk / "somebody's log"
    with filler.open("wb") as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(64 * 1024))
                file.flush()
        with contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(1024))
    return filler


def lines_after(house: House, line: int, type_: str) -> list[Kept]:
    return [each for each in at_the_bank(house, BANK, line) if each.type == type_]


def test_a_full_disk_opens_nothing_keeps_its_alarms_and_says_afterwards_what_is_missing(
    house: House, small_disk: Path
) -> None:
    worker, line = house.staff[22], last_line(house, BANK)
    open_by_tap(house, BANK, NUMBER, worker)
    had = len(pulses(house, BANK))
    filler = fill(small_disk)
    denied = 0
    for _ in range(3):
        tap(house, BANK, NUMBER, worker)
        denied += 1
        eventually(lambda: len(lines_after(house, line, "tap.denied")) >= denied, "the denial")  # noqa: B023
    assert {each.facts["reason"] for each in lines_after(house, line, "tap.denied")} == {"disk_full"}
    assert len(pulses(house, BANK)) == had
    house.sim("door", bank=BANK, door="07", act="force")
    eventually(lambda: lines_after(house, line, "door.forced"), "the alarm")
    house.sim("door", bank=BANK, door="07", act="close")
    assert lines_after(house, line, "journal.lost") == []

    filler.unlink()
    lost = eventually(lambda: lines_after(house, line, "journal.lost"), "what is missing to be said")
    assert (len(lost), lost[0].facts["denials"]) == (1, denied)
    open_by_tap(house, BANK, NUMBER, worker)
    eventually(lambda: agree(house, BANK), "the server to hear of it all")
    house.post(f"/api/v1/lockers/{BANK}-07/checked", {"reason": "looked_inside"})


def test_files_that_may_not_grow_open_nothing_until_they_may(house: House) -> None:
    worker, line = house.staff[23], last_line(house, BANK)
    open_by_tap(house, BANK, NUMBER, worker)
    had, pid = len(pulses(house, BANK)), controller_pid(house, BANK)
    assert pid is not None
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
    try:
        tap(house, BANK, NUMBER, worker)
        log = house.folder / f"edge-{BANK}.log"
        eventually(lambda: "decision=Denied" in log.read_text().splitlines()[-1], "the denial in its log")
        assert len(pulses(house, BANK)) == had
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    lost = eventually(lambda: lines_after(house, line, "journal.lost"), "what is missing to be said")
    assert lost[0].facts["denials"] >= 1
    open_by_tap(house, BANK, NUMBER, worker)
    eventually(lambda: agree(house, BANK), "the server to hear of it all")
