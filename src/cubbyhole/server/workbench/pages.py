"""GET /workbench and POST /workbench/{tap|door|cable|power}: added only where a rig's socket is configured."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter

from cubbyhole.server.auth.pages import Render
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store


def make_router(socket: Path, store: Store, pool: WorkPool, sealing: SealingKey, render: Render) -> APIRouter:
    raise NotImplementedError
