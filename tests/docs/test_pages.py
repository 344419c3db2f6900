"""What the pages show is true: examples are loaded by the code they describe, and links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from cubbyhole.drivers.modbus.pdu import pulse
from cubbyhole.drivers.registry import families, family
from cubbyhole.edge import config

ROOT = Path(__file__).parents[2]
WIRING = ROOT / "docs/how-to/wire-a-board.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "src").rglob("README.md"))]


def test_the_configuration_of_the_wiring_page_is_one_that_a_controller_and_its_drivers_take(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", WIRING.read_text(), re.DOTALL)
    file = tmp_path / "controller.toml"
    file.write_text(example)
    (bank,) = config.load(file).bank
    wired = [number for bus in bank.bus for number in config.wiring(bank, bus)]
    assert wired == [f"{n:02}" for n in range(1, 15)]
    for bus in bank.bus:
        family(bus.driver).create(config.bus_settings(bus))


def test_the_wiring_page_knows_every_family_that_is_shipped() -> None:
    text = WIRING.read_text()
    assert all(f"`{name}`" in text for name in families())


def test_the_pulse_frame_of_the_wiring_page_is_what_the_driver_sends() -> None:
    frame = FramerRTU(DecodePDU(False)).buildFrame(pulse(1, 0, 500))
    assert frame.hex(" ").upper() in WIRING.read_text()


@pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_a_page_that_is_there(document: Path) -> None:
    for target in links(document):
        assert (document.parent / target).exists(), f"{target} is not there"


def test_every_page_can_be_found_from_the_index() -> None:
    index = ROOT / "docs/README.md"
    reached, waiting = set[Path](), {index}
    while waiting:
        document = waiting.pop()
        reached.add(document)
        waiting |= {p for t in links(document) if (p := (document.parent / t).resolve()).suffix == ".md"} - reached
    assert set((ROOT / "docs").rglob("*.md")) <= reached


def links(document: Path) -> list[str]:
    """The targets within this repository."""
    return [t for t in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()) if "://" not in t]
