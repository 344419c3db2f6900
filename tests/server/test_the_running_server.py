"""The server as programs, browsers and banks meet it: real HTTP, real NATS, both databases."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cubbyhole.domain import events as ev
from cubbyhole.edge.fabric.enrol import load
from cubbyhole.protocol import messages as m
from cubbyhole.protocol.fabric.errors import FabricError, NotPermitted, Refused
from cubbyhole.server.auth.roles import Scope
from cubbyhole.server.banks.controllers import list_controllers, remove
from cubbyhole.server.directory.changes import DirectoryChanges
from cubbyhole.server.people.register import PersonDraft, put_people
from tests.server.running import Running, WireBank, events_of, running


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("home")
    if request.param == "sqlite":
        with running(home, f"sqlite:///{home / 'cubbyhole.db'}") as found:
            yield found
        return
    postgres = request.getfixturevalue("postgres_server")
    with postgres.database() as url, running(home, url) as found:
        yield found


@pytest.fixture(scope="module")
def bank(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WireBank]:
    made = WireBank(server.services.store, Ed25519PrivateKey.generate())
    made.connect(server, tmp_path_factory.mktemp("edge"))
    yield made
    made.close()


@pytest.fixture
def reader(server: Running) -> Iterator[httpx.Client]:
    with server.program(Scope.READ) as client:
        yield client


@pytest.fixture
def operator(server: Running) -> Iterator[httpx.Client]:
    with server.program(Scope.READ, Scope.OPERATE) as client:
        yield client


def eventually(true: Callable[[], bool], limit_s: float = 5.0) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_it_says_that_it_lives_and_that_it_is_ready(server: Running) -> None:
    assert httpx.get(f"{server.url}/livez").json() == {"ok": True}
    ready = httpx.get(f"{server.url}/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (200, {"database": True, "fabric": True})


def test_every_answer_carries_the_security_headers(server: Running) -> None:
    for path in ("/livez", "/sign-in", "/api/v1/banks", "/nowhere"):
        headers = httpx.get(server.url + path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "no-store" in headers["cache-control"]


def test_a_request_larger_than_allowed_is_refused(server: Running) -> None:
    answer = httpx.post(f"{server.url}/sign-in", content=b"x" * (1024 * 1024 + 1))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_the_page_shows_can_be_read_by_program(bank: WireBank, reader: httpx.Client) -> None:
    bank.beat()
    found = reader.get("/api/v1/banks").json()
    assert found["next"] is None
    view = found["items"][0]
    assert (view["id"], view["label"], view["online"], view["total"]) == ("A", "Lobby", True, 8)
    assert view["columns"] == ["M M M M", "L L+ S S"]
    assert reader.get("/api/v1/banks/A").json()["lockers"] == view["lockers"]
    assert reader.get("/api/v1/lockers/A-06").json()["features"] == ["charging"]
    assert reader.get("/api/v1/assignments").json() == {"items": [], "next": None}


def test_lists_come_in_pages(bank: WireBank, reader: httpx.Client) -> None:
    seen: list[str] = []
    after = ""
    while True:
        page = reader.get("/api/v1/lockers", params={"after": after, "limit": 3}).json()
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert seen == [f"A-{n:02d}" for n in range(1, 9)]


def test_the_feed_is_read_on_from_where_one_was(bank: WireBank, reader: httpx.Client) -> None:
    first = reader.get("/api/v1/events", params={"limit": 4}).json()
    assert [item["seq"] for item in first["items"]] == [1, 2, 3, 4]
    last = reader.get("/api/v1/events", params={"after": first["next"], "limit": 500}).json()
    quiet = reader.get("/api/v1/events", params={"after": last["next"]}).json()
    assert quiet == {"items": [], "next": last["next"]}
    bank.write(ev.OutOfService(locker="08", reason="cleaning"), actor="op:desk")
    (item,) = reader.get("/api/v1/events", params={"after": last["next"]}).json()["items"]
    assert (item["type"], item["locker"], item["who"], item["how"]) == (
        "locker.out_of_service",
        "A-08",
        "desk",
        "Cleaning",
    )
    bank.write(ev.InService(locker="08", reason="repaired"))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/banks/Z", 404),
        ("/api/v1/lockers/A-99", 404),
        ("/api/v1/events?after=-1", 422),
        ("/api/v1/nothing", 404),
    ],
)
def test_errors_are_problems_that_say_what_is_wrong(reader: httpx.Client, path: str, status: int) -> None:
    answer = reader.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]


def test_the_api_describes_itself(server: Running) -> None:
    described = httpx.get(f"{server.url}/api/v1/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert "/api/v1/lockers/{locker}/open" in described["paths"]
    assert all(path.startswith(("/api/v1/", "/live")) for path in described["paths"])


def test_nothing_is_told_to_nobody(server: Running) -> None:
    for path in ("/api/v1/banks", "/api/v1/events", "/live", "/api/v1/lockers/A-01"):
        assert httpx.get(server.url + path).status_code == 401
    assert httpx.get(server.url, headers={"Accept": "text/html"}).headers["location"] == "/sign-in"


def test_who_may_only_read_opens_nothing(reader: httpx.Client) -> None:
    assert reader.post("/api/v1/lockers/A-01/open", json={"reason": "delivery"}).status_code == 403


def test_a_door_is_opened_from_afar_and_the_answer_says_so(bank: WireBank, operator: httpx.Client) -> None:
    answer = operator.post("/api/v1/lockers/A-03/open", json={"reason": "delivery", "note": "for Mei"})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "done")
    sent = bank.live.get(timeout=2)
    assert (sent.locker, sent.reason) == ("03", "delivery")
    newest = operator.get("/api/v1/events", params={"limit": 500}).json()["items"]
    granted = [item for item in newest if item["type"] == "access.granted"][-1]
    # It was there before the answer was: the answer brought it. And the note is the server's own to know.
    assert granted["how"] == "from the desk: Delivery: for Mei"


def test_a_request_that_is_sent_again_is_done_once(bank: WireBank, operator: httpx.Client) -> None:
    while not bank.live.empty():
        bank.live.get()
    again = {"Idempotency-Key": "parcel-4711"}
    first = operator.post("/api/v1/lockers/A-03/open", json={"reason": "delivery"}, headers=again)
    second = operator.post("/api/v1/lockers/A-03/open", json={"reason": "delivery"}, headers=again)
    assert first.json() == second.json()
    assert bank.live.qsize() == 1
    other = operator.post("/api/v1/lockers/A-03/open", json={"reason": "cleaning"}, headers=again)
    assert (other.status_code, other.json()["type"]) == (409, "urn:cubbyhole:idempotency_conflict")
    assert bank.live.qsize() == 1


def test_a_standing_command_that_is_sent_again_is_written_once(bank: WireBank, operator: httpx.Client) -> None:
    again = {"Idempotency-Key": "spring-cleaning"}
    with ThreadPoolExecutor(4) as threads:
        answers = list(
            threads.map(
                lambda _: operator.post(
                    "/api/v1/lockers/A-07/out-of-service", json={"reason": "cleaning"}, headers=again
                ),
                range(4),
            )
        )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["command"] for answer in answers}) == 1


def test_a_bank_that_is_not_there_is_said_to_be_so_at_once(bank: WireBank, operator: httpx.Client) -> None:
    bank._to.do(bank.link.stop())
    started = time.monotonic()
    answer = operator.post("/api/v1/lockers/A-03/open", json={"reason": "delivery"})
    took_s = time.monotonic() - started
    bank.link = bank._to.do(bank._link(load(bank.folder)))
    assert (answer.status_code, answer.json()["title"]) == (503, "Bank unreachable")
    assert took_s < 1


def test_a_standing_command_is_nudged_at_once_and_waits_its_turn(bank: WireBank, operator: httpx.Client) -> None:
    while not bank.nudges.empty():
        bank.nudges.get()
    bank.beat(directory=10**6)
    answer = operator.post("/api/v1/lockers/A-02/out-of-service", json={"reason": "cleaning"})
    assert (answer.status_code, answer.json()["outcome"]) == (202, "requested")
    found: list[m.StandingCommand] = []
    while answer.json()["command"] not in [command.command for command in found]:
        nudge = bank.nudges.get(timeout=2)  # one for the command before may still have been on its way
        asked = m.StandingRequest(bank="A", after=nudge.standing - 1)
        found = m.decode(m.StandingReply, bank.request("standing", asked)).commands
    assert (found[-1].command, found[-1].kind) == (answer.json()["command"], "out_of_service")


def test_a_change_of_the_directory_is_nudged_within_two_seconds(bank: WireBank, server: Running) -> None:
    store = server.services.store
    bank.beat()
    while not bank.nudges.empty():
        bank.nudges.get()
    with store.write() as work:
        changes = DirectoryChanges(work)
        put_people(work, changes, [PersonDraft("p_ada", "Ada", "ada@x.example", None, ())])
        version = changes.version
    started = time.monotonic()
    while bank.nudges.get(timeout=2).directory < version:
        bank.beat()
    assert time.monotonic() - started < 2


def test_a_bank_is_seen_to_leave_and_to_come_back(bank: WireBank, server: Running, reader: httpx.Client) -> None:
    bank.beat()
    assert reader.get("/api/v1/banks/A").json()["online"]
    eventually(lambda: not reader.get("/api/v1/banks/A").json()["online"], 3.5)
    view = reader.get("/api/v1/banks/A").json()
    assert view["offline_since"] is not None
    assert {locker["door"] for locker in view["lockers"]} == {"unknown"}
    bank.beat()
    assert reader.get("/api/v1/banks/A").json()["online"]


def test_the_live_stream_shows_a_change_as_it_commits(bank: WireBank, reader: httpx.Client) -> None:
    bank.beat()
    with reader.stream("GET", "/live", params={"banks": "A"}) as stream:
        told = events_of(stream.iter_lines())
        kind, _, picture = next(told)
        assert kind == "change"
        assert len(picture["lockers"]) == 8
        bank.write(ev.OutOfService(locker="05", reason="cleaning"), ev.InService(locker="05", reason="repaired"))
        bank.write(ev.OutOfService(locker="04", reason="cleaning"))
        seen: dict[str, str] = {}
        events: list[str] = []
        number = None
        while "A-04" not in seen:
            kind, number, body = next(told)
            seen |= {locker["id"]: locker["state"] for locker in body["lockers"]}
            events += [event["type"] for event in body["events"]]
        assert seen["A-04"] == "oos"
        assert events[-3:] == ["locker.out_of_service", "locker.in_service", "locker.out_of_service"]
    bank.write(ev.InService(locker="04", reason="repaired"))
    with reader.stream("GET", "/live", params={"banks": "A"}, headers={"Last-Event-ID": str(number)}) as stream:
        _, _, body = next(events_of(stream.iter_lines()))
        assert [event["type"] for event in body["events"]] == ["locker.in_service"]


def test_a_browser_that_was_away_too_long_is_told_to_load_anew(bank: WireBank, reader: httpx.Client) -> None:
    with reader.stream("GET", "/live", params={"after": 10**12}) as stream:
        kind, _, _ = next(events_of(stream.iter_lines()))
    assert kind == "reset"


def test_the_pages_are_there_for_the_owner(bank: WireBank, server: Running) -> None:
    with server.browser() as owner:
        for path in ("/", "/banks", "/banks/A", "/banks/A?locker=03", "/banks/A/lockers/03", "/events", "/people"):
            page = owner.get(path)
            assert page.status_code == 200, path
            assert page.headers["content-type"].startswith("text/html")
        assert owner.get("/banks/Z").status_code == 404
        assert owner.get("/workbench").status_code == 404


def test_the_drawer_opens_a_door_and_shows_what_became_of_it(bank: WireBank, server: Running) -> None:
    with server.browser() as owner:
        answer = owner.post("/banks/A/lockers/01/open", data={"reason": "forgot_badge", "note": ""})
        assert answer.status_code == 200
        assert "A-01 may open now" in answer.text
        answer = owner.post("/banks/A/lockers/01/open", data={"reason": ""})
        assert answer.status_code == 422
        assert "Choose a reason" in answer.text


def test_another_site_cannot_open_a_door_with_the_owners_cookie(bank: WireBank, server: Running) -> None:
    while not bank.live.empty():
        bank.live.get()
    with server.browser() as owner:
        owner.headers["Origin"] = "https://elsewhere.example"
        owner.headers["Sec-Fetch-Site"] = "cross-site"
        answer = owner.post("/banks/A/lockers/01/open", data={"reason": "delivery"})
    assert answer.status_code == 403
    assert bank.live.empty()


def test_a_bank_cannot_speak_for_another_over_the_fabric(bank: WireBank) -> None:
    beat = m.Beat(
        bank="B", epoch=bank.epoch, seq=1, directory=0, standing=0, at=0, mono=0, boot="b", sync=True
    )  # fmt: skip
    with pytest.raises(Refused, match="wrong_bank"):
        bank.request("beat", beat)
    with pytest.raises((NotPermitted, FabricError)):
        bank.request("beat", beat, bank="B")


def test_a_removed_controller_is_cut_off_at_once(server: Running, tmp_path: Path) -> None:
    made = WireBank(server.services.store, Ed25519PrivateKey.generate(), bank="X").connect(server, tmp_path)
    with server.services.store.read() as connection:
        name = next(c.controller for c in list_controllers(connection) if "X" in c.banks)
    with server.services.store.write() as work:
        assert remove(work, name, "op:test")
    eventually(lambda: not made.link.connected, 3)
    time.sleep(0.5)
    assert not made.link.connected
    made.close()
