"""Rules by program: read, try out, save, remove, and ask what holds for somebody at a locker."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from cubbyhole.domain.opening import Window
from cubbyhole.domain.rules import Rule, ScopeKind
from cubbyhole.domain.vocabulary import Contents, Mode, Occupancy, Purpose
from cubbyhole.server.auth.callers import RuleMaker, RulesReader
from cubbyhole.server.auth.places import banks_within
from cubbyhole.server.banks.api import Page
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.rules.commands import RuleChanged, RuleError, remove, save
from cubbyhole.server.rules.dry_run import Tried, dry_run
from cubbyhole.server.rules.queries import (
    KeptRule,
    UnknownPerson,
    UnknownPlace,
    kept_rule,
    kept_rules,
    what_holds_for,
)
from cubbyhole.server.web.problems import Problem

RuleId = Annotated[str, Path(max_length=64, description="Like visitors-2.")]
Version = Annotated[
    int | None,
    Query(ge=0, description="The version that the change was made on, 0 for a rule that should be new: a rule that "
          "somebody else changed meanwhile is not overwritten. Without it whatever is there is replaced."),
]  # fmt: skip


class WindowBody(BaseModel):
    """``weekday`` 0 is Monday; minutes since local midnight; ``until_min`` may go on into the next day."""

    weekday: int = Field(ge=0, le=6)
    from_min: int = Field(ge=0, le=1439)
    until_min: int = Field(ge=1, le=2879)


class RuleBody(BaseModel):
    """A setting that is null says nothing. ``groups``: whom the rule concerns (empty: everybody); ``only_groups``: who
    may use the lockers at all."""

    title: str = Field(max_length=200)
    scope: ScopeKind = ScopeKind.EVERYWHERE
    scope_value: str = Field(default="", max_length=120, description="Site, area, bank (A), locker (A-07) or purpose.")
    groups: list[str] = Field(default_factory=list, max_length=100)
    only_groups: list[str] | None = Field(default=None, max_length=100)
    mode: Mode | None = Field(default=None, description="What a bare tap gives.")
    longest: Mode | None = Field(default=None, description="The longest that somebody may ask for.")
    hours: int | None = Field(default=None, description="How long the mode hours lasts.")
    term_days: int | None = None
    renewals: int | None = None
    max_lockers: int | None = None
    sizes: list[str] | None = Field(default=None, max_length=4)
    opening: list[WindowBody] | None = Field(default=None, max_length=50)
    contents: Contents | None = None
    grace_min: int | None = None
    hold_min: int | None = None
    remote_open: bool | None = None
    sharing: bool | None = None
    second_factor: bool | None = None
    self_enrol: bool | None = None
    purpose: Purpose | None = None
    give_offline_h: int | None = None
    open_offline_h: int | None = None

    def as_rule(self, rule: str) -> Rule:
        said = self.model_dump(exclude={"opening", "rule"})
        listed = {name: tuple(value) for name, value in said.items() if isinstance(value, list)}
        windows = [Window(w.weekday, w.from_min, w.until_min) for w in self.opening or ()]
        return Rule(rule=rule, **{**said, **listed, "opening": None if self.opening is None else tuple(windows)})


class RuleView(RuleBody):
    rule: str
    version: int


class Draft(RuleBody):
    rule: str = Field(max_length=64)


class Change(BaseModel):
    """Rules to save and rules to remove, tried out together."""

    save: list[Draft] = Field(default_factory=list, max_length=50)
    remove: list[str] = Field(default_factory=list, max_length=50)


class ShortenedView(BaseModel):
    """An assignment that lasts longer than the rules would allow; it ends early only if somebody decides so."""

    locker: str
    assignment: str
    person: str
    name: str | None
    ends: int | None
    would_end: int
    rule: str
    holds: Occupancy


class AtBank(BaseModel):
    person: str
    name: str | None
    bank: str


class DryRunView(BaseModel):
    """``loses``: could get a locker at the bank, and could not any more; ``over``: hold more than would be allowed, and
    keep them. ``left_out`` banks were not looked at."""

    shortened: list[ShortenedView]
    loses: list[AtBank]
    gains: list[AtBank]
    over: list[AtBank]
    banks: int
    left_out: int


class EffectiveView(BaseModel):
    """What holds for one person at one locker, and by which rule each setting."""

    settings: dict[str, Any]
    by: dict[str, str]
    titles: dict[str, str]


def make_router(store: Store) -> APIRouter:
    """The addresses under /api/v1/rules."""
    router = APIRouter(prefix="/api/v1/rules", tags=["rules"])

    @router.get("")
    def list_rules(_caller: RulesReader) -> Page[RuleView]:
        """All rules, by id."""
        with store.read() as connection:
            return Page(items=[_view(kept) for kept in kept_rules(connection)], next=None)

    @router.get("/effective")
    def what_holds(
        _caller: RulesReader, locker: Annotated[str, Query(max_length=32)], person: Annotated[str, Query(max_length=24)]
    ) -> EffectiveView:
        """What holds for this person at this locker, and which rule says so."""
        bank, _, number = locker.rpartition("-")
        with store.read() as connection:
            try:
                found, rule_set = what_holds_for(connection, bank, number, person)
            except UnknownPlace:
                raise Problem(404, "unknown_locker", f"There is no locker {locker[:40]}.") from None
            except UnknownPerson:
                raise Problem(404, "unknown_person", f"There is no person {person[:40]}.") from None
        said = {name: getattr(found, name) for name in found.__slots__ if name not in ("by", "opening")}
        said["opening"] = [{"rule": rule, "windows": [w._asdict() for w in windows]} for rule, windows in found.opening]
        titles = {rule.rule: rule.title for rule in rule_set if rule.rule in set(found.by.values())}
        return EffectiveView(settings=said, by=dict(found.by), titles=titles)

    @router.post("/dry-run")
    def try_out(caller: RulesReader, change: Change) -> DryRunView:
        """What the change would do tonight, at the caller's places. Nothing is saved."""
        drafts = [draft.as_rule(draft.rule) for draft in change.save]
        with store.read() as connection:
            try:
                within = banks_within(connection, caller)
                tried = dry_run(connection, drafts, change.remove, store.now_ms(), within)
            except RuleError as error:
                raise Problem(422, "invalid_rule", str(error)) from None
        return _tried(tried)

    @router.get("/{rule}")
    def get_rule(_caller: RulesReader, rule: RuleId) -> RuleView:
        """One rule."""
        with store.read() as connection:
            kept = kept_rule(connection, rule)
        if kept is None:
            raise _unknown(rule)
        return _view(kept)

    @router.put("/{rule}")
    def put_rule(caller: RuleMaker, rule: RuleId, body: RuleBody, version: Version = None) -> RuleView:
        """Make or change a rule. Every bank has it within seconds."""
        try:
            with store.write() as work:
                save(work, body.as_rule(rule), caller.actor, version)
            with store.read() as connection:
                kept = kept_rule(connection, rule)
        except RuleError as error:
            raise Problem(422, "invalid_rule", str(error)) from None
        except RuleChanged:
            raise _changed(rule) from None
        if kept is None:
            raise _unknown(rule)  # removed by somebody else since
        return _view(kept)

    @router.delete("/{rule}", status_code=204)
    def delete_rule(caller: RuleMaker, rule: RuleId, version: Version = None) -> Response:
        """Remove a rule. Assignments that were given under it keep their end."""
        try:
            with store.write() as work:
                remove(work, rule, caller.actor, version)
        except KeyError:
            raise _unknown(rule) from None
        except RuleError as error:
            raise Problem(409, "base_rule", str(error)) from None
        except RuleChanged:
            raise _changed(rule) from None
        return Response(status_code=204)

    return router


