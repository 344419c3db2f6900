"""What a bank asks besides sending its journal: claim, sync, standing commands, where to resume."""

from __future__ import annotations

from sqlalchemy import select

from cubbyhole.domain.events import Assigned, Disabled
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.journal import decode_state
from cubbyhole.server.banks.messages import Unacceptable, parse
from cubbyhole.server.commands import standing
from cubbyhole.server.commands.live import LiveCommands
from cubbyhole.server.directory.sync import DirectoryDesk, UnknownBank
from cubbyhole.server.persistence.tables import banks
from cubbyhole.server.persistence.unit import Store


class BankDesk:
    """One method per verb; each takes the subject's bank and the payload and returns the answer's bytes."""

    def __init__(self, store: Store, directory: DirectoryDesk, live: LiveCommands) -> None:
        self._store, self._directory, self._live = store, directory, live

    def claim(self, bank: str, payload: bytes) -> bytes:
        return m.encode(self._live.claim(bank, parse(m.Claim, bank, payload).command))

    def sync(self, bank: str, payload: bytes) -> bytes:
        try:
            return self._directory.answer(bank, parse(m.SyncRequest, bank, payload))
        except UnknownBank as error:
            raise Unacceptable("unknown_bank", str(error)) from None

    def standing(self, bank: str, payload: bytes) -> bytes:
        request = parse(m.StandingRequest, bank, payload)
        with self._store.read() as connection:
            return m.encode(standing.pull(connection, bank, request.after))

    def resume(self, bank: str, payload: bytes) -> bytes:
        """What the server has committed of the bank, for a controller that begins a new journal."""
        parse(m.ResumeRequest, bank, payload)
        with self._store.read() as connection:
            row = connection.execute(select(banks).where(banks.c.bank == bank)).mappings().one_or_none()
        if row is None:
            raise Unacceptable("unknown_bank", f"bank {bank} is not enrolled here")
        state = decode_state(row["state"])
        held = [s for s in state.lockers.values() if s.assignment is not None]
        return m.encode(
            m.ResumeReply(
                previous_epoch=row["epoch"] or None,
                previous_seq=row["last_seq"],
                previous_hash=row["last_hash"] or None,
                assignments=[
                    Assigned(
                        assignment=s.assignment.assignment, locker=s.number, person=s.assignment.person,
                        mode=s.assignment.mode, since_ms=s.assignment.since_ms, ends_ms=s.assignment.ends_ms,
                        rule=s.assignment.rule, renewed=s.assignment.renewed,
                        hold_until_ms=s.assignment.hold_until_ms, shares=s.assignment.shares,
                    )
                    for s in held if s.assignment is not None
                ],
                disabled=[
                    Disabled(locker=s.number, reason=s.out_of_service)
                    for s in state.lockers.values() if s.out_of_service is not None
                ],
                answered=list(state.answered.values()),
                standing=state.standing,
            )
        )  # fmt: skip
