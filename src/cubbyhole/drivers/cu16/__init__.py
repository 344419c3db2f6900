"""Kerong CU12 and CU16 lock boards on a serial line or over TCP. See README.md beside this file."""

from __future__ import annotations

from cubbyhole.drivers.cu16.bus import MANIFEST, create

__all__ = ["MANIFEST", "create"]
