"""Links that act with one tap: signed, for one thing, until a moment; looking at one does nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from cubbyhole.server.app import create_app
from cubbyhole.server.auth.access import Auth
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.notices.links import SUBJECT_MOST, Links, LinkSpent, Purpose
from cubbyhole.server.notices.taps import Answer, Question
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.services import Services
from cubbyhole.ui.words import Words
from tests.server import office
from tests.server.hand import HandClock

LINKS = Links(SealingKey(b"k" * 32), "https://cubby.example/")


def test_a_link_says_what_it_is_for() -> None:
    token = LINKS.make(Purpose.RENEW, "as_1@1700", 2000)
    assert LINKS.verify(token, Purpose.RENEW, 2000) == "as_1@1700"
    assert LINKS.url(Purpose.RENEW, "as_1@1700", 2000) == f"https://cubby.example/l/{token}"
    assert len(token) < 200


def test_a_link_is_good_until_its_end_and_for_its_purpose_only() -> None:
    token = LINKS.make(Purpose.RENEW, "as_1", 2000)
    with pytest.raises(LinkSpent):
        LINKS.verify(token, Purpose.RENEW, 2001)
    with pytest.raises(LinkSpent):
        LINKS.verify(token, Purpose.TAKE_OFFER, 1000)


def test_no_byte_of_a_link_can_be_changed() -> None:
    token = LINKS.make(Purpose.RENEW, "as_1", 2000)
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    for at in range(len(raw)):
        raw[at] ^= 1
        with pytest.raises(LinkSpent):
            LINKS.read(base64.urlsafe_b64encode(raw).decode().rstrip("="), 1000)
        raw[at] ^= 1


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 100, "ä", "=" * 8, "a b", "A" * 5000])
def test_what_was_never_a_link_is_refused(token: str) -> None:
    with pytest.raises(LinkSpent):
        LINKS.read(token, 0)


def test_another_servers_link_is_refused() -> None:
    with pytest.raises(LinkSpent):
        LINKS.read(Links(SealingKey(b"x" * 32), "").make(Purpose.RENEW, "as_1", 2000), 0)


@pytest.mark.parametrize("subject", ["two\nlines", "x" * (SUBJECT_MOST + 1)])
def test_a_subject_is_a_short_line(subject: str) -> None:
    with pytest.raises(ValueError, match="short text"):
        LINKS.make(Purpose.RENEW, subject, 0)


class Renewals:
    """Somebody who acts on links."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.done: list[str] = []

    def ask(self, subject: str, _words: Words) -> Question:
        self.asked.append(subject)
        if subject in self.done:
            raise LinkSpent("renewed already")
        return Question("Keep A-07 longer?", "It would be yours until Friday.", "Keep it")

    async def act(self, subject: str, _words: Words) -> Answer:
        if subject in self.done:
            raise LinkSpent("renewed already")
        self.done.append(subject)
        return Answer("Yours until Friday", "A-07 is renewed.")


@pytest.fixture
def pool() -> Iterator[WorkPool]:
    made = WorkPool("test", 2, 16)
    yield made
    made.close()


@pytest.fixture
def app(store: Store, pool: WorkPool, sealing: SealingKey, tmp_path: Path) -> Iterator[tuple[FastAPI, Services]]:
    auth = Auth(store, pool)
    kept: list[Services] = []

    def remember(services: Services, *rest: object) -> FastAPI:
        kept.append(services)
        return create_app(services, *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(office, "create_app", remember)
        made = office.application(store, pool, sealing, auth, tmp_path)
    yield made, kept[0]
    auth.close()


async def test_looking_does_nothing_and_a_tap_acts_once(app: tuple[FastAPI, Services], clock: HandClock) -> None:
    made, services = app
    renewals = Renewals()
    services.post.taps.on(Purpose.TAKE_OFFER, renewals.ask, renewals.act)
    path = "/l/" + services.post.links.make(Purpose.TAKE_OFFER, "as_1@5", clock() + 1000)
    client = office.browser(made)
    for _ in range(3):  # a mail scanner, a preview, the person
        looked = await client.get(path)
        assert looked.status_code == 200 and "Keep A-07 longer?" in looked.text and "<form" in looked.text
        assert (await client.head(path)).status_code in (200, 405)
    assert renewals.done == []
    assert looked.headers["cache-control"] == "no-store" and looked.headers["referrer-policy"] == "no-referrer"
    acted = await client.post(path)
    assert acted.status_code == 200 and "A-07 is renewed." in acted.text and "<form" not in acted.text
    for again in (await client.post(path), await client.get(path)):
        assert again.status_code == 410 and "does not work any more" in again.text
    assert renewals.done == ["as_1@5"]


async def test_a_link_that_is_over_or_that_nobody_acts_on_says_so(
    app: tuple[FastAPI, Services], clock: HandClock
) -> None:
    made, services = app
    links, client = services.post.links, office.browser(made, **{"accept-language": "de"})
    nobody = links.make(Purpose.TAKE_OFFER, "of_1", clock() + 1000)
    late = links.make(Purpose.RENEW, "as_1", clock() - 1)
    changed = links.make(Purpose.RENEW, "as_1@5", clock() + 1000)
    for token in (nobody, late, changed, "nonsense"):
        for answer in (await client.get(f"/l/{token}"), await client.post(f"/l/{token}")):
            assert answer.status_code == 410 and "gilt nicht mehr" in answer.text
    renewals = Renewals()
    with pytest.raises(ValueError, match="somebody else"):
        services.post.taps.on(Purpose.RENEW, renewals.ask, renewals.act)
