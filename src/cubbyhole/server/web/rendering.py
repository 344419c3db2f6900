"""From a request to a page in the person's language, with the shell that every page has around it."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection, select

from cubbyhole.server.auth.roles import Caller
from cubbyhole.server.persistence.tables import sites
from cubbyhole.server.persistence.unit import FEED, Store, counter_value
from cubbyhole.server.web.initials import initials_of
from cubbyhole.ui.render import Renderer
from cubbyhole.ui.words import LANGUAGES, Words


class Pages:
    """Draws pages. One for the process; safe in several threads."""

    def __init__(self, renderer: Renderer, store: Store, *, workbench: bool) -> None:
        self._renderer, self._store, self._workbench = renderer, store, workbench

    def words(self, request: Request, timezone: str) -> Words:
        """The first of the browser's languages that there is."""
        for part in request.headers.get("accept-language", "")[:200].split(","):
            language = part.partition(";")[0].strip().partition("-")[0].lower()
            if language in LANGUAGES:
                return Words(language, timezone)
        return Words("en", timezone)

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
        attention: int = 0, http_status: int = 200, **shown: Any,
    ) -> Response:  # fmt: skip
        """A page with its shell. ``shown`` is what the template needs besides."""
        site, timezone = self.installation(connection)
        me = {"name": caller.name, "initials": initials_of(caller.name)} if caller is not None else None
        html = self._renderer.page(
            template, self.words(request, timezone), nav=nav, site=site, me=me, attention=attention,
            workbench=self._workbench, now=self._store.now_ms(), feed=counter_value(connection, FEED), **shown,
        )  # fmt: skip
        return HTMLResponse(html, http_status)

    def for_nobody(self, template: str, request: Request, status: int, shown: dict[str, Any]) -> Response:
        """A page without a caller: signing in, the owner's link (`auth.pages.Render`)."""
        shown = {"problem": shown.get("error") or None, **shown}
        with self._store.read() as connection:
            return self.page(template, request, connection, None, http_status=status, **shown)

    def error(self, request: Request, status: int, title: str, detail: str) -> Response:
        with self._store.read() as connection:
            return self.page(
                "error.html", request, connection, None, http_status=status, status=status, title=title, detail=detail
            )
