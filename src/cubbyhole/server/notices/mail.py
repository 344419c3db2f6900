"""The channel that writes mails, and the port behind which the post is (`MailTransport`)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, select

from cubbyhole.server.jobs.outbox import Job
from cubbyhole.server.jobs.runner import Done, Failed, Outcome
from cubbyhole.server.keys import KeyDamaged, SealingKey
from cubbyhole.server.notices import notice as n
from cubbyhole.server.notices.letters import Desk, compose
from cubbyhole.server.notices.links import Links, Purpose
from cubbyhole.server.notices.place import Place, place_of
from cubbyhole.server.notices.recipients import Contact, contact_of
from cubbyhole.server.persistence.tables import assignments
from cubbyhole.server.persistence.unit import Store
from cubbyhole.ui.mail import Drawn, MailRenderer
from cubbyhole.ui.words import Words

KIND = "notice.mail"
NOT_SET_UP = "not sent: no mail server is set (--smtp or CUBBYHOLE_SMTP, and --mail-from); set it, then: outbox retry"


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one address. ``key`` is the same at each try, so that a receiver can know a second copy."""

    to: str
    name: str
    drawn: Drawn
    key: str
    made_ms: int


class MailNotSent(Exception):
    """It did not go out, or nobody can say whether it did. ``final``: nor will it, however often it is tried."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


class MailTransport(Protocol):
    """The post. Called in threads, several at once."""

    def send(self, mail: Mail) -> None:
        """Return once the post has taken it over, within a bounded time. Raises MailNotSent."""

    def break_off(self) -> None:
        """Make what is under way end soon: the server stops."""


class MailChannel:
    """``acts``: the purposes on which somebody acts here, asked for at each letter."""

    kind = KIND

    def __init__(
        self, store: Store, key: SealingKey, links: Links, transport: MailTransport | None, *, base_url: str,
        language: str, acts: Callable[[], Collection[Purpose]],
    ) -> None:  # fmt: skip
        self._store, self._key, self._links, self._transport = store, key, links, transport
        self._base_url, self._language, self._acts = base_url, language, acts
        self._renderer = MailRenderer()

    def deliver(self, job: Job) -> Outcome:
        """Write the letter with what is true now, and hand it to the post."""
        try:
            to, notice = n.unpack(job.payload, self._key)
        except (ValueError, KeyDamaged) as error:
            return Failed(f"cannot be read: {error}", final=True)
        with self._store.read() as connection:
            if not _still_true(connection, notice):
                return Done("not true any more")
            contact = contact_of(connection, to, self._language)
            place = place_of(connection, getattr(notice, "bank", None))
        if contact is None:
            return Done("nobody to send it to: no address, or no access any more")
        if self._transport is None:
            return Failed(NOT_SET_UP, final=True, quiet=True)
        mail = Mail(contact.address, contact.name, self._draw(notice, contact, place), job.key, job.made_ms)
        try:
            self._transport.send(mail)
        except MailNotSent as error:
            # An alarm about alarms that cannot be mailed could not be mailed either.
            return Failed(str(error), final=error.final, quiet=isinstance(notice, n.Alarms))
        return Done("sent")

    def _draw(self, notice: n.Notice, contact: Contact, place: Place) -> Drawn:
        words = Words(contact.language, place.timezone)
        desk = Desk(words, place, self._links, self._acts(), self._base_url)
        return self._renderer.draw(compose(desk, notice), words)


def _still_true(connection: Connection, notice: n.Notice) -> bool:
    """A reminder that waited for the post says nothing about an end that was moved or came early."""
    if not isinstance(notice, n.EndsSoon):
        return True
    query = select(assignments.c.ends_ms, assignments.c.ended_ms).where(assignments.c.assignment == notice.assignment)
    row = connection.execute(query).one_or_none()
    return row is not None and row.ended_ms is None and row.ends_ms == notice.ends_ms
