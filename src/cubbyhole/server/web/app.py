"""The application: routes of all features, behind the security headers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from cubbyhole import __version__
from cubbyhole.protocol.enrolment import AUTHORITY_PATH, FABRIC_HEADER
from cubbyhole.server.banks import api as banks_api
from cubbyhole.server.commands import api as commands_api
from cubbyhole.server.live import routes as live_routes
from cubbyhole.server.services import Services
from cubbyhole.server.web import problems
from cubbyhole.server.web.callers import ServicesDep
from cubbyhole.server.web.security import Security

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


def create_app(services: Services) -> FastAPI:
    """The application on these services."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = REQUEST_THREADS
        yield

    app = FastAPI(
        title="Cubbyhole", version=__version__, lifespan=lifespan, openapi_url="/api/v1/openapi.json", docs_url=None,
        redoc_url=None, separate_input_output_schemas=False,
    )  # fmt: skip
    app.state.services = services
    problems.install(app)
    for router in (base, banks_api.router, commands_api.router, live_routes.router):
        app.include_router(router)
    app.add_middleware(Security)
    return app
