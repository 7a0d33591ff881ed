"""The queues between the supervisor and its workers: one ROUTER, and a DEALER per worker."""

import contextlib
import threading
from collections import deque
from collections.abc import Sequence

import zmq

from pipeline.messages import FromWorker, ToWorker, decode_from_worker, decode_to_worker, encode

_NOBLOCK = int(zmq.NOBLOCK)
"""A plain number: pyzmq's flags cost more than the call they go with."""


def address(directory: str) -> str:
    return f"ipc://{directory}/bus"


class Hub:
    """The supervisor's end. Only `wait` blocks."""

    def __init__(self, directory: str) -> None:
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.SNDHWM, 0)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(address(directory))
        self._poller = zmq.Poller()
        self._polled: list[int] | None = None

    def receive(self) -> tuple[int, FromWorker] | None:
        """The next message and the id of its sender, or None."""
        try:
            identity, data = self._socket.recv_multipart(_NOBLOCK)
        except zmq.Again:
            return None
        return int.from_bytes(identity, "big"), decode_from_worker(data)

    def send(self, worker: int, message: ToWorker) -> None:
        """Send without blocking. A message to a worker that has just died is dropped; its leases are returned."""
        try:
            self._socket.send_multipart([worker.to_bytes(4, "big"), encode(message)], _NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise

    def wait(self, fds: Sequence[int], timeout_ms: int) -> None:
        """Wait for a message, for one of the file descriptors to become readable, or for the timeout."""
        if list(fds) != self._polled:
            self._poller, self._polled = zmq.Poller(), list(fds)
            for item in (self._socket, *fds):
                self._poller.register(item, zmq.POLLIN)
        self._poller.poll(timeout_ms)

    def close(self) -> None:
        self._socket.close()
        self._context.term()


class Bus:
    """A worker's end. The number of slots and credits bounds what is under way, not a high-water mark."""

    def __init__(self, directory: str, worker: int) -> None:
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.IDENTITY, worker.to_bytes(4, "big"))
        self._socket.setsockopt(zmq.SNDHWM, 0)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.setsockopt(zmq.LINGER, 5_000)
        self._socket.connect(address(directory))
        self._owner = threading.get_ident()
        self._posted: deque[FromWorker] = deque()

    def post(self, message: FromWorker) -> None:
        """Send from any thread. Only the owning thread uses the socket; it sends posted messages with its next call."""
        self._posted.append(message)
        if threading.get_ident() == self._owner:
            self._send_posted()

    def _send_posted(self) -> None:
        while self._posted:
            self._socket.send(encode(self._posted.popleft()))

    def send(self, message: FromWorker) -> None:
        if self._posted:
            self._send_posted()
        self._socket.send(encode(message))

    def receive(self, timeout_s: float | None = None) -> ToWorker | None:
        """The next message, or None after the timeout. None waits forever: the process ends with its supervisor."""
        if self._posted:
            self._send_posted()
        with contextlib.suppress(zmq.Again):
            return decode_to_worker(self._socket.recv(_NOBLOCK))
        if timeout_s == 0 or not self._socket.poll(-1 if timeout_s is None else int(timeout_s * 1000)):
            return None
        return decode_to_worker(self._socket.recv())

    def close(self) -> None:
        self._send_posted()
        self._socket.close()
        self._context.term()
