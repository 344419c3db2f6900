"""The enrolment desk: what the fabric asks when a new controller shows its code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cubbyhole.protocol.enrolment import EnrolReply
from cubbyhole.protocol.fabric.errors import Refused
from cubbyhole.server.banks.controllers import EnrolmentRefused, enrol
from cubbyhole.server.fabric.link import EnrolmentDesk, NewController
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store


def enrolment_desk(
    store: Store, pool: WorkPool, sealing: SealingKey, fabric_url: str, look: Callable[[], Awaitable[None]]
) -> EnrolmentDesk:
    """The desk on these tables; ``look`` makes the rest of the server see the new bank at once."""

    def spend(new: NewController) -> EnrolReply:
        try:
            with store.write() as work:
                name, banks = enrol(
                    work, sealing, code_id=new.code_id, secret=new.secret, nkey=new.nkey_public,
                    journal_key=new.journal_key, bank_ids=new.banks,
                )  # fmt: skip
        except EnrolmentRefused as refusal:
            raise Refused(refusal.word, str(refusal)) from None
        return EnrolReply(v=1, controller=name, nats_url=fabric_url, banks=banks)

    async def desk(new: NewController) -> EnrolReply:
        reply = await pool.run(spend, new)
        await look()
        return reply

    return desk
