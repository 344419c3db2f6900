"""The application: routes of all features, behind the security headers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles

from cubbyhole import __version__
from cubbyhole.protocol.enrolment import AUTHORITY_PATH, FABRIC_HEADER
from cubbyhole.server.accounts import pages as account_pages
from cubbyhole.server.accounts import staff as staff_pages
from cubbyhole.server.accounts.code_mail import CodesByMail
from cubbyhole.server.auth import dependencies, other_ways
from cubbyhole.server.auth import pages as auth_pages
from cubbyhole.server.auth.access import Auth, Ways
from cubbyhole.server.auth.codes import Codes
from cubbyhole.server.auth.passkeys import Passkeys
from cubbyhole.server.banks import api as banks_api
from cubbyhole.server.banks import pages as banks_pages
from cubbyhole.server.commands import api as commands_api
from cubbyhole.server.commands import pages as commands_pages
from cubbyhole.server.commands.once import KeyReused
from cubbyhole.server.commands.standing import NotPossible
from cubbyhole.server.live import routes as live_routes
from cubbyhole.server.live.hub import TooManyWatchers
from cubbyhole.server.mine import api as mine_api
from cubbyhole.server.mine.commands import OwnLockers
from cubbyhole.server.mine.one_tap import RenewalByMail
from cubbyhole.server.notices import pages as notices_pages
from cubbyhole.server.people import pages as people_pages
from cubbyhole.server.persistence.pool import Overloaded
from cubbyhole.server.rules import api as rules_api
from cubbyhole.server.rules import pages as rules_pages
from cubbyhole.server.services import Services
from cubbyhole.server.web import problems
from cubbyhole.server.web.rendering import Pages
from cubbyhole.server.web.security import Security
from cubbyhole.server.workbench import mail as workbench_mail
from cubbyhole.server.workbench import pages as workbench_pages
from cubbyhole.ui.render import Renderer, static_folder

REQUEST_THREADS = 16

_STATUS_BY_WORD = {"unknown_locker": 404, "unknown_bank": 404, "unknown_person": 404, "taken": 409, "not_assigned": 409}


def create_app(services: Services, auth: Auth, renderer: Renderer | None) -> FastAPI:
    """The application on these services. Without a renderer (nothing was built) it has the API and no pages."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = REQUEST_THREADS
        yield

    app = FastAPI(
        title="Cubbyhole", version=__version__, lifespan=lifespan, openapi_url="/api/v1/openapi.json", docs_url=None,
        redoc_url=None, separate_input_output_schemas=False,
    )  # fmt: skip
    store, workbench = services.store, services.settings.workbench
    problems.install(app)
    _explain_refusals(app)
    dependencies.install(app, auth)
    pages = None
    if renderer is not None:
        pages = Pages(renderer, store, services.queries.attention, workbench=workbench is not None)
        problems.show_people_pages(app, pages.error)
    app.include_router(_plain_routes(services))
    app.include_router(banks_api.make_router(store, services.queries))
    app.include_router(commands_api.make_router(services.actions))
    app.include_router(rules_api.make_router(store))
    own = OwnLockers(store, services.pool, services.actions)
    app.include_router(mine_api.make_router(store, own))
    app.include_router(live_routes.make_router(services.live))
    if pages is not None:
        bank_pages = banks_pages.BankPages(store, services.queries, pages)
        codes = Codes(store, services.pool, services.sealing, CodesByMail(services.post.notices))
        passkeys = Passkeys(store, services.pool, services.sealing, services.settings.base_url)
        auth.ways = Ways(codes.ready, passkeys.available)
        app.include_router(auth_pages.make_router(auth, pages.for_nobody))
        app.include_router(other_ways.make_router(auth, codes, passkeys, pages.for_nobody))
        app.include_router(account_pages.make_router(store, auth, passkeys, pages))
        app.include_router(staff_pages.make_router(store, auth, pages))
        app.include_router(banks_pages.make_router(store, bank_pages))
        app.include_router(commands_pages.make_router(store, services.pool, services.actions, bank_pages))
        app.include_router(people_pages.make_router(store, pages))
        rule_pages = rules_pages.RulePages(store, pages)
        app.include_router(rules_pages.make_router(store, services.pool, services.actions, rule_pages))
        RenewalByMail(store, services.pool, own).join(services.post.taps)
        app.include_router(notices_pages.make_router(store, pages, services.post.links, services.post.taps))
        if workbench is not None:
            app.include_router(workbench_pages.make_router(services, pages, workbench))
            if services.settings.workbench_mail is not None:
                app.include_router(workbench_mail.make_router(services.settings.workbench_mail))
        app.mount("/static", Built(directory=static_folder()), name="static")
    # Live streams stay as they are: the middleware knows them by their type.
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(Security)
    return app


def _plain_routes(services: Services) -> APIRouter:
    """What load balancers and new controllers ask, without a sign-in."""
    router = APIRouter(include_in_schema=False, dependencies=[dependencies.open_to_all])

    @router.get("/livez")
    async def livez() -> Response:
        """The process runs and its event loop turns."""
        return JSONResponse({"ok": True})

    @router.get("/readyz")
    def readyz() -> Response:
        """The server can do its work."""
        report = services.readiness.report()
        ok = all(report.values())
        hints = services.readiness.hints()
        return JSONResponse({"ok": ok, "checks": report, "hints": hints}, 200 if ok else 503)

    @router.get(AUTHORITY_PATH)
    async def authority() -> Response:
        """The certificate that controllers trust; what counts is that its fingerprint is the one in their code."""
        headers = {FABRIC_HEADER: services.fabric_url}
        return PlainTextResponse(services.authority.pem, media_type="application/x-pem-file", headers=headers)

    return router


def _explain_refusals(app: FastAPI) -> None:
    """What features raise, as problems."""

    @app.exception_handler(NotPossible)
    async def _not_possible(_request: Request, error: NotPossible) -> Response:
        return problems.problem(_STATUS_BY_WORD.get(error.word, 422), error.word, str(error))

    @app.exception_handler(KeyReused)
    async def _reused(_request: Request, error: KeyReused) -> Response:
        return problems.problem(409, "idempotency_conflict", str(error))

    @app.exception_handler(Overloaded)
    async def _overloaded(_request: Request, _error: Overloaded) -> Response:
        detail = "The server has too much to do at this moment. Nothing was changed; try again in a second."
        return problems.problem(503, "overloaded", detail, {"Retry-After": "1"})

    @app.exception_handler(TooManyWatchers)
    async def _watchers(_request: Request, error: TooManyWatchers) -> Response:
        return problems.problem(503, "too_many_watchers", str(error), {"Retry-After": "5"})


class Built(StaticFiles):
    """Files whose names carry a hash of their content: a browser may keep them for ever."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.setdefault("Cache-Control", "public, max-age=31536000, immutable")
        return response
