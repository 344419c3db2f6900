"""The ways by which a notice reaches somebody. Mail is the first; web push or a chat come as another `Channel`."""

from __future__ import annotations

from typing import Protocol

from cubbyhole.server.jobs.outbox import Job
from cubbyhole.server.jobs.runner import Outcome


class Channel(Protocol):
    """One way. Each has its own row in the outbox for a notice, so that a retry of one does not double another's."""

    @property
    def kind(self) -> str:
        """The outbox's word for its jobs."""

    def deliver(self, job: Job) -> Outcome:
        """Bring one notice (`notice.unpack` of the payload) to its person, in a thread. At least once: a try that was
        broken off is repeated with the same `Job.key`. Nobody to bring it to by this way is `Done`."""