def _view(kept: KeptRule) -> RuleView:
    said = {name: getattr(kept.rule, name) for name in RuleBody.model_fields if name != "opening"}
    opening = kept.rule.opening
    windows = None if opening is None else [WindowBody(**w._asdict()) for w in opening]
    return RuleView(rule=kept.rule.rule, version=kept.version, opening=windows, **said)


def _tried(tried: Tried) -> DryRunView:
    names, result = tried.names, tried.result

    def at_bank(pairs: tuple[tuple[str, str], ...]) -> list[AtBank]:
        return [AtBank(person=person, name=names.get(person), bank=bank) for person, bank in pairs]

    shortened = [
        ShortenedView(
            locker=f"{s.bank}-{s.locker}", assignment=s.assignment, person=s.person, name=names.get(s.person),
            ends=s.ends_ms, would_end=s.would_end_ms, rule=s.rule, holds=s.occupancy,
        )
        for s in result.shortened
    ]  # fmt: skip
    return DryRunView(
        shortened=shortened, loses=at_bank(result.loses), gains=at_bank(result.gains), over=at_bank(result.over),
        banks=tried.looked_at, left_out=tried.left_out,
    )  # fmt: skip


def _unknown(rule: str) -> Problem:
    return Problem(404, "unknown_rule", f"There is no rule {rule[:64]}.")


def _changed(rule: str) -> Problem:
    return Problem(409, "rule_changed", f"Somebody else changed {rule[:64]} meanwhile: read it again, then decide.")
