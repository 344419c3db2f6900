"""Every page with believable contents, without a server behind it: for looking, and for the browser's tests.

``python -m tests.ui.showroom [PORT]`` serves it; add ``?language=de`` for German. What is pushed to `Showroom.say`
goes to every page's live feed.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cubbyhole.domain.vocabulary import Reason
from cubbyhole.server.banks.needs import needs_of
from cubbyhole.server.banks.wording import words_for_act, words_for_command
from cubbyhole.server.commands.live import Result
from cubbyhole.server.commands.pages import answer_in
from cubbyhole.server.web.security import HEADERS
from cubbyhole.ui.render import Renderer, static_folder
from cubbyhole.ui.words import ENGLISH, Words
from tests.ui import furnished, furnished_rules

TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "json": "application/json"}
Page = tuple[str, dict[str, Any]]


def overview(banks: list[Any], speak: Words) -> Page:
    shown = furnished.shell(
        "overview", banks=banks, events=furnished.events(speak=speak) if banks else [], needs=needs_of(banks, speak),
        figures=furnished.figures(banks),
    )  # fmt: skip
    return "overview.html", {**shown, "attention": len(shown["needs"])}


def one_bank(name: str, number: str | None, speak: Words = ENGLISH, *, wrong: bool = False, **said: Any) -> Page:
    """A bank with its drawer; ``wrong``: everything that can be wrong with a bank is."""
    bank = furnished.bank(name, online=name != "D", speak=speak)
    if wrong:
        bank = {**bank, "quarantine": "a batch without lines", "lagging": True, "clock_doubt": True, "stale": True}
    locker = next((view for view in bank["lockers"] if view["number"] == number), None)
    out = words_for_act(locker["out_of_service"], speak) if locker and locker["out_of_service"] else None
    return "bank.html", furnished.shell(
        "banks", bank=bank, locker=locker, out=out, events=furnished.events(12, only=name, speak=speak),
        history=furnished.events(6, only=name, number=number, speak=speak) if locker else [],
        **{"requested": [], "problem": None, "done": None, **said},
    )  # fmt: skip


def pages(speak: Words = ENGLISH) -> dict[str, Callable[[], Page]]:
    """Every page by its address; what the server would never show at one address has one of its own."""
    nobody = {"me": None, "attention": 0}
    refused = Result("c_1", "refused", Reason.ALARM.value)
    return {
        "/": lambda: overview(furnished.banks(speak), speak),
        "/empty": lambda: overview([], speak),
        "/banks": lambda: ("banks.html", furnished.shell("banks", banks=furnished.banks(speak))),
        "/banks/A": lambda: one_bank("A", None, speak),
        "/banks/A/09": lambda: one_bank("A", "09", speak),
        "/banks/A/12": lambda: one_bank("A", "12", speak),
        "/banks/A/16": lambda: one_bank("A", "16", speak, done=speak.t("done.checked", locker="A-16")),
        "/banks/B": lambda: one_bank("B", None, speak),
        "/banks/B/02": lambda: one_bank(
            "B", "02", speak, problem=answer_in(speak, refused, "open", "B-02")[0],
            requested=[speak.t("requested", command=words_for_command("end", speak))],
        ),
        "/banks/C": lambda: one_bank("C", None, speak),
        "/banks/C/21": lambda: one_bank("C", "21", speak),
        "/banks/D": lambda: one_bank("D", None, speak),
        "/wrong": lambda: one_bank("A", None, speak, wrong=True),
        "/events": lambda: (
            "events.html",
            furnished.shell(
                "events", banks=furnished.banks(speak), events=furnished.events(60, speak=speak),
                chosen={"bank": "", "tone": ""}, older="/events?before=8940",
            ),
        ),
        "/people": lambda: ("people.html", furnished.shell("people", people=furnished.people(), query="", total=62)),
        "/workbench": lambda: (
            "workbench.html",
            furnished.shell(
                "workbench", banks=[furnished.bank("A", speak=speak), furnished.bank("B", speak=speak)],
                events=furnished.events(speak=speak), people=furnished.badges(),
            ),
        ),
        "/sign-in": lambda: (
            "sign_in.html",
            furnished.shell(
                problem=speak.t("sign_in.wait", n=4), next="/", account="", address="", any_password=True, codes=True,
                passkeys=True,
            ) | nobody,
        ),
        "/sign-in/code": lambda: (
            "sign_in_code.html", furnished.shell(problem=None, next="/", address="ada@kestrel.example") | nobody,
        ),
        "/account": lambda: ("account.html", furnished.account()),
        "/accounts": lambda: ("accounts.html", furnished.accounts()),
        "/rules": lambda: ("rules/list.html", furnished_rules.overview(speak)),
        "/rules/edit/studio": lambda: ("rules/edit.html", furnished_rules.edit(speak)),
        "/rules/tried": lambda: ("rules/edit.html", furnished_rules.edit(speak, tried=True)),
        "/rules/wrong": lambda: ("rules/edit.html", furnished_rules.edit(speak, wrong=True, meanwhile=True)),
        "/rules/remove/studio": lambda: ("rules/remove.html", furnished_rules.removal(speak)),
        "/rules/align": lambda: ("rules/align.html", furnished_rules.align(speak)),
        "/rules/aligned": lambda: ("rules/align.html", furnished_rules.align(speak, done=True)),
        "/rules/why": lambda: ("rules/why.html", furnished_rules.why(speak)),
        "/owner": lambda: ("owner.html", furnished.shell(token="t0ken", problem=None) | nobody),
        "/error": lambda: (
            "error.html",
            furnished.shell(title=speak.t("error.404"), detail=speak.t("error.no_bank", bank="Z"), status=404) | nobody,
        ),
    }  # fmt: skip


class Showroom:
    """A tiny HTTP server on ``port`` (0: any). `heard` is what pages posted: address and body."""

    def __init__(self, port: int = 0) -> None:
        self.renderer = Renderer()
        self.moved: dict[str, str] = {}  # what is shown instead at an address
        self.heard: list[tuple[str, str]] = []
        self.listening: list[queue.Queue[bytes | None]] = []
        self.asked_after: list[str] = []
        room = self

        class Visitor(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                room.get(self)

            def do_POST(self) -> None:
                room.post(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Visitor)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Showroom:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()
        self._server.shutdown()
        self._server.server_close()

    def say(self, event: str, number: int | None = None, **body: Any) -> None:
        """Send one event to every open live feed."""
        head = f"id: {number}\n" if number is not None else ""
        for feed in list(self.listening):
            feed.put(f"{head}event: {event}\ndata: {json.dumps(body)}\n\n".encode())

    def drop(self) -> None:
        """End every live feed, as a server that restarts."""
        for feed in list(self.listening):
            feed.put(None)

    def render(self, path: str, language: str = "en") -> str:
        speak = Words(language, furnished.ZONE)
        template, shown = pages(speak)[self.moved.get(path, path)]()
        return self.renderer.page(template, speak, **shown)

    def get(self, visitor: BaseHTTPRequestHandler) -> None:
        address = urlsplit(visitor.path)
        asked = {key: values[0] for key, values in parse_qs(address.query).items()}
        if address.path == "/live":
            self.asked_after.append(visitor.headers.get("Last-Event-ID") or asked.get("after", ""))
            self._live(visitor)
        elif address.path.startswith("/static/"):
            file = static_folder() / address.path.rpartition("/")[2]
            self._answer(visitor, file.read_bytes(), TYPES[file.suffix[1:]])
        elif "/lockers/" in address.path:
            _, _, name, _, number = address.path.split("/")
            _, shown = one_bank(name, number)
            self._answer(visitor, self.renderer.page("locker.html", Words(), **shown).encode())
        else:
            path = f"{address.path}/{asked['locker']}" if "locker" in asked else address.path
            known = path in pages()
            html = self.render(path if known else "/error", asked.get("language", "en"))
            self._answer(visitor, html.encode(), status=200 if known else 404)

    def post(self, visitor: BaseHTTPRequestHandler) -> None:
        body = visitor.rfile.read(int(visitor.headers["Content-Length"] or 0)).decode()
        self.heard.append((visitor.path, body))
        if "/lockers/" in visitor.path:
            _, _, name, _, number, _ = visitor.path.split("/")
            _, shown = one_bank(name, number, done="Done.")
            self._answer(visitor, self.renderer.page("locker.html", Words(), **shown).encode())
        else:
            seen = furnished.physical(json.loads(body)["bank"]) if visitor.path.endswith("/state") else {}
            self._answer(visitor, json.dumps({"ok": True, **seen}).encode(), TYPES["json"])

    def _live(self, visitor: BaseHTTPRequestHandler) -> None:
        feed: queue.Queue[bytes | None] = queue.Queue(100)
        visitor.send_response(200)
        visitor.send_header("Content-Type", "text/event-stream")
        visitor.end_headers()
        visitor.wfile.write(b"retry: 100\n\n")
        self.listening.append(feed)
        try:
            while (message := feed.get()) is not None:
                visitor.wfile.write(message)
        except OSError:
            pass
        finally:
            self.listening.remove(feed)

    def _answer(
        self, visitor: BaseHTTPRequestHandler, body: bytes, kind: str = "text/html; charset=utf-8", status: int = 200
    ) -> None:
        visitor.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            visitor.send_header(name, value)
        visitor.end_headers()
        visitor.wfile.write(body)


if __name__ == "__main__":
    with Showroom(int(sys.argv[1]) if len(sys.argv) > 1 else 8090) as room:
        print("\n".join(room.url + path for path in pages()), flush=True)
        threading.Event().wait()
