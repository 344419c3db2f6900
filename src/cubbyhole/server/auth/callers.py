"""The callers that routes ask for: each names the act that the route is for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from cubbyhole.server.auth.dependencies import needs
from cubbyhole.server.auth.roles import Act, Caller

Myself = Annotated[Caller, Depends(needs(Act.ACCOUNT))]
Reader = Annotated[Caller, Depends(needs(Act.SEE))]
Operator = Annotated[Caller, Depends(needs(Act.OPERATE))]
Assigner = Annotated[Caller, Depends(needs(Act.ASSIGN))]
PeopleReader = Annotated[Caller, Depends(needs(Act.PEOPLE_SEE))]
RulesReader = Annotated[Caller, Depends(needs(Act.RULES_SEE))]
RuleMaker = Annotated[Caller, Depends(needs(Act.RULES))]
RoleGiver = Annotated[Caller, Depends(needs(Act.ACCOUNTS))]
