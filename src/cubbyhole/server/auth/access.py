"""The desk that knows callers. `Auth` is made once by the composition root and kept in ``app.state.auth``."""

from __future__ import annotations

from cubbyhole.server.auth.roles import Caller
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store

COOKIE = "cubbyhole_session"


class Auth:
    """``always_secure``: the server is reached by https through a proxy, so its cookies are always Secure."""

    def __init__(self, store: Store, pool: WorkPool, *, always_secure: bool = False) -> None:
        self.store, self.pool, self.always_secure = store, pool, always_secure

    def by_session(self, token: str) -> Caller | None: ...
    def by_bearer(self, token: str) -> Caller | None: ...
