"""What a session remembers of the machine that it was begun at: enough to recognise it in a list, and no more."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

# The first that is in the browser's name counts: Edge and Opera call themselves Chrome as well, and Chrome Safari.
_BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chromium", "Chromium"), ("Chrome", "Chrome"), ("Safari", "Safari"),
)  # fmt: skip
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("CrOS", "ChromeOS"), ("Windows", "Windows"),
    ("Mac OS X", "macOS"), ("Linux", "Linux"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Device:
    """``name`` is browser and system, or empty; ``network`` is the address's family alone, or empty."""

    name: str = ""
    network: str = ""


UNKNOWN = Device()


def device_of(headers: Mapping[str, str], address: str | None) -> Device:
    """What a request says of its device. ``headers`` by lower-case name."""
    said = headers.get("user-agent", "")[:400]
    browser = next((name for mark, name in _BROWSERS if mark in said), "")
    system = next((name for mark, name in _SYSTEMS if mark in said), "")
    return Device(", ".join(part for part in (browser, system) if part), _family(address))


def _family(address: str | None) -> str:
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    return "IPv6" if found.version == 6 and found.ipv4_mapped is None else "IPv4"
