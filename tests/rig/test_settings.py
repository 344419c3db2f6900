from __future__ import annotations

from pathlib import Path

import pytest

from cubbyhole.simulator.rig.settings import SettingsError, load

GOOD = """
[[bank]]
id = "A"
  [[bank.bus]]
  driver = "modbus"
  port = "locks"
  supply = "s1"
    [[bank.bus.board]]
    address = 1
    channels = 8
    first = "09"
  [[bank.reader]]
  port = "reader"
  form = "hex"
"""


def read(tmp_path: Path, toml: str) -> str:
    path = tmp_path / "rig.toml"
    path.write_text(toml)
    try:
        load(path)
    except SettingsError as error:
        return str(error)
    return "good"


def test_paths_are_from_the_files_own_folder_and_the_controllers_keys_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rig.toml"
    path.write_text(GOOD)
    [bank] = load(path).banks
    assert bank.buses[0].port == str(tmp_path / "locks")
    assert [bank.buses[0].boards[0].number(channel) for channel in (0, 1, 7)] == ["09", "10", "16"]
    assert bank.readers[0].name == "bank"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('id = "A"', "", "id is missing"),
        ('id = "A"', 'id = "A B"', "at most 24"),
        (
            "channels = 8",
            "channels = 33",
            "bus 1 (locks), board 1: channels must be a whole number from 1 to 32",
        ),
        ("channels = 8", "channel = 8", "channels is missing"),
        ('first = "09"', 'first = "nine"', "first must be a locker number"),
        ('first = "09"', 'frist = "09"', "'frist' is not known here"),
        ('driver = "modbus"', 'driver = "hafele"', "driver must be one of modbus, cu16"),
        ('port = "reader"', 'port = "locks"', "is there twice"),
        ('port = "reader"', 'port = "reader"\n  locker = "01"', "is on no board"),
        ('port = "locks"', 'port = "socket://nowhere"', "as host:port"),
        ('port = "locks"', 'port = "rfc2217://x:1"', "a path or socket://"),
        ("[[bank]]", "[[bank", "not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert says in read(tmp_path, GOOD.replace(old, new))


def test_two_boards_with_the_same_lockers_are_refused(tmp_path: Path) -> None:
    more = '    [[bank.bus.board]]\n    address = 2\n    channels = 4\n    first = "16"\n'
    assert "locker 16 is there twice" in read(tmp_path, GOOD.replace("  [[bank.reader]]", more + "  [[bank.reader]]"))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "nothing.toml")
