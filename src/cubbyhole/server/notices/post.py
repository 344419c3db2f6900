"""The notices of a running server, put together: who tells, what is sent, which links act."""

from __future__ import annotations

from cubbyhole.server.jobs import outbox
from cubbyhole.server.jobs.runner import ALARM, OutboxRunner
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.notices.alarms import AlarmDesk
from cubbyhole.server.notices.desk import Notices
from cubbyhole.server.notices.links import Links
from cubbyhole.server.notices.mail import MailChannel, MailTransport
from cubbyhole.server.notices.rounds import NoticeRounds
from cubbyhole.server.notices.taps import Taps
from cubbyhole.server.persistence.unit import Store

NO_MAIL = "mail: no mail server is set, so nobody gets reminders or sign-in codes: see --smtp and --mail-from"


class Post:
    """``transport`` None: there is no mail server; what should be mailed is kept as given up, and `hints` says so.

    Features use ``notices`` to tell somebody something, ``links`` for addresses that act with one tap, and ``taps`` to
    say what those do.
    """

    def __init__(
        self, store: Store, key: SealingKey, transport: MailTransport | None, *, base_url: str, language: str = "en"
    ) -> None:
        self._store = store
        self.links, self.taps = Links(key, base_url), Taps()
        mail = MailChannel(
            store, key, self.links, transport, base_url=base_url, language=language, acts=self.taps.purposes
        )
        self.notices = Notices(key, [mail], mail_is_configured=transport is not None)
        handlers = {mail.kind: mail.deliver, ALARM: AlarmDesk(store, self.notices).handle}
        break_off = transport.break_off if transport is not None else _nothing
        self._runner = OutboxRunner(store, handlers, break_off=break_off)
        self._rounds = NoticeRounds(store, self.notices)

    async def start(self) -> None:
        await self._runner.start()
        await self._rounds.start()

    async def stop(self) -> None:
        await self._rounds.stop()
        await self._runner.stop()

    def hints(self) -> list[str]:
        """What somebody should look after, though the server does its work."""
        found = [] if self.notices.mail_is_configured else [NO_MAIL]
        with self._store.read() as connection:
            many = outbox.count(connection, outbox.GIVEN_UP)
        if many:
            found.append(f"outbox: {many} given up; see `cubbyhole outbox list`")
        return found


def _nothing() -> None:
    """Nothing waits for a mail server."""
