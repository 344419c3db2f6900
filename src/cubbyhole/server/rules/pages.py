"""The rules as sentences, the editor with its dry run, bringing into line, and why something holds somewhere."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection

from cubbyhole.domain.rules import DEFAULT, Rule, ScopeKind
from cubbyhole.server.auth.callers import RuleMaker, RulesReader
from cubbyhole.server.auth.places import banks_within
from cubbyhole.server.auth.roles import Act, Caller, may
from cubbyhole.server.commands.actions import Actions
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.rules import align, choices, form, wording
from cubbyhole.server.rules.commands import RuleChanged, RuleError, checked, remove, save
from cubbyhole.server.rules.dry_run import dry_run
from cubbyhole.server.rules.form import Typed
from cubbyhole.server.rules.queries import KeptRule, kept_rule, kept_rules
from cubbyhole.server.rules.telling import became_rows, shortened_rows, tried_words
from cubbyhole.server.rules.why import why
from cubbyhole.server.web.rendering import Pages
from cubbyhole.ui.words import Text, Words

# Where rules hold, the widest first; what a locker is there for comes last.
ORDER = (ScopeKind.EVERYWHERE, ScopeKind.SITE, ScopeKind.AREA, ScopeKind.BANK, ScopeKind.LOCKER, ScopeKind.PURPOSE)
DONE = ("saved", "removed")


class RulePages:
    """Makes the pages; `make_router` gives them addresses."""

    def __init__(self, store: Store, pages: Pages) -> None:
        self._store, self._pages = store, pages
        self.kept = align.Kept()

    def overview(self, request: Request, caller: Caller, done: str) -> Response:
        with self._store.read() as connection:
            speak = self._pages.speak(request, connection)
            found = [kept.rule for kept in kept_rules(connection)]
            if not any(rule.rule == DEFAULT.rule for rule in found):
                found.append(DEFAULT)
            return self._pages.page(
                "rules/list.html", request, connection, caller, nav="rules", total=len(found),
                shelves=shelves(found, speak), may_change=may(caller, Act.RULES), done=done if done in DONE else None,
            )  # fmt: skip

    def look(self, request: Request, caller: Caller, name: str) -> Response:
        """The editor of a rule as it is; ``name`` "" for a new one."""
        with self._store.read() as connection:
            kept = self._kept(connection, name)
            if name and kept is None:
                return self._pages.error(request, 404, "rules.unknown", rule=name[:64])
            typed = form.typed_from(kept.rule) if kept is not None else Typed([("where", "everywhere:")])
            return self._editor(request, connection, caller, typed, kept, kept.version if kept else 0)

    def change(self, request: Request, caller: Caller, typed: Typed) -> Response:
        """The editor after one of its buttons, but for saving."""
        wish, name = typed.one("do"), typed.one("rule")[:64]
        with self._store.read() as connection:
            kept = self._kept(connection, name)
            version = _version(typed)
            if wish != "try":
                return self._editor(request, connection, caller, form.changed(typed, wish), kept, version)
            return self._try(request, connection, caller, typed, kept, version)

    def save(self, request: Request, caller: Caller, typed: Typed) -> Response:
        """Save what was tried out; what was not is tried out first."""
        name, version = typed.one("rule")[:64], _version(typed)
        with self._store.read() as connection:
            kept = self._kept(connection, name)
            rule, _wrong = self._rule(connection, typed, kept)
            if rule is None or typed.one("tried") != form.seal(rule, version):
                return self._try(request, connection, caller, typed, kept, version, again=rule is not None)
            found = dry_run(connection, [rule], [], self._store.now_ms())
        try:
            with self._store.write() as work:
                saved = save(work, rule, caller.actor, version)
        except RuleChanged:
            return self._meanwhile(request, caller, typed)
        except RuleError as error:
            with self._store.read() as connection:
                wrong = {error.field: Text(f"rules.wrong.{error.word}", error.values)}
                return self._editor(request, connection, caller, typed, kept, version, wrong=wrong, status=422)
        if not found.result.shortened:
            return RedirectResponse("/rules?done=saved", status_code=303)
        word = self.kept.keep(
            align.Found(
                caller.actor, rule.rule, rule.title, saved, found.result.shortened, found.names, self._store.now_ms()
            )
        )
        return RedirectResponse(f"/rules/align?found={word}", status_code=303)

    def removal(
        self, request: Request, caller: Caller, name: str, problem: str | None = None, status: int = 200
    ) -> Response:
        """What removing would do, and whether it should be."""
        with self._store.read() as connection:
            kept = self._kept(connection, name)
            if kept is None or name == DEFAULT.rule:
                return self._pages.error(request, 404, "rules.unknown", rule=name[:64])
            speak = self._pages.speak(request, connection)
            tried = dry_run(connection, [], [name], self._store.now_ms())
            return self._pages.page(
                "rules/remove.html", request, connection, caller, nav="rules", http_status=status, problem=problem,
                rule=drawn(kept.rule, [], speak), version=kept.version,
                tried=tried_words(tried, speak, self._store.now_ms(), placed=False),
            )  # fmt: skip

    def remove(self, request: Request, caller: Caller, name: str, typed: Typed) -> Response:
        try:
            with self._store.write() as work:
                remove(work, name, caller.actor, _version(typed))
        except (KeyError, RuleError):
            return self._pages.error(request, 404, "rules.unknown", rule=name[:64])
        except RuleChanged:
            with self._store.read() as connection:
                problem = self._pages.speak(request, connection).t("rules.changed.removal")
            return self.removal(request, caller, name, problem, 409)
        return RedirectResponse("/rules?done=removed", status_code=303)

    def found(self, request: Request, caller: Caller, word: str, became: list[align.Became] | None = None,
              of: align.Found | None = None) -> Response:  # fmt: skip
        """Whose lockers last longer than the saved rule allows; after bringing into line, what became of each."""
        found = of or self.kept.look(word, caller.actor, self._store.now_ms())
        if found is None:
            return self._pages.error(request, 404, "rules.align.gone")
        now_ms = self._store.now_ms()
        with self._store.read() as connection:
            speak = self._pages.speak(request, connection)
            rows = shortened_rows(found.shortened[: align.MOST], found.names, speak, now_ms)
            return self._pages.page(
                "rules/align.html", request, connection, caller, nav="rules", found=found, word=word, rows=rows,
                left_out=max(0, len(found.shortened) - align.MOST),
                became=became_rows(became, found.names, speak, now_ms) if became is not None else None,
            )  # fmt: skip

    def why(self, request: Request, caller: Caller, person: str, locker: str) -> Response:
        with self._store.read() as connection:
            speak = self._pages.speak(request, connection)
            return self._pages.page(
                "rules/why.html", request, connection, caller, nav="rules", person=person, locker=locker,
                **why(connection, person, locker, speak),
            )  # fmt: skip

    def _kept(self, connection: Connection, name: str) -> KeptRule | None:
        kept = kept_rule(connection, name) if name else None
        return KeptRule(DEFAULT, 0) if kept is None and name == DEFAULT.rule else kept

    def _rule(self, connection: Connection, typed: Typed, kept: KeptRule | None) -> tuple[Rule | None, dict[str, Text]]:
        taken = [one.rule.rule for one in kept_rules(connection)] + [DEFAULT.rule]
        rule, wrong = form.rule_of(typed, kept.rule.rule if kept else "", taken)
        if rule is not None and choices.unknown_locker(connection, rule):
            return None, {"where": Text("rules.wrong.locker", {"locker": rule.scope_value[:20] or "–"})}
        return rule, wrong

    def _try(
        self, request: Request, connection: Connection, caller: Caller, typed: Typed, kept: KeptRule | None,
        version: int, *, again: bool = False,
    ) -> Response:  # fmt: skip
        """Try the typed rule out: what it would do, or what is wrong with it."""
        rule, wrong = self._rule(connection, typed, kept)
        if rule is None:
            return self._editor(request, connection, caller, typed, kept, version, wrong=wrong, status=422)
        speak = self._pages.speak(request, connection)
        within = banks_within(connection, caller)
        tried = dry_run(connection, [rule], [], self._store.now_ms(), within)
        shown = {
            **tried_words(tried, speak, self._store.now_ms(), placed=within is not None), "again": again,
            "rule": drawn(checked(rule), [], speak), "seal": form.seal(rule, version),
        }  # fmt: skip
        return self._editor(request, connection, caller, typed, kept, version, tried=shown)

    def _meanwhile(self, request: Request, caller: Caller, typed: Typed) -> Response:
        """Somebody else changed it: what was typed stays, what it says now stands above it."""
        with self._store.read() as connection:
            speak = self._pages.speak(request, connection)
            kept = self._kept(connection, typed.one("rule")[:64])
            now = drawn(kept.rule, [], speak) if kept is not None else None
            return self._editor(
                request, connection, caller, typed, kept, kept.version if kept else 0, meanwhile={"now": now},
                status=409,
            )  # fmt: skip

    def _editor(
        self, request: Request, connection: Connection, caller: Caller, typed: Typed, kept: KeptRule | None,
        version: int, *, wrong: dict[str, Text] | None = None, status: int = 200, tried: dict[str, Any] | None = None,
        meanwhile: dict[str, Any] | None = None,
    ) -> Response:  # fmt: skip
        speak = self._pages.speak(request, connection)
        return self._pages.page(
            "rules/edit.html", request, connection, caller, nav="rules", http_status=status, tried=tried,
            meanwhile=meanwhile, may_change=may(caller, Act.RULES),
            **editor(
                typed, kept.rule.rule if kept else "", version, wrong or {},
                choices.where_choices(connection, typed, speak), choices.group_names(connection), speak,
            ),
        )  # fmt: skip


def editor(
    typed: Typed, name: str, version: int, wrong: dict[str, Text], places: choices.Where, known: list[str],
    speak: Words,
) -> dict[str, Any]:  # fmt: skip
    """What the editor shows of a form."""
    return {
        "rule": name, "version": version, "base": name == DEFAULT.rule, "title_typed": typed.one("title"),
        "where": typed.one("where"), "locker_typed": typed.one("locker"), "places": places,
        "groups": choices.picked(typed, "group", known), "groups_typed": typed.one("groups"), "known_groups": known,
        "settings": choices.settings_shown(typed, wrong, known, speak),
        "left": choices.settings_left(typed, speak, base=name == DEFAULT.rule),
        "wrong": {field: speak.say(text) for field, text in wrong.items()},
    }  # fmt: skip


def drawn(rule: Rule, rules: list[Rule], speak: Words) -> dict[str, Any]:
    """A rule as it is read."""
    return {
        "rule": rule.rule, "title": rule.title, "where": wording.where(rule, speak),
        "whom": wording.for_whom(rule, speak), "says": wording.sentences(rule, speak),
        "instead": wording.instead_of(rule, rules, speak) if rules else [], "base": rule.rule == DEFAULT.rule,
    }  # fmt: skip


def shelves(rules: list[Rule], speak: Words) -> list[dict[str, Any]]:
    """The rules by where they hold, the base rule first."""
    base = [rule for rule in rules if rule.rule == DEFAULT.rule]
    found = [{"kind": "base", "rules": [drawn(rule, [], speak) for rule in base]}]
    for kind in ORDER:
        here = [rule for rule in rules if rule.scope is kind and rule.rule != DEFAULT.rule]
        here.sort(key=lambda rule: (rule.scope_value, rule.title))
        found.append({"kind": kind.value, "rules": [drawn(rule, rules, speak) for rule in here]})
    return [{**one, "title": speak.t(f"rules.shelf.{one['kind']}")} for one in found if one["rules"]]


def _version(typed: Typed) -> int:
    text = typed.one("version")
    return int(text) if text.isdecimal() and len(text) < 16 else 0


def make_router(store: Store, pool: WorkPool, actions: Actions, pages: RulePages) -> APIRouter:
    """The addresses of these pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/rules")
    def rules(request: Request, caller: RulesReader, done: str = "") -> Response:
        return pages.overview(request, caller, done)

    @router.get("/rules/edit")
    def new(request: Request, caller: RuleMaker) -> Response:
        return pages.look(request, caller, "")

    @router.get("/rules/edit/{rule}")
    def look(request: Request, caller: RulesReader, rule: str) -> Response:
        return pages.look(request, caller, rule)

    @router.post("/rules/try")
    async def change(request: Request, caller: RulesReader) -> Response:
        return await pool.run(pages.change, request, caller, await form.read_typed(request))

    @router.post("/rules/save")
    async def keep(request: Request, caller: RuleMaker) -> Response:
        return await pool.run(pages.save, request, caller, await form.read_typed(request))

    @router.get("/rules/remove/{rule}")
    def removal(request: Request, caller: RuleMaker, rule: str) -> Response:
        return pages.removal(request, caller, rule)

    @router.post("/rules/remove/{rule}")
    async def drop(request: Request, caller: RuleMaker, rule: str) -> Response:
        return await pool.run(pages.remove, request, caller, rule, await form.read_typed(request))

    @router.get("/rules/align")
    def found(request: Request, caller: RuleMaker, found: Annotated[str, Query(max_length=40)] = "") -> Response:
        return pages.found(request, caller, found)

    @router.post("/rules/align")
    async def bring(request: Request, caller: RuleMaker) -> Response:
        typed = await form.read_typed(request)
        word = typed.one("found")[:40]
        taken = pages.kept.take(word, caller.actor, store.now_ms()) if typed.one("sure") == "yes" else None
        became = await align.bring_into_line(store, pool, actions, taken, caller.actor) if taken is not None else None
        return await pool.run(pages.found, request, caller, word, became, taken)

    @router.get("/rules/why")
    def reasons(
        request: Request, caller: RulesReader, person: Annotated[str, Query(max_length=100)] = "",
        locker: Annotated[str, Query(max_length=32)] = "",
    ) -> Response:  # fmt: skip
        return pages.why(request, caller, person.strip(), locker.strip().upper())

    return router
