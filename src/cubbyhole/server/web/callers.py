"""What routes ask for: the services, and a caller who may do what the route does."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from cubbyhole.server.auth.dependencies import needs
from cubbyhole.server.auth.roles import Act, Caller
from cubbyhole.server.services import Services


def services_of(request: Request) -> Services:
    found = request.app.state.services
    assert isinstance(found, Services)
    return found


ServicesDep = Annotated[Services, Depends(services_of)]
Reader = Annotated[Caller, Depends(needs(Act.SEE))]
Operator = Annotated[Caller, Depends(needs(Act.OPERATE))]
