"""The controller's composition root: configuration, keys, stores, drivers and the link meet here and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from cubbyhole import __version__
from cubbyhole.domain import events as ev
from cubbyhole.domain.credential import BadgeError, canonical_uid
from cubbyhole.drivers.line_reader import BadRead, LineReader, ReadCredential
from cubbyhole.drivers.registry import family
from cubbyhole.edge.bank import Bank
from cubbyhole.edge.clock import SystemClock, kernel_sync
from cubbyhole.edge.config import (
    BankConfig,
    ControllerConfig,
    ReaderConfig,
    bus_settings,
)
from cubbyhole.edge.core import BankCore
from cubbyhole.edge.fabric import enrol
from cubbyhole.edge.fabric.enrol import Enrolment
from cubbyhole.edge.fabric.link import BankLink
from cubbyhole.edge.runner import settle_memory
from cubbyhole.edge.store import BankStore
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.fabric.errors import FabricError
from cubbyhole.protocol.signing import public_text

log = structlog.get_logger(__name__)

ASK_AGAIN_S = 2.0
# A core whose sync has returned must not wait Python's usual 5 ms behind whatever the event loop is busy with.
SWITCH_AFTER_S = 0.000_2
CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class _Opened:
    config: BankConfig
    core: BankCore
    path: Path
    acked: int


def mint(prefix: str) -> str:
    """A fresh id: 16 hex digits behind the prefix, 32 without one."""
    text = uuid.uuid4().hex
    return f"{prefix}_{text[:16]}" if prefix else text


async def run(config: ControllerConfig, folder: Path, nats_url: str | None = None) -> None:
    """Run the controller until SIGTERM or SIGINT. Raises NotEnrolled, ConfigError, StoreFull or StoreBroken."""
    sys.setswitchinterval(SWITCH_AFTER_S)
    enrolment = enrol.load(folder)
    link = BankLink(enrolment, nats_urls=(nats_url,) if nats_url else ())
    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_broken(error: BaseException) -> None:
        if not broken.done():
            broken.set_exception(error)

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    boot = mint("")
    fresh = [b for b in config.bank if BankStore(folder / f"bank-{b.id}.db", b.id).epoch() is None]
    resumes = await _ask_to_resume(enrolment, [b.id for b in fresh], nats_url, stop) if fresh else {}
    if stop.is_set():
        return
    banks = [_bank(_open(b, folder, enrolment, boot, resumes.get(b.id)), link, on_broken) for b in config.bank]

    def on_state(connected: bool, reason: str) -> None:
        for bank in banks:
            bank.reconnected()

    link.on_state(on_state)
    await link.start()
    tasks = [asyncio.create_task(bank.run(), name=f"bank {bank.id}") for bank in banks]
    for bank, bank_config in zip(banks, config.bank, strict=True):
        tasks += [asyncio.create_task(_read(bank, reader)) for reader in bank_config.reader]
    settle_memory()
    log.info(
        "controller runs",
        controller=enrolment.controller,
        banks=[bank.id for bank in banks],
    )
    waiting: asyncio.Future[bool] = asyncio.create_task(stop.wait())
    watched: set[asyncio.Future[None]] = {broken, *tasks}
    everything: list[asyncio.Future[Any]] = [waiting, *watched]
    await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
    done = [ended for ended in watched if ended.done()]
    for future in everything:
        future.cancel()
    await asyncio.gather(*tasks, waiting, return_exceptions=True)
    await link.stop()
    for ended in done:
        ended.result()


async def _ask_to_resume(
    enrolment: Enrolment, banks: list[str], nats_url: str | None, stop: asyncio.Event
) -> dict[str, m.ResumeReply]:
    """A journal that begins must know what came before it, so a first start needs the server once."""
    link = BankLink(enrolment, nats_urls=(nats_url,) if nats_url else ())
    await link.start()
    with contextlib.suppress(FabricError):
        await link.wait_connected(CONNECT_S)  # a moment of connecting is no news
    found: dict[str, m.ResumeReply] = {}
    told = False
    try:
        while len(found) < len(banks) and not stop.is_set():
            for bank in banks:
                if bank in found:
                    continue
                try:
                    reply = await link.request(bank, "resume", m.encode(m.ResumeRequest(bank=bank)), 5.0)
                    found[bank] = m.decode(m.ResumeReply, reply)
                except (FabricError, m.MessageError) as error:
                    if not told:
                        log.warning(
                            "a bank's first start needs the server once; waiting for it",
                            bank=bank,
                            why=str(error),
                        )
                        told = True
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(ASK_AGAIN_S):
                            await stop.wait()
    finally:
        await link.stop()
    return found


def _open(
    config: BankConfig,
    folder: Path,
    enrolment: Enrolment,
    boot: str,
    resume: m.ResumeReply | None,
) -> _Opened:
    path = folder / f"bank-{config.id}.db"
    store = BankStore(path, config.id)
    journal = enrolment.keys.journal

    def started() -> ev.EpochStarted:
        assert resume is not None, "asked for before any fresh bank is opened"
        return ev.EpochStarted(
            controller=enrolment.controller, journal_key=public_text(journal), previous_epoch=resume.previous_epoch,
            previous_seq=resume.previous_seq, previous_hash=resume.previous_hash, assignments=tuple(resume.assignments),
            disabled=tuple(resume.disabled), answered=tuple(resume.answered), standing=resume.standing,
        )  # fmt: skip

    core = BankCore(
        config.settings(),
        store,
        journal,
        enrolment.controller,
        SystemClock(),
        mint,
        boot,
        __version__,
    )
    core.start(kernel_sync(), started if resume is not None else None)
    return _Opened(config, core, path, store.acked())


def _bank(opened: _Opened, link: BankLink, on_broken: Callable[[BaseException], None]) -> Bank:
    buses = [(bus, family(bus.driver).create(bus_settings(bus))) for bus in opened.config.bus]
    return Bank(
        opened.config,
        opened.core,
        opened.path,
        opened.acked,
        buses,
        link,
        SystemClock(),
        on_broken,
    )


async def _read(bank: Bank, config: ReaderConfig) -> None:
    """Pass a reader's badges on; what is no badge is logged and goes no further."""
    reader = LineReader(config.port, config.baudrate, "decimal" if config.form == "decimal" else "hex")
    async for read in reader:
        match read:
            case ReadCredential():
                try:
                    canonical = canonical_uid(read.raw)
                except BadgeError as error:
                    log.info(
                        "a read was no badge",
                        bank=bank.id,
                        reader=config.port,
                        why=str(error),
                    )
                    continue
                bank.tap(config.locker, canonical, read.received_mono_ns // 1_000_000)
            case BadRead():
                log.info(
                    "a reader sent something else than a badge",
                    bank=bank.id,
                    why=read.reason,
                )
