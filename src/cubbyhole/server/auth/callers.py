"""The callers that most routes ask for: somebody who may see, somebody who may act."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from cubbyhole.server.auth.dependencies import needs
from cubbyhole.server.auth.roles import Act, Caller

Reader = Annotated[Caller, Depends(needs(Act.SEE))]
Operator = Annotated[Caller, Depends(needs(Act.OPERATE))]
