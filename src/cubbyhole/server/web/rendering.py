"""From a request to a page in the person's language, with the shell that every page has around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection, select

from cubbyhole.server.auth.places import banks_within
from cubbyhole.server.auth.roles import Act, Caller, acts_of, may
from cubbyhole.server.persistence.tables import sites
from cubbyhole.server.persistence.unit import FEED, Store, counter_value
from cubbyhole.server.web.initials import initials_of
from cubbyhole.ui.render import Renderer
from cubbyhole.ui.words import Text, Words, language_for


class Pages:
    """Draws pages. One for the process; safe in several threads.

    ``attention`` counts what needs somebody at these banks (None: all), for the mark beside the overview's name.
    """

    def __init__(
        self, renderer: Renderer, store: Store, attention: Callable[[Connection, Sequence[str] | None], int], *,
        workbench: bool,
    ) -> None:  # fmt: skip
        self._renderer, self._store, self._attention, self._workbench = renderer, store, attention, workbench

    def speak(self, request: Request, connection: Connection) -> Words:
        """The viewer's language and the place's time zone."""
        return self.words(request, self.installation(connection)[1])

    def words(self, request: Request, timezone: str) -> Words:
        """The language that the caller has chosen, else the first of the browser's that there is."""
        caller: Caller | None = getattr(request.state, "caller", None)
        chosen = caller.language if caller is not None else None
        return Words(language_for(chosen or request.headers.get("accept-language", "")), timezone)

    def installation(self, connection: Connection) -> tuple[str, str]:
        """The name of the place and its time zone: of the only site, or of all together."""
        rows = connection.execute(select(sites.c.site, sites.c.timezone)).all()
        named = sorted((site, zone) for site, zone in rows if site)
        if len(named) == 1:
            return named[0]
        zones = dict(rows)
        return "Cubbyhole", zones.get("", "UTC")

    def page(
        self, template: str, request: Request, connection: Connection, caller: Caller | None, *, nav: str = "",
        http_status: int = 200, **shown: Any,
    ) -> Response:  # fmt: skip
        """A page with its shell. ``shown`` is what the template needs besides."""
        site, _zone = self.installation(connection)
        attention, me = 0, None
        if caller is not None:
            me = {"name": caller.name, "initials": initials_of(caller.name), "acts": acts_of(caller)}
            if may(caller, Act.SEE):
                attention = self._attention(connection, banks_within(connection, caller))
        html = self._renderer.page(
            template, self.speak(request, connection), nav=nav, site=site, me=me, attention=attention,
            workbench=self._workbench, now=self._store.now_ms(), feed=counter_value(connection, FEED), **shown,
        )  # fmt: skip
        return HTMLResponse(html, http_status)

    def for_nobody(self, template: str, request: Request, status: int, shown: dict[str, Any]) -> Response:
        """A page without a caller: signing in, the owner's link (`auth.pages.Render`). Texts are said in the viewer's
        language."""
        with self._store.read() as connection:
            speak = self.speak(request, connection)
            said: dict[str, Any] = {"problem": None}
            for name, value in shown.items():
                said[name] = speak.say(value) if isinstance(value, Text) else value
            return self.page(template, request, connection, None, http_status=status, **said)

    def error(self, request: Request, status: int, key: str | None = None, **values: object) -> Response:
        """What happened and what to do, by status; ``key`` names a text that says more."""
        with self._store.read() as connection:
            speak = self.speak(request, connection)
            title = speak.known(f"error.{status}") or speak.t("error.other")
            detail = speak.known(f"error.{status}.detail") or speak.t("error.other.detail")
            return self.page(
                "error.html", request, connection, None, http_status=status, status=status, title=title,
                detail=speak.t(key, **values) if key is not None else detail,
            )  # fmt: skip
