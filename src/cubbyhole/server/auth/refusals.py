"""What was refused to whom is written down: each in the log, and in the audit at most once a minute for the same."""

from __future__ import annotations

import threading
from collections import OrderedDict

import structlog

from cubbyhole.server.persistence.unit import Store

log = structlog.get_logger(__name__)

AGAIN_AFTER_MS = 60_000
REMEMBERED_MOST = 2000
SUBJECT_MOST = 120


class Refusals:
    """Whoever asks a thousand times does not fill the record: the next row says how often it was meanwhile."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, actor: str, why: str, subject: str) -> None:
        """Write down that ``actor`` was refused ``why`` at ``subject`` (method and path)."""
        log.warning("refused", actor=actor, why=why, subject=subject[:SUBJECT_MOST])
        now_ms = self._store.now_ms()
        with self._lock:
            last_ms, unsaid = self._seen.get((actor, why), (None, 0))
            if last_ms is not None and 0 <= now_ms - last_ms < AGAIN_AFTER_MS:
                self._seen[actor, why] = (last_ms, unsaid + 1)
                return
            self._seen[actor, why] = (now_ms, 0)
            self._seen.move_to_end((actor, why))
            while len(self._seen) > REMEMBERED_MOST:
                self._seen.popitem(last=False)
        more = {"before": unsaid} if unsaid else {}
        with self._store.write() as work:
            work.audit(actor, "refused", subject[:SUBJECT_MOST], why=why, **more)
