"""One's own lockers by program, as the phone and the web use them: for whoever is signed in as somebody of the
directory."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel, Field

from cubbyhole.domain.choosing import Wish
from cubbyhole.domain.vocabulary import Mode, Reason
from cubbyhole.server.auth.dependencies import needs
from cubbyhole.server.auth.roles import Act, Caller
from cubbyhole.server.banks.wording import hint_for_reason, words_for_reason
from cubbyhole.server.commands.live import Result
from cubbyhole.server.commands.once import KEY_MOST, Once, once
from cubbyhole.server.mine.commands import Got, OwnLockers
from cubbyhole.server.mine.queries import Mine, Offers, Persons
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.web.problems import Problem

Seer = Annotated[Caller, Depends(needs(Act.OWN_SEE))]
Getter = Annotated[Caller, Depends(needs(Act.OWN_GET))]
Opener = Annotated[Caller, Depends(needs(Act.OWN_OPEN))]
Renewer = Annotated[Caller, Depends(needs(Act.OWN_RENEW))]
Releaser = Annotated[Caller, Depends(needs(Act.OWN_RELEASE))]
Sharer = Annotated[Caller, Depends(needs(Act.OWN_SHARE))]
AssignmentId = Annotated[str, Path(max_length=24, description="Of one of your lockers.")]
Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=KEY_MOST, description="Sent again with it, the request is done once."),
]
Size = Annotated[str, Field(pattern=r"^(S|M|L|XL)$", description="At least this size.")]


class ShareView(BaseModel):
    share: str
    person: str | None
    name: str | None
    group: str | None
    until: int | None
    once: bool


class MineView(BaseModel):
    """``holder`` null: it is yours; else whose it is who shares it with you. ``why_not_renewed`` null: you can."""

    assignment: str
    locker: str
    bank: str
    label: str
    area: str
    site: str
    size: str
    features: list[str]
    door: str
    mode: str
    since: int
    until: int | None
    hold_until: int | None = Field(description="It lapses then unless you open it.")
    out_of_service: str | None
    why_not_renewed: str | None
    remote_open: bool
    sharing: bool
    shares: list[ShareView]
    holder: str | None


class OfferView(BaseModel):
    """A locker that you could get. ``why``: nearest, wanted, fits, spares_scarce, least_used."""

    locker: str
    size: str
    features: list[str]
    mode: Mode
    why: list[str]


class OffersView(BaseModel):
    """The best first, 20 at most. ``total`` lockers are free for you; where none is, ``reason`` says why."""

    items: list[OfferView]
    total: int
    free: int
    reason: str | None
    hint: str | None
    rule: str | None


class Asking(BaseModel):
    """What you want. Without ``locker`` the system chooses by the rest."""

    locker: str | None = Field(default=None, max_length=32, description="Exactly this one, like A-07.")
    bank: str | None = Field(default=None, max_length=24)
    area: str | None = Field(default=None, max_length=120, description="Lockers here come first.")
    size: Size = "S"
    features: list[str] = Field(default_factory=list, max_length=4, description="charging, low")
    mode: Mode | None = Field(default=None, description="How long; null: as the rule says.")

    def wish(self) -> Wish:
        return Wish(size=self.size, features=frozenset(self.features))


class Sharing(BaseModel):
    """With a person or with a group."""

    person: str | None = Field(default=None, max_length=24)
    group: str | None = Field(default=None, max_length=80)
    until: int | None = Field(default=None, ge=0, description="Ms since the Unix epoch; null: as long as it is yours.")
    once: bool = False


class To(BaseModel):
    person: str = Field(max_length=24)


class Outcome(BaseModel):
    """``outcome``: done; requested (the bank has not answered yet); unknown (it may have been done)."""

    command: str
    outcome: str
    why: str | None
    locker: MineView | None = None


def make_router(store: Store, own: OwnLockers) -> APIRouter:
    """The addresses under /api/v1/me."""
    router = APIRouter(prefix="/api/v1/me", tags=["my lockers"])

    @router.get("/lockers")
    def my_lockers(caller: Seer) -> list[MineView]:
        """Yours, then those that others share with you."""
        with store.read() as connection:
            return [view(mine) for mine in Persons(connection, person_of(caller), store.now_ms()).lockers()]

    @router.get("/offers")
    def offers(
        caller: Getter, size: Annotated[str, Query(pattern="^(S|M|L|XL)$")] = "S",
        features: Annotated[str, Query(max_length=60, description="charging,low")] = "", mode: Mode | None = None,
        bank: Annotated[str | None, Query(max_length=24)] = None,
        area: Annotated[str | None, Query(max_length=120)] = None,
    ) -> OffersView:  # fmt: skip
        """What you could get now. Nothing is kept for you by asking."""
        wish = Wish(size=size, features=frozenset(filter(None, features.split(","))))
        with store.read() as connection:
            me = Persons(connection, person_of(caller), store.now_ms())
            return _offers(me.offers(wish, mode, only=None if bank is None else [bank], area=area))

    @router.post("/lockers")
    async def get_locker(caller: Getter, body: Asking, response: Response, key: Key = None) -> Outcome:
        """Get one. It is kept for you for some minutes, until you open it."""
        got = await own.get(
            person_of(caller), body.wish(), body.mode, bank=body.bank, area=body.area,
            locker=_split(body.locker) if body.locker is not None else None, wanted=_once(caller, key, "get", body),
        )  # fmt: skip
        return _outcome(got.result, response, got)

    @router.post("/lockers/{assignment}/open")
    async def open_mine(caller: Opener, assignment: AssignmentId, response: Response, key: Key = None) -> Outcome:
        """Open it now or never."""
        wanted = _once(caller, key, f"open {assignment}", None)
        return _outcome(await own.open(person_of(caller), assignment, wanted), response)

    @router.post("/lockers/{assignment}/renew")
    async def renew(caller: Renewer, assignment: AssignmentId, response: Response, key: Key = None) -> Outcome:
        """Keep it for longer."""
        wanted = _once(caller, key, f"renew {assignment}", None)
        return _outcome(await own.renew(person_of(caller), assignment, wanted), response)

    @router.post("/lockers/{assignment}/release")
    async def release(caller: Releaser, assignment: AssignmentId, response: Response, key: Key = None) -> Outcome:
        """Give it back."""
        wanted = _once(caller, key, f"release {assignment}", None)
        return _outcome(await own.release(person_of(caller), assignment, wanted), response)

    @router.post("/lockers/{assignment}/move")
    async def move(
        caller: Getter, assignment: AssignmentId, body: Asking, response: Response, key: Key = None
    ) -> Outcome:
        """Have another one at the same bank instead; what is in the old one you may fetch."""
        wanted = _once(caller, key, f"move {assignment}", body)
        return _outcome(await own.move(person_of(caller), assignment, body.wish(), wanted), response)

    @router.post("/lockers/{assignment}/hand-over")
    async def hand_over(
        caller: Sharer, assignment: AssignmentId, body: To, response: Response, key: Key = None
    ) -> Outcome:
        """Make it somebody else's, with what is inside."""
        wanted = _once(caller, key, f"hand_over {assignment}", body)
        return _outcome(await own.hand_over(person_of(caller), assignment, body.person, wanted), response)

    @router.post("/lockers/{assignment}/shares")
    async def share(
        caller: Sharer, assignment: AssignmentId, body: Sharing, response: Response, key: Key = None
    ) -> Outcome:
        """Let somebody open it too."""
        result = await own.share(
            person_of(caller), assignment, to=body.person, group=body.group, until_ms=body.until, once=body.once,
            wanted=_once(caller, key, f"share {assignment}", body),
        )  # fmt: skip
        return _outcome(result, response)

    @router.delete("/lockers/{assignment}/shares/{share}")
    async def unshare(
        caller: Sharer, assignment: AssignmentId, share: Annotated[str, Path(max_length=24)], response: Response,
        key: Key = None,
    ) -> Outcome:  # fmt: skip
        """Take a share back."""
        wanted = _once(caller, key, f"unshare {assignment} {share}", None)
        return _outcome(await own.unshare(person_of(caller), assignment, share, wanted), response)

    return router


