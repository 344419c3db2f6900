"""`Notices`: where the rest of the server says that somebody should be told something."""

from __future__ import annotations

from collections.abc import Sequence

from cubbyhole.server.keys import SealingKey
from cubbyhole.server.notices.channels import Channel
from cubbyhole.server.notices.notice import Notice, To, pack
from cubbyhole.server.persistence.unit import UnitOfWork


class Notices:
    """``tell`` in the transaction of what happened: they are told if, and only if, it commits."""

    def __init__(self, key: SealingKey, channels: Sequence[Channel], *, mail_is_configured: bool) -> None:
        self._key, self._channels = key, tuple(channels)
        # Without it, e.g. nobody can be sent a sign-in code, and the page says so.
        self.mail_is_configured = mail_is_configured

    def tell(self, work: UnitOfWork, to: To, notice: Notice, *, not_before_ms: int | None = None) -> None:
        """Whoever cannot be reached by a channel (no address, has left) is not told by it; that is no error."""
        for channel in self._channels:
            work.enqueue(
                channel.kind, pack(to, notice, self._key), not_before_ms=not_before_ms, not_after_ms=notice.not_after_ms
            )
