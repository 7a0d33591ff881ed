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
    """The supervisor's end. Nothing here blocks but `wait`."""

    def __init__(self, directory: str) -> None:
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.SNDHWM, 0)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(address(directory))
        self._poller = zmq.Poller()
        self._polled: list[int] = []

    def receive(self) -> tuple[int, FromWorker] | None:
        """The next message and who sent it; None if none is there."""
        try:
            identity, data = self._socket.recv_multipart(_NOBLOCK)
        except zmq.Again:
            return None
        return int.from_bytes(identity, "big"), decode_from_worker(data)

    def send(self, worker: int, message: ToWorker) -> None:
        """A worker that died a moment ago cannot be reached; its death gives back what it held."""
        try:
            self._socket.send_multipart([worker.to_bytes(4, "big"), encode(message)], _NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise

    def wait(self, fds: Sequence[int], timeout_ms: int) -> None:
        """Until a message is there, one of the file descriptors can be read, or the time is over."""
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
        """From any thread. A socket belongs to one: what others post is sent when that one next uses it."""
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
        """The next message; None when there is none in time. The process ends with its supervisor, so None may wait."""
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
