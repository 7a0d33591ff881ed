"""The queues between the supervisor and its workers, over real sockets."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.bus import Bus, Hub
from pipeline.messages import FromWorker, Note, SourceDone, Stop, Warned, Written
from tests.pipeline.runs import wait_for

MANY = 5_000
"""More than a socket's default high-water mark of 1000 at each end."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(str(tmp_path))
    yield made
    made.close()


@pytest.fixture
def bus(hub: Hub, tmp_path: Path) -> Iterator[Bus]:
    """Worker 7, which has greeted the hub."""
    made = Bus(str(tmp_path), 7)
    try:
        made.send(Note("hello"))
        assert receive(hub) == (7, Note("hello"))
        yield made
    finally:
        made.close()


def receive(hub: Hub) -> tuple[int, FromWorker]:
    received: tuple[int, FromWorker] = wait_for(hub.receive, 10.0, "a message")
    return received


def test_messages_of_a_worker_arrive_in_order_with_its_id(hub: Hub, bus: Bus, tmp_path: Path) -> None:
    other = Bus(str(tmp_path), 300)
    for number in range(50):
        bus.send(Written(number))
        other.send(Written(-number))
    received = [receive(hub) for _ in range(100)]
    for id, sign in ((7, 1), (300, -1)):
        assert [message for worker, message in received if worker == id] == [Written(sign * n) for n in range(50)]
    assert hub.receive() is None
    other.close()


def test_messages_to_a_worker_arrive_in_order(hub: Hub, bus: Bus) -> None:
    for number in range(50):
        hub.send(7, SourceDone(number, 0))
    assert [bus.receive(10.0) for _ in range(50)] == [SourceDone(number, 0) for number in range(50)]


def test_a_queue_has_no_bound_while_nobody_reads(hub: Hub, bus: Bus) -> None:
    for number in range(MANY):
        hub.send(7, SourceDone(number, 0))
    thread = threading.Thread(target=lambda: [bus.send(Written(number)) for number in range(MANY)], daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "a worker waits for the supervisor to read"
    assert [receive(hub)[1] for _ in range(MANY)] == [Written(number) for number in range(MANY)]
    assert [bus.receive(10.0) for _ in range(MANY)] == [SourceDone(number, 0) for number in range(MANY)]


def test_a_message_to_a_worker_that_does_not_exist_is_dropped(hub: Hub, bus: Bus) -> None:
    hub.send(8, Stop())
    hub.send(7, Stop(complete=False))
    assert bus.receive(10.0) == Stop(complete=False)


def test_a_worker_that_closes_its_end_has_sent_everything(hub: Hub, tmp_path: Path) -> None:
    bus = Bus(str(tmp_path), 9)
    thread = threading.Thread(target=lambda: bus.post(Warned("posted")))
    thread.start()
    thread.join()
    bus.close()
    assert receive(hub) == (9, Warned("posted"))


def test_receive_returns_none_after_its_timeout(hub: Hub, bus: Bus) -> None:
    began_s = time.monotonic()
    assert bus.receive(0) is None
    assert time.monotonic() - began_s < 5
    assert bus.receive(0.2) is None
    assert time.monotonic() - began_s >= 0.2


def test_only_the_thread_that_owns_the_socket_sends(hub: Hub, bus: Bus) -> None:
    def post() -> None:
        thread = threading.Thread(target=lambda: bus.post(Warned("from a thread")))
        thread.start()
        thread.join()

    post()
    time.sleep(0.1)
    assert hub.receive() is None, "another thread has used the socket"
    bus.send(Note("from its owner"))
    assert [receive(hub)[1], receive(hub)[1]] == [Warned("from a thread"), Note("from its owner")]
    bus.post(Warned("at once"))
    assert receive(hub)[1] == Warned("at once")
    post()
    assert bus.receive(0) is None
    assert receive(hub)[1] == Warned("from a thread"), "the owner sends it even if it only listens"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    made = os.pipe()
    yield made
    for fd in made:
        os.close(fd)


def test_wait_ends_with_a_message(hub: Hub, tmp_path: Path, pipe: tuple[int, int]) -> None:
    def send() -> None:
        bus = Bus(str(tmp_path), 8)
        bus.send(Written(1))
        bus.close()

    thread = threading.Thread(target=send)
    began_s = time.monotonic()
    thread.start()
    hub.wait([pipe[0]], 20_000)
    assert hub.receive() == (8, Written(1))
    assert time.monotonic() - began_s < 10
    thread.join()


def test_wait_ends_with_a_file_descriptor_even_if_they_change(hub: Hub, pipe: tuple[int, int]) -> None:
    other = os.pipe()
    began_s = time.monotonic()
    for read, write in (pipe, other):
        hub.wait([read], 10)  # nothing is readable yet
        os.write(write, b"x")
        hub.wait([read], 20_000)
    assert time.monotonic() - began_s < 10
    os.read(other[0], 1)
    for fd in other:
        os.close(fd)


def test_wait_ends_after_its_timeout(hub: Hub, pipe: tuple[int, int]) -> None:
    began_s = time.monotonic()
    hub.wait([pipe[0]], 200)
    assert 0.2 <= time.monotonic() - began_s < 10


def test_wait_needs_no_file_descriptors(hub: Hub) -> None:
    began_s = time.monotonic()
    hub.wait((), 200)
    assert time.monotonic() - began_s >= 0.2