def person_of(caller: Caller) -> str:
    """Who of the directory the caller is. Raises Problem where they are nobody of it, as an owner may be."""
    if caller.person is None:
        raise Problem(409, "no_person", "This account is nobody of the directory, so no locker can be its own.")
    return caller.person


def view(mine: Mine) -> MineView:
    shares = [
        ShareView(share=x.share, person=x.person, name=x.name, group=x.group, until=x.until_ms, once=x.once)
        for x in mine.shares
    ]
    return MineView(
        assignment=mine.assignment, locker=f"{mine.bank}-{mine.number}", bank=mine.bank, label=mine.label,
        area=mine.area, site=mine.site, size=mine.size, features=list(mine.features), door=mine.door, mode=mine.mode,
        since=mine.since_ms, until=mine.ends_ms, hold_until=mine.hold_until_ms, out_of_service=mine.out_of_service,
        why_not_renewed=mine.renewable, remote_open=mine.remote_open, sharing=mine.sharing, shares=shares,
        holder=mine.holder,
    )  # fmt: skip


def _offers(offers: Offers) -> OffersView:
    items = [
        OfferView(
            locker=f"{o.bank}-{o.number}", size=o.choice.candidate.size,
            features=sorted(o.choice.candidate.features), mode=o.mode, why=[why.value for why in o.choice.why],
        )
        for o in offers.found[:20]
    ]  # fmt: skip
    reason: Reason | None = None
    rule: str | None = None
    if not offers.found:
        reason, rule = offers.reasons[0] if offers.reasons else (Reason.NOTHING_FREE, None)
    return OffersView(
        items=items, total=len(offers.found), free=offers.free, reason=reason, rule=rule,
        hint=hint_for_reason(reason) if reason is not None else None,
    )  # fmt: skip


def _split(locker: str) -> tuple[str, str]:
    bank, dash, number = locker.rpartition("-")
    if not dash:
        raise Problem(404, "unknown_locker", f"There is no locker {locker[:40]}; write bank and number, like A-07.")
    return bank, number


def _once(caller: Caller, key: str | None, act: str, body: BaseModel | None) -> Once | None:
    said = body.model_dump_json() if body is not None else ""
    return once(caller.actor, key, act, said) if key else None


def _outcome(result: Result, response: Response, got: Got | None = None) -> Outcome:
    match result.outcome:
        case "refused":
            words = f"{words_for_reason(result.why)}. {hint_for_reason(result.why)}"
            raise Problem(409, result.why or "refused", words)
        case "unreachable":
            raise Problem(503, "bank_unreachable", "The bank cannot be reached. Nothing was done and nothing will be.")
        case "requested" | "unknown":
            response.status_code = 202
        case _:
            pass
    mine = view(got.mine) if got is not None and got.mine is not None else None
    return Outcome(command=result.command, outcome=result.outcome, why=result.why, locker=mine)
