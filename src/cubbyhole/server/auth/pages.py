"""Signing in and out: GET+POST /owner/{token}, GET+POST /sign-in, POST /sign-out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from cubbyhole.server.auth.access import Auth

# Makes a whole page: template's name, request, status and what the template shows.
Render = Callable[[str, Request, int, dict[str, Any]], Response]


def make_router(auth: Auth, render: Render) -> APIRouter:
    raise NotImplementedError
