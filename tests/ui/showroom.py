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

from cubbyhole.server.banks.needs import needs_of
from cubbyhole.server.web.security import HEADERS
from cubbyhole.ui.render import Renderer, static_folder
from cubbyhole.ui.words import Words
from tests.ui import furnished

TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "json": "application/json"}
Page = tuple[str, dict[str, Any]]


def overview(banks: list[Any]) -> Page:
    shown = furnished.shell(
        "overview", banks=banks, events=furnished.events() if banks else [], needs=needs_of(banks),
        figures=furnished.figures(banks),
    )  # fmt: skip
    return "overview.html", {**shown, "attention": len(shown["needs"])}


def one_bank(name: str, number: str | None, **said: Any) -> Page:
    bank = furnished.bank(name, online=name != "D")
    locker = next((view for view in bank["lockers"] if view["number"] == number), None)
    return "bank.html", furnished.shell(
        "banks", bank=bank, locker=locker, events=furnished.events(12, only=name),
        history=furnished.events(6, only=name, number=number) if locker else [],
        **{"requested": [], "problem": None, "done": None, **said},
    )  # fmt: skip


def pages() -> dict[str, Callable[[], Page]]:
    """Every page by its address; what the server would never show at one address has one of its own."""
    nobody = {"me": None, "attention": 0}
    return {
        "/": lambda: overview(furnished.banks()),
        "/empty": lambda: overview([]),
        "/banks": lambda: ("banks.html", furnished.shell("banks", banks=furnished.banks())),
        "/banks/A": lambda: one_bank("A", None),
        "/banks/A/09": lambda: one_bank("A", "09"),
        "/banks/A/16": lambda: one_bank("A", "16", done="Noted: somebody has looked into A-16."),
        "/banks/B": lambda: one_bank("B", None),
        "/banks/B/02": lambda: one_bank(
            "B", "02", problem="The bank refused: The locker has an alarm.",
            requested=["End use: requested; the bank has not answered yet."],
        ),
        "/banks/C": lambda: one_bank("C", None),
        "/banks/C/21": lambda: one_bank("C", "21"),
        "/banks/D": lambda: one_bank("D", None),
        "/events": lambda: (
            "events.html",
            furnished.shell(
                "events", banks=furnished.banks(), events=furnished.events(60), chosen={"bank": "", "tone": ""},
                older="/events?before=8940",
            ),
        ),
        "/people": lambda: ("people.html", furnished.shell("people", people=furnished.people(), query="", total=62)),
        "/workbench": lambda: (
            "workbench.html",
            furnished.shell(
                "workbench", banks=[furnished.bank("A"), furnished.bank("B")], events=furnished.events(),
                people=furnished.badges(),
            ),
        ),
        "/sign-in": lambda: (
            "sign_in.html",
            furnished.shell(problem=None, next="/", account="", any_password=True) | nobody,
        ),
        "/owner": lambda: ("owner.html", furnished.shell(token="t0ken", problem=None) | nobody),
        "/error": lambda: (
            "error.html",
            furnished.shell(title="Not found", detail="There is no bank Z.", status=404) | nobody,
        ),
    }  # fmt: skip


class Showroom:
    """A tiny HTTP server on ``port`` (0: any). `heard` is what pages posted: address and body."""

    def __init__(self, port: int = 0) -> None:
        self.renderer, self.pages = Renderer(), pages()
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
        template, shown = self.pages[path]()
        return self.renderer.page(template, Words(language, furnished.ZONE), **shown)

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
            known = path in self.pages
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
        print("\n".join(room.url + path for path in room.pages), flush=True)
        threading.Event().wait()
