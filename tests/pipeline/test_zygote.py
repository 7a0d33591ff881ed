"""A fork server as a process of its own, with workers that are forked from it."""

import os
import select
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.build import make_plan
from pipeline.bus import Hub
from pipeline.config import make_config
from pipeline.messages import PROTOCOL_VERSION, Hello, Open, Opened, Prepared, SinkClosed, Stop
from pipeline.plan import Plan
from pipeline.processes import ForkServer, ServerName
from pipeline.run import place
from pipeline.slots import Phase, Slots
from pipeline.zygote import Exited, Spawn, Spawned
from tests.pipeline.fakes import fake_config
from tests.pipeline.runs import wait_for

SEAT = 0


class Nursery:
    """Fork servers over one plan, in one private directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.plan: Plan = place(make_plan(make_config(fake_config())), str(directory))
        self.slots = Slots.create(self.plan.layout, self.plan.slots)
        self.servers: list[ForkServer] = []
        self.pidfds: list[int] = []

    def server(self, name: ServerName = "light", *modules: str) -> ForkServer:
        self.servers.append(ForkServer(name, str(self.directory), self.slots.fd, modules, threads=1))
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
        for fd in (*self.pidfds, self.slots.fd):
            os.close(fd)


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    directory = Path(tempfile.mkdtemp(prefix="percept-"))
    made = Nursery(directory)
    yield made
    made.close()
    shutil.rmtree(directory, ignore_errors=True)


def has_exited(pidfd: int, timeout_s: float = 10.0) -> bool:
    return bool(select.select([pidfd], [], [], timeout_s)[0])


def test_a_worker_is_forked_and_its_exit_is_reported(nursery: Nursery) -> None:
    server = nursery.server()
    spawned = nursery.spawn(server, worker=7)
    assert spawned.worker == 7
    assert spawned.pid != server.process.pid
    assert len(nursery.pidfds) == 1
    assert not has_exited(nursery.pidfds[0], 0.0)
    signal.pidfd_send_signal(nursery.pidfds[0], signal.SIGKILL)
    assert nursery.event(server) == Exited(7, -signal.SIGKILL)
    assert has_exited(nursery.pidfds[0])


def test_the_role_of_a_worker_decides_what_it_runs(nursery: Nursery) -> None:
    server, hub = nursery.server(), Hub(str(nursery.directory))
    try:
        nursery.spawn(server, "prepare", worker=1)
        assert wait_for(hub.receive) == (1, Prepared(ready=True))
        assert wait_for(hub.receive) == (1, Prepared(finished=True))
        assert nursery.event(server) == Exited(1, 0)
        nursery.spawn(server, "group", group=1, worker=2)
        assert wait_for(hub.receive) == (2, Hello(2, PROTOCOL_VERSION, credit=nursery.plan.config.queue.credit))
        for worker, role in ((3, "decode"), (4, "sink")):
            nursery.spawn(server, role, worker=worker)
            assert wait_for(hub.receive) == (worker, Hello(worker, PROTOCOL_VERSION))
        hub.send(3, Open("fake:clips=0", 0))
        assert isinstance(wait_for(hub.receive)[1], Opened)
        hub.send(4, Stop())
        assert wait_for(lambda: received if (received := hub.receive()) and received[0] == 4 else None) == (
            4,
            SinkClosed(),
        )
        assert nursery.event(server) == Exited(4, 0)
    finally:
        hub.close()


def test_a_worker_that_fails_writes_its_traceback_to_its_log(nursery: Nursery) -> None:
    server = nursery.server()
    nursery.spawn(server, "group", group=99)
    assert nursery.event(server) == Exited(1, 1)
    assert "IndexError: tuple index out of range" in nursery.log()


def test_a_hung_worker_dumps_its_traceback_on_request(nursery: Nursery) -> None:
    server = nursery.server()
    nursery.spawn(server)
    wait_for(lambda: nursery.slots.watched(SEAT).phase == Phase.IDLE and nursery.slots.watched(SEAT).since_ns, 20.0)
    signal.pidfd_send_signal(nursery.pidfds[0], signal.SIGUSR1)
    wait_for(lambda: "bus.py" in nursery.log(), 10.0, "the traceback")
    assert not has_exited(nursery.pidfds[0], 0.0)


def test_the_workers_die_with_their_server(nursery: Nursery) -> None:
    server = nursery.server()
    nursery.spawn(server)
    server.process.kill()
    assert has_exited(nursery.pidfds[0])


@pytest.mark.parametrize("name", ["light", "output"])
def test_a_server_that_loses_its_supervisor_removes_the_private_directory(nursery: Nursery, name: ServerName) -> None:
    server = nursery.server(name)
    nursery.spawn(server)
    server.control.close()
    assert server.process.wait(timeout=10) == 0
    assert not nursery.directory.exists()
    assert has_exited(nursery.pidfds[0])


def test_a_module_that_cannot_be_imported_costs_nothing(nursery: Nursery) -> None:
    """A worker that needs it fails with a report of its own."""
    server = nursery.server("light", "no_such_module", "colorsys")
    nursery.spawn(server)
    assert server.process.poll() is None


def test_a_worker_has_the_modules_of_its_server_from_the_start(nursery: Nursery) -> None:
    light, heavy = nursery.server("light"), nursery.server("heavy", "cv2")
    libraries = [Path(f"/proc/{nursery.spawn(server).pid}/maps").read_text() for server in (light, heavy)]
    assert ["cv2" in text for text in libraries] == [False, True]
