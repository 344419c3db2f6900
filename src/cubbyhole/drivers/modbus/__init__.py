"""Modbus relay and input boards, RTU over a serial line or over TCP. See README.md beside this file."""

from __future__ import annotations

from cubbyhole.drivers.modbus.bus import MANIFEST, create

__all__ = ["MANIFEST", "create"]
