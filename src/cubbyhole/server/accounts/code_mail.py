"""Sign-in codes go out as notices."""

from __future__ import annotations

from cubbyhole.server.auth.accounts import Reached
from cubbyhole.server.notices.desk import Notices
from cubbyhole.server.notices.notice import SignInCode, To
from cubbyhole.server.persistence.unit import UnitOfWork


class CodesByMail:
    """`auth.codes.SendsCodes`, by whatever channels notices have."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices

    @property
    def ready(self) -> bool:
        return self._notices.mail_is_configured

    def sign_in_code(
        self, work: UnitOfWork, reached: Reached, address: str, code: str, language: str, not_after_ms: int
    ) -> None:
        account = reached.account.account if reached.account is not None and reached.person is None else None
        to = To(person=reached.person, account=account, address=address, language=language)
        self._notices.tell(work, to, SignInCode(code=code, expires_ms=not_after_ms))
