"""The application: routes of all features, behind the security headers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles

from cubbyhole import __version__
from cubbyhole.protocol.enrolment import AUTHORITY_PATH, FABRIC_HEADER
from cubbyhole.server.auth import dependencies
from cubbyhole.server.auth import pages as auth_pages
from cubbyhole.server.auth.access import Auth
from cubbyhole.server.banks import api as banks_api
from cubbyhole.server.banks import pages as banks_pages
from cubbyhole.server.commands import api as commands_api
from cubbyhole.server.commands import pages as commands_pages
from cubbyhole.server.live import routes as live_routes
from cubbyhole.server.people import pages as people_pages
from cubbyhole.server.services import Services
from cubbyhole.server.web import problems
from cubbyhole.server.web.callers import ServicesDep
from cubbyhole.server.web.rendering import Pages
from cubbyhole.server.web.security import Security
from cubbyhole.server.workbench import pages as workbench_pages
from cubbyhole.ui.render import Renderer, static_folder

REQUEST_THREADS = 16

base = APIRouter(include_in_schema=False)


@base.get("/livez")
async def livez() -> Response:
    """The process runs and its event loop turns."""
    return JSONResponse({"ok": True})


@base.get("/readyz")
def readyz(services: ServicesDep) -> Response:
    """The server can do its work."""
    report = services.readiness.report()
    ok = all(report.values())
    return JSONResponse({"ok": ok, "checks": report}, 200 if ok else 503)


@base.get(AUTHORITY_PATH)
async def authority(services: ServicesDep) -> Response:
    """The certificate that controllers trust; what counts is that its fingerprint is the one in their code."""
    headers = {FABRIC_HEADER: services.fabric_url}
    return PlainTextResponse(services.authority.pem, media_type="application/x-pem-file", headers=headers)


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
    app.state.services = services
    pages = Pages(renderer, services) if renderer is not None else None
    problems.install(app, pages)
    dependencies.install(app, auth)
    for router in (base, banks_api.router, commands_api.router, live_routes.router):
        app.include_router(router)
    if pages is not None:
        _add_pages(app, services, auth, pages)
    app.add_middleware(Security)
    return app


def _add_pages(app: FastAPI, services: Services, auth: Auth, pages: Pages) -> None:
    bank_pages = banks_pages.BankPages(services, pages)
    app.include_router(auth_pages.make_router(auth, pages.for_nobody))
    app.include_router(banks_pages.make_router(services, bank_pages))
    app.include_router(commands_pages.make_router(services, bank_pages))
    app.include_router(people_pages.make_router(services, pages))
    socket = services.settings.workbench
    if socket is not None:
        app.include_router(workbench_pages.make_router(services, pages, socket))
    app.mount("/static", Built(directory=static_folder()), name="static")


class Built(StaticFiles):
    """Files whose names carry a hash of their content: a browser may keep them for ever."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.setdefault("Cache-Control", "public, max-age=31536000, immutable")
        return response
