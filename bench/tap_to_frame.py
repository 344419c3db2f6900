"""F1: from a reader's last byte to the unlock frame's first byte, online and with the cable cut, at two baud rates.

A whole office of real processes; both moments are the rig's own record, so no process measures itself. Taps come one
at a time, spaced so that the supply's slot is free again, while the bus is polled back to back: the worst case. The
limit is what nobody can avoid (the frame that is in flight, one sync of the disk) and 2 ms for everything else.
"""

from __future__ import annotations

import itertools
import random
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bench.bare import LINE_BYTES, BareSync, slowest_exchange_ms
from bench.figure import Figure, NotMeasured, quantile
from cubbyhole.simulator.house import House, HouseFailed, free_ports
from cubbyhole.simulator.office import LOBBY, BankPlan, Worker, workers
from cubbyhole.simulator.rig.client import RigError
from cubbyhole.simulator.rig.physical import Build

TAPS = 150
ALLOWED_MS = 2.0
PULSE_MS = 200  # the shortest that lock coils take, for short runs; it begins only after what is measured
CLOSE_AFTER_S = 1.5
SPACING_S = (0.14, 0.16)  # banks take turns, so a supply has 280 ms; drawn, so that taps and polls do not march in step
CUT_FOR_S = 4.0
PLANS = (
    replace(LOBBY, id="A", baudrate=9600, pulse_ms=PULSE_MS),
    replace(LOBBY, id="B", baudrate=115200, pulse_ms=PULSE_MS),
)


@dataclass(frozen=True, slots=True)
class _Taps:
    """What TAPS taps took, in ms, and what bare syncs between them took."""

    to_frame: list[float]
    to_open: list[float]
    syncs: list[float]


def run(folder: Path) -> list[Figure]:
    """Eight figures: frame and door, for two baud rates, online and offline. Raises NotMeasured."""
    folder = folder / "tap_to_frame"
    shutil.rmtree(folder, ignore_errors=True)
    staff = workers()
    groups = {plan.id: staff[i * len(plan.numbers) : (i + 1) * len(plan.numbers)] for i, plan in enumerate(PLANS)}
    house = House(folder / "house", free_ports(1)[0], PLANS, staff, auto_close_s=CLOSE_AFTER_S)
    figures: list[Figure] = []
    try:
        house.start()
        for cable in ("online", "cable cut"):
            if cable == "cable cut":
                for plan in PLANS:
                    house.sim("cable", bank=plan.id, act="cut")
                time.sleep(CUT_FOR_S)
            # Beside the same processes as the taps, so that both see the same machine.
            in_flight = {plan.id: slowest_exchange_ms(folder / f"bare-{plan.id}", plan) for plan in PLANS}
            taps = _tap(house, groups, folder)
            for plan in PLANS:
                figures += _figures(f"{plan.baudrate} baud, {cable}", taps[plan.id], in_flight[plan.id])
    except (HouseFailed, RigError) as error:
        raise NotMeasured(str(error)) from None
    finally:
        house.stop()
    return figures


def _tap(house: House, groups: dict[str, list[Worker]], folder: Path) -> dict[str, _Taps]:
    """TAPS taps at each bank, each by another person at another door than the one before, the banks in turn. The
    first round takes free lockers, later ones open their own."""
    before = {plan.id: len(house.sim("truth", bank=plan.id)["taps"]) for plan in PLANS}
    dice = random.Random(1)
    turns = {plan.id: itertools.cycle(list(zip(plan.numbers, groups[plan.id], strict=True))) for plan in PLANS}
    syncs = []
    with BareSync(folder / "bare", LINE_BYTES) as bare:
        for _ in range(TAPS):
            for plan in PLANS:
                began = time.monotonic()
                number, person = next(turns[plan.id])
                house.sim("tap", bank=plan.id, door=number, badge=person.badge)
                time.sleep(0.1)
                syncs.append(bare.once_s() * 1000)
                time.sleep(max(0.0, began + dice.uniform(*SPACING_S) - time.monotonic()))
    time.sleep(0.3)
    return {plan.id: _taps(house, plan, before[plan.id], syncs) for plan in PLANS}


def _taps(house: House, plan: BankPlan, before: int, syncs: list[float]) -> _Taps:
    truth = house.sim("truth", bank=plan.id)
    to_frame, to_open = [], []
    build = Build()
    for tap in truth["taps"][before:]:
        tapped_ns = tap["last_byte_ns"]
        pulse = next(
            (p for p in truth["pulses"] if p["locker"] == tap["reader"] and p["frame_first_ns"] >= tapped_ns), None
        )
        if pulse is None or pulse["frame_first_ns"] - tapped_ns > 1_000_000_000:
            raise NotMeasured(f"a tap at {plan.id}-{tap['reader']} opened nothing; see the logs in {house.folder}")
        to_frame.append((pulse["frame_first_ns"] - tapped_ns) / 1e6)
        to_open.append((pulse["mono_ns"] - tapped_ns) / 1e6 + build.release_ms + build.spring_ms)
    return _Taps(to_frame, to_open, syncs)


def _figures(where: str, taps: _Taps, in_flight: tuple[float, float]) -> list[Figure]:
    in_flight_ms, median_ms = in_flight
    sync_ms = quantile(taps.syncs, 0.99)
    return [
        Figure(
            name=f"F1 tap to unlock frame, {where}", unit="ms, p99", value=quantile(taps.to_frame, 0.99),
            limit=in_flight_ms + sync_ms + ALLOWED_MS,
            limit_is=f"poll or light in flight {in_flight_ms:.2f} (bare, p99; median {median_ms:.2f})"
            f" + fdatasync {sync_ms:.2f} (bare, p99) + {ALLOWED_MS:g}",
            span=f"reader's last byte → unlock frame's first byte, {len(taps.to_frame)} taps, by the rig's record",
            goal=1.0, at_least=False,
        ),
        Figure(
            name=f"F1 tap to open door, {where}", unit="ms, p95", value=quantile(taps.to_open, 0.95), limit=None,
            limit_is="none: reported", goal=None, at_least=False,
            span="reader's last byte → door sprung open; frame by the rig's record, then its latch and spring "
            f"({Build().release_ms} + {Build().spring_ms} ms)",
        ),
    ]  # fmt: skip
