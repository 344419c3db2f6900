"""One running office for all stories in the browser: real server, real controllers, simulated hardware."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from cubbyhole.simulator.house import House, free_ports


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """An office in a short folder: Unix sockets have short names."""
    folder = Path(tempfile.mkdtemp(prefix="cb-"))
    house = House(folder, free_ports(1)[0])
    try:
        house.start()
        yield house
    finally:
        house.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def signed_in(house: House, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The owner's session, from the one-time link."""
    state = tmp_path_factory.mktemp("session") / "state.json"
    context = browser.new_context()
    page = context.new_page()
    link = house.owner_link
    assert link is not None
    page.goto(link)
    page.get_by_role("button", name="Sign in as owner").click()
    page.wait_for_url(house.url + "/")
    context.storage_state(path=state)
    context.close()
    return state


@pytest.fixture
def desk(house: House, browser: Browser, signed_in: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A signed-in page; parametrise with `{"viewport": …, "color_scheme": …}`. A script error fails the test."""
    options: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, **getattr(request, "param", {})}
    context = browser.new_context(storage_state=str(signed_in), base_url=house.url, **options)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if is_wrong(message) else None)
    yield page
    context.close()
    assert wrong == []


def is_wrong(message: ConsoleMessage) -> bool:
    """An error that a page must not have. A line that a stopped server broke off is what the page itself says."""
    return message.type == "error" and not any(
        part in message.text for part in ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY")
    )
