"""A controller that goes down while it enrols: what it types again is answered again, and to nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import select

from cubbyhole.edge.fabric import enrol
from cubbyhole.protocol.enrolment import EnrolReply
from cubbyhole.server.banks.controllers import CODE_VALID_MS, ControllerRegistry, create_code, remove
from cubbyhole.server.banks.enrolling import enrolment_desk
from cubbyhole.server.fabric.link import NewController
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence import tables as t
from cubbyhole.server.persistence.engine import make_engine
from cubbyhole.server.persistence.migrate import migrate
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store
from tests.server.hand import HandClock

from .conftest import Fabric

pytestmark = pytest.mark.asyncio


class TableRegistry(ControllerRegistry):
    """The server's own registry and desk, on a database of the test's."""

    def __init__(self, store: Store, pool: WorkPool) -> None:
        super().__init__(store)

        async def look() -> None:
            pass

        self._answer = enrolment_desk(store, pool, SealingKey(b"s" * 32), "tls://:4222", look)

    async def desk(self, new: NewController) -> EnrolReply:
        return await self._answer(new)


class Office(Fabric):
    """The fabric with a server's tables behind it."""

    def __init__(self, folder: Path) -> None:
        engine = make_engine(f"sqlite:///{folder / 'cubbyhole.db'}")
        migrate(engine)
        self.clock = HandClock()
        self.store, self.pool = Store(engine, self.clock), WorkPool("desk", 2, 16)
        super().__init__(folder)
        self.registry = TableRegistry(self.store, self.pool)  # type: ignore[assignment]
        self.link = self.new_link()

    def code_for(self, *banks: str) -> str:
        with self.store.write() as work:
            return create_code(work, self.authority.fingerprint, banks, "op:ada")

    def controllers(self) -> list[str]:
        with self.store.read() as connection:
            return list(connection.execute(select(t.controllers.c.controller)).scalars())


@pytest_asyncio.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    office = await asyncio.to_thread(Office, tmp_path)
    try:
        await office.start()
        yield office
    finally:
        await office.stop()
        office.pool.close()
        office.store.engine.dispose()


async def down_after_the_commit(office: Office, code: str, folder: Path) -> None:
    """The controller goes down when the server has committed and it has not saved the answer yet."""

    def power_cut(path: Path, *_: object, **__: object) -> None:
        raise InterruptedError(f"power cut before {path.name}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(enrol, "write_key_file", power_cut)
        with pytest.raises(InterruptedError):
            await enrol.enrol(office.page(), code, folder, ["A", "B"])
    assert len(office.controllers()) == 1 and not (folder / "enrolment.json").exists()


async def test_the_same_controller_gets_the_same_answer_again(office: Office, tmp_path: Path) -> None:
    code, folder = office.code_for("A", "B"), tmp_path / "controller"
    await down_after_the_commit(office, code, folder)
    made = await enrol.enrol(office.page(), code, folder, ["A", "B"])
    assert (office.controllers(), made.banks) == ([made.controller], ("A", "B"))
    link = office.bank_link(enrol.load(folder))
    await link.start()
    await link.wait_connected(5)


async def test_another_controller_with_the_same_code_gets_nothing(office: Office, tmp_path: Path) -> None:
    code, folder = office.code_for("A", "B"), tmp_path / "controller"
    await down_after_the_commit(office, code, folder)
    with pytest.raises(enrol.EnrolmentFailed, match="used already"):
        await enrol.enrol(office.page(), code, tmp_path / "thief", ["A", "B"])
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "controller.nk").write_bytes((folder / "controller.nk").read_bytes())
    (tmp_path / "half" / "controller.nk").chmod(0o600)
    with pytest.raises(enrol.EnrolmentFailed, match="used already"):
        await enrol.enrol(office.page(), code, tmp_path / "half", ["A", "B"])  # one of both keys is not enough
    assert len(office.controllers()) == 1


async def test_other_banks_a_removed_controller_and_an_old_code_are_refused(office: Office, tmp_path: Path) -> None:
    code, folder = office.code_for("A", "B"), tmp_path / "controller"
    await down_after_the_commit(office, code, folder)
    with pytest.raises(enrol.EnrolmentFailed, match="used already"):
        await enrol.enrol(office.page(), code, folder, ["A"])
    office.clock.pass_ms(CODE_VALID_MS + 1)
    with pytest.raises(enrol.EnrolmentFailed, match="does not accept this code"):
        await enrol.enrol(office.page(), code, folder, ["A", "B"])
    office.clock.pass_ms(-2)
    with office.store.write() as work:
        assert remove(work, office.controllers()[0], "op:ada")
    with pytest.raises(enrol.EnrolmentFailed, match="used already"):
        await enrol.enrol(office.page(), code, folder, ["A", "B"])
