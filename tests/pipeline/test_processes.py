"""The worker processes of a run: forked, watched, killed, and reported dead once with the cause."""

import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import pipeline.processes
from pipeline.build import make_plan
from pipeline.config import make_config
from pipeline.errors import PerceptError
from pipeline.nursery import child_environment
from pipeline.processes import HANG_DUMP_S, Processes, Role, Worker
from pipeline.run import place
from pipeline.slots import Phase, Slots
from tests.conftest import ROOT
from tests.pipeline.fakes import fake_config
from tests.pipeline.runs import wait_for

LIMITS = {"load_s": 10.0, "clip_s": 20.0, "open_s": 30.0, "decode_s": 40.0, "prepare_s": 50.0}
MODEL, TRACK = 0, 1


class House:
    """The processes of a plan of fakes, in a private directory, and a clock that can be moved.

    A worker of the group `track` dies while it loads.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="percept-"))
        config = fake_config(deadlines=LIMITS)
        config["stages"]["fake_track"] = {"class": "tests.pipeline.fakes:DiesLoading"}
        plan = place(make_plan(make_config(config)), str(self.directory))
        self.slots = Slots.create(plan.layout, plan.slots)
        self.processes = Processes(plan, self.slots)
        self.later_s = 0.0
        now_s = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: now_s() + self.later_s)

    def spawn(self, role: Role = "decode", group: int = -1) -> Worker:
        """A worker that runs."""
        worker = self.processes.spawn(role, f"{role}-1", group)
        self.wait_for_pid(worker)
        return worker

    def wait_for_pid(self, worker: Worker) -> None:
        wait_for(lambda: self.processes.died() == [] and worker.pid, 20.0, "the fork")

    def dead(self) -> list[tuple[Worker, str]]:
        """The workers that are dead now, at least one."""
        found: list[tuple[Worker, str]] = wait_for(self.processes.died, 20.0, "a death")
        return found

    def on_paper(self, role: Role) -> Worker:
        """A worker without a process."""
        worker = Worker(99, seat=5, role=role, name="on paper")
        self.processes.workers[99] = worker
        return worker

    def hung(self, has_work: bool = False) -> list[str]:
        return [text for _, text in self.processes.check_deadlines(lambda worker: has_work)]

    def close(self) -> None:
        self.processes.close()
        os.close(self.slots.fd)
        shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    made = House(monkeypatch)
    yield made
    made.close()


# -- life and death ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "group", "server"),
    [
        ("sink", -1, "output"),
        ("decode", -1, "light"),
        ("group", TRACK, "light"),
        ("group", MODEL, "heavy"),
        ("prepare", -1, "light"),  # "heavy" if that has PyTorch
    ],
)
def test_a_worker_is_forked_by_the_server_that_has_its_modules(
    house: House, role: Role, group: int, server: str
) -> None:
    assert house.processes.spawn(role, "x", group).server == server


def test_a_death_is_reported_once_with_its_cause(house: House) -> None:
    worker = house.spawn()
    assert house.processes.workers == {worker.id: worker}
    os.kill(worker.pid, signal.SIGKILL)
    assert house.dead() == [(worker, "killed by SIGKILL")]
    assert house.processes.died() == []
    assert house.processes.workers == {}


def test_an_exit_is_reported_with_its_code_and_the_log_has_the_last_words(house: House) -> None:
    worker = house.processes.spawn("group", "track", TRACK)
    assert house.dead() == [(worker, "exited with code 7")]
    assert house.processes.log_tail(worker) == "these are my last words"


def test_a_death_wakes_the_supervisor(house: House) -> None:
    worker = house.spawn()
    assert not select.select(house.processes.fds(), [], [], 0)[0]
    os.kill(worker.pid, signal.SIGKILL)
    assert select.select(house.processes.fds(), [], [], 10)[0]


def test_the_workers_of_a_dead_server_are_lost_and_a_new_server_takes_its_place(house: House) -> None:
    lost = [house.spawn(), house.spawn()]
    house.processes._servers["light"].process.kill()
    found: list[tuple[Worker, str]] = []
    wait_for(lambda: found.extend(house.processes.died()) or len(found) == 2, 20.0, "both deaths")
    assert sorted(worker.id for worker, _ in found) == [worker.id for worker in lost]
    assert {cause for _, cause in found} == {"lost its fork server"}
    assert house.spawn().pid


def test_a_dead_nursery_is_replaced_with_the_servers_that_died_with_it(house: House) -> None:
    worker = house.spawn()
    house.processes._nursery.process.kill()  # type: ignore[union-attr]
    assert house.dead() == [(worker, "lost its fork server")]
    assert house.spawn().pid


def test_a_seat_is_free_again_only_after_its_watch_record_was_read(house: House) -> None:
    worker = house.spawn()
    house.slots.watch(worker.seat, Phase.DECODING, 2, 7)
    os.kill(worker.pid, signal.SIGKILL)
    house.dead()
    assert house.processes.spawn("decode", "next").seat != worker.seat
    assert house.slots.watched(worker.seat).index == 7
    house.processes.died()
    seats = {house.processes.spawn("decode", "next").seat for _ in range(2)}
    assert worker.seat in seats


def test_more_workers_than_seats_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.processes, "MAX_WORKERS", 1)
    house = House(monkeypatch)
    try:
        house.spawn()
        with pytest.raises(PerceptError, match="decode-2: more than 1 workers; use fewer workers per group"):
            house.processes.spawn("decode", "decode-2")
    finally:
        house.close()


def test_closing_ends_every_process(house: House) -> None:
    house.processes.start()
    worker = house.spawn()
    servers = [server.process for server in house.processes._servers.values()]
    pidfd = os.pidfd_open(worker.pid)
    house.processes.close()
    assert len(servers) == 3
    assert all(server.has_ended() for server in servers)
    assert select.select([pidfd], [], [], 10)[0]
    os.close(pidfd)


# -- deadlines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "phase", "has_work", "limit_s", "doing"),
    [
        ("group", Phase.LOADING, False, 10, "loading clip 4 of source 2"),
        ("group", Phase.WORKING, False, 20, "working clip 4 of source 2"),
        ("group", Phase.IDLE, True, 20, "idle with work queued clip 4 of source 2"),
        ("decode", Phase.OPENING, False, 30, "opening clip 4 of source 2"),
        ("decode", Phase.DECODING, False, 40, "decoding clip 4 of source 2"),
        ("decode", Phase.IDLE, True, 40, "idle with work queued clip 4 of source 2"),
        ("prepare", Phase.PREPARING, False, 50, "preparing clip 4 of source 2"),
    ],
)
def test_each_phase_has_a_deadline_of_its_own(
    house: House, role: Role, phase: Phase, has_work: bool, limit_s: int, doing: str
) -> None:
    worker = house.on_paper(role)
    house.slots.watch(worker.seat, phase, 2, 4)
    house.later_s = limit_s - 1
    assert house.hung(has_work) == []
    house.later_s = limit_s + 2
    (text,) = house.hung(has_work)
    assert text.startswith(f"hung: {doing} for ")
    assert text.endswith(f" s (limit {limit_s} s)")
    assert worker.is_hung
    assert house.hung(has_work) == [], "it is reported once"


@pytest.mark.parametrize(
    ("role", "phase", "has_work"),
    [("group", Phase.IDLE, False), ("decode", Phase.IDLE, False), ("sink", Phase.WORKING, False)],
)
def test_without_work_and_while_it_writes_a_process_has_no_deadline(
    house: House, role: Role, phase: Phase, has_work: bool
) -> None:
    house.slots.watch(house.on_paper(role).seat, phase)
    house.later_s = 1e6
    assert house.hung(has_work) == []


def test_the_time_of_an_idle_worker_counts_from_its_last_message(house: House) -> None:
    worker = house.on_paper("group")
    house.slots.watch(worker.seat, Phase.IDLE)
    house.later_s = 1000.0
    worker.sent_to()
    house.later_s = 1019.0
    assert house.hung(has_work=True) == []
    house.later_s = 1022.0
    assert len(house.hung(has_work=True)) == 1


def test_a_hung_worker_is_asked_for_a_traceback_then_killed_and_reported_with_its_fate(house: House) -> None:
    worker = house.spawn()
    wait_for(lambda: house.slots.watched(worker.seat).phase == Phase.IDLE, 20.0, "the worker to wait")
    house.later_s = LIMITS["decode_s"] + 1
    (text,) = house.hung(has_work=True)
    wait_for(lambda: house.processes.log_tail(worker), 10.0, "its traceback")
    assert house.processes.died() == [], "it is not killed yet"
    house.later_s += HANG_DUMP_S
    house.hung(has_work=True)
    assert house.dead() == [(worker, text)]
    assert "bus.py" in house.processes.log_tail(worker)


def test_a_worker_that_was_never_forked_costs_its_server(house: House) -> None:
    worker = house.spawn()
    wait_for(lambda: house.slots.watched(worker.seat).phase == Phase.IDLE, 20.0, "the worker to wait")
    server = house.processes._servers["light"].process
    os.kill(server.pid, signal.SIGSTOP)
    stuck = house.processes.spawn("decode", "stuck")
    house.later_s = LIMITS["load_s"] + 1
    assert len(house.hung()) == 1
    house.later_s += HANG_DUMP_S
    house.hung()
    found: list[tuple[Worker, str]] = []
    wait_for(lambda: found.extend(house.processes.died()) or len(found) == 2, 20.0, "both deaths")
    causes = {worker.id: cause for worker, cause in found}
    assert causes[stuck.id].startswith("hung: loading for ")


# -- logs and environment ---------------------------------------------------------------------------------------------


def test_the_tail_of_a_log_is_its_last_lines(house: House) -> None:
    worker = house.on_paper("group")
    assert house.processes.log_tail(worker) == ""
    log = house.directory / "worker-99.log"
    log.write_bytes(b"".join(b"line %d\n" % number for number in range(30)) + b"caf\xe9\n\n")
    assert house.processes.log_tail(worker).splitlines() == [
        *(f"line {number}" for number in range(19, 30)),
        "caf\ufffd",
    ]


def test_the_tail_of_a_dump_is_its_innermost_calls(house: House) -> None:
    worker = house.on_paper("group")
    frames = [f'  File "{name}.py", line 1 in {name}' for name in ("sleep", "process", *"abcdefghijklmnop")]
    dump = "\n".join(["Current thread 0x1 (most recent call first):", *frames])
    (house.directory / "worker-99.log").write_text(f"Thread 0x0 (most recent call first):\nold\n{dump}\n")
    tail = house.processes.log_tail(worker, lines=3).splitlines()
    assert tail == ["Current thread 0x1 (most recent call first):", *frames[:2]]


def test_a_child_finds_our_packages_before_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert child_environment()["PYTHONPATH"] == f"{ROOT}{os.pathsep}/elsewhere"
    monkeypatch.delenv("PYTHONPATH")
    assert child_environment()["PYTHONPATH"] == str(ROOT)


def test_a_worker_without_a_process_is_not_shown_with_a_pid() -> None:
    worker = Worker(0, seat=0, role="clerk", name="clerk")
    assert worker.shown == "clerk (not started yet)"
    worker.pid = 4711
    assert worker.shown == "clerk (pid 4711)"
