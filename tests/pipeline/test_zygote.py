"""A fork server as a process of its own, with workers that are forked from it."""

import os
import select
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands.main import main
from pipeline import nursery
from pipeline.build import make_plan
from pipeline.bus import Hub
from pipeline.config import make_config
from pipeline.messages import PROTOCOL_VERSION, Hello, Open, Opened, Prepared, SinkClosed, Stop
from pipeline.nursery import Nursery
from pipeline.plan import Plan
from pipeline.processes import ForkServer, ServerName
from pipeline.run import place
from pipeline.slots import Phase, Slots
from pipeline.zygote import Exited, Serve, Spawn, Spawned
from tests.pipeline.fakes import fake_config
from tests.pipeline.runs import run_fakes, wait_for

SEAT = 0


class House:
    """Fork servers over one plan, in one private directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.plan: Plan = place(make_plan(make_config(fake_config())), str(directory))
        self.slots = Slots.create(self.plan.layout, self.plan.slots)
        self.nursery = Nursery()
        self.servers: list[ForkServer] = []
        self.pidfds: list[int] = []

    def server(self, name: ServerName = "light", *modules: str) -> ForkServer:
        self.servers.append(
            ForkServer(self.nursery, Serve(name, str(self.directory), modules, threads=1), self.slots.fd)
        )
        return self.servers[-1]

    def event(self, server: ForkServer) -> Spawned | Exited:
        """The next event of a server; a pidfd is kept."""
        event, pidfd = wait_for(lambda: next(server.events(), None), 20.0, "an event of the server")
        if pidfd >= 0:
            self.pidfds.append(pidfd)
        return event  # type: ignore[no-any-return]

    def spawn(self, server: ForkServer, role: str = "decode", group: int = -1, worker: int = 1) -> Spawned:
        server.spawn(Spawn(worker, SEAT, role, group))
        spawned = self.event(server)
        assert isinstance(spawned, Spawned)
        return spawned

    def log(self, worker: int = 1) -> str:
        return (self.directory / f"worker-{worker}.log").read_text()

    def close(self) -> None:
        for server in self.servers:
            server.close()
        self.nursery.close()
        for fd in (*self.pidfds, self.slots.fd):
            os.close(fd)


@pytest.fixture
def house() -> Iterator[House]:
    directory = Path(tempfile.mkdtemp(prefix="percept-"))
    made = House(directory)
    yield made
    made.close()
    shutil.rmtree(directory, ignore_errors=True)


def has_exited(pidfd: int, timeout_s: float = 10.0) -> bool:
    return bool(select.select([pidfd], [], [], timeout_s)[0])


def test_a_worker_is_forked_and_its_exit_is_reported(house: House) -> None:
    server = house.server()
    spawned = house.spawn(server, worker=7)
    assert spawned.worker == 7
    assert spawned.pid != server.process.pid
    assert len(house.pidfds) == 1
    assert not has_exited(house.pidfds[0], 0.0)
    signal.pidfd_send_signal(house.pidfds[0], signal.SIGKILL)
    assert house.event(server) == Exited(7, -signal.SIGKILL)
    assert has_exited(house.pidfds[0])


def test_the_role_of_a_worker_decides_what_it_runs(house: House) -> None:
    server, hub = house.server(), Hub(str(house.directory))
    try:
        house.spawn(server, "prepare", worker=1)
        assert wait_for(hub.receive) == (1, Prepared(ready=True))
        assert wait_for(hub.receive) == (1, Prepared(finished=True))
        assert house.event(server) == Exited(1, 0)
        house.spawn(server, "group", group=1, worker=2)
        assert wait_for(hub.receive) == (2, Hello(2, PROTOCOL_VERSION, credit=house.plan.config.queue.credit))
        for worker, role in ((3, "decode"), (4, "sink")):
            house.spawn(server, role, worker=worker)
            assert wait_for(hub.receive) == (worker, Hello(worker, PROTOCOL_VERSION))
        hub.send(3, Open("fake:clips=0", 0))
        assert isinstance(wait_for(hub.receive)[1], Opened)
        hub.send(4, Stop())
        assert wait_for(lambda: received if (received := hub.receive()) and received[0] == 4 else None) == (
            4,
            SinkClosed(),
        )
        assert house.event(server) == Exited(4, 0)
    finally:
        hub.close()


def test_a_worker_that_fails_writes_its_traceback_to_its_log(house: House) -> None:
    server = house.server()
    house.spawn(server, "group", group=99)
    assert house.event(server) == Exited(1, 1)
    assert "IndexError: tuple index out of range" in house.log()


def test_a_hung_worker_dumps_its_traceback_on_request(house: House) -> None:
    server = house.server()
    house.spawn(server)
    wait_for(lambda: house.slots.watched(SEAT).phase == Phase.IDLE and house.slots.watched(SEAT).since_ns, 20.0)
    signal.pidfd_send_signal(house.pidfds[0], signal.SIGUSR1)
    wait_for(lambda: "bus.py" in house.log(), 10.0, "the traceback")
    assert not has_exited(house.pidfds[0], 0.0)


def test_the_workers_die_with_their_server(house: House) -> None:
    server = house.server()
    house.spawn(server)
    server.process.kill()
    assert has_exited(house.pidfds[0])


@pytest.mark.parametrize("name", ["light", "output"])
def test_a_server_that_loses_its_supervisor_removes_the_private_directory(house: House, name: ServerName) -> None:
    server = house.server(name)
    house.spawn(server)
    server.control.close()
    assert server.process.has_ended(timeout_s=10)
    assert not house.directory.exists()
    assert has_exited(house.pidfds[0])


def test_servers_end_with_their_nursery_except_that_of_the_output(house: House) -> None:
    light, output = house.server(), house.server("output")
    house.spawn(light)
    house.nursery.process.kill()
    assert light.process.has_ended(timeout_s=10)
    assert has_exited(house.pidfds[0])
    assert not output.process.has_ended()


def test_a_nursery_that_was_started_early_is_taken_once() -> None:
    nursery.start_early()
    made = [nursery.take(), nursery.take()]
    for each in made:
        each.close()
    assert made[0].process.pid != made[1].process.pid


def test_a_module_that_cannot_be_imported_costs_nothing(house: House) -> None:
    """A worker that needs it fails with a report of its own."""
    server = house.server("light", "no_such_module", "colorsys")
    house.spawn(server)
    assert not server.process.has_ended()


def test_a_worker_has_the_modules_of_its_server_from_the_start(house: House) -> None:
    light, heavy = house.server("light"), house.server("heavy", "sqlite3")
    libraries = [Path(f"/proc/{house.spawn(server).pid}/maps").read_text() for server in (light, heavy)]
    assert ["sqlite3" in text for text in libraries] == [False, True]


def test_a_nursery_that_no_run_takes_ends_with_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "talk.mp4", "--no-such-option"]) == 2
    assert not nursery._early
    assert "--no-such-option" in capfd.readouterr().err


def test_an_early_nursery_that_has_been_killed_is_replaced(tmp_path: Path) -> None:
    nursery.start_early()
    nursery._early[0].process.kill()
    nursery._early[0].process.wait(timeout=20)
    assert run_fakes(tmp_path, "fake:clips=3").clips() == [0, 1, 2]
