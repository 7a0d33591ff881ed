"""A worker's end of the queues: a DEALER to the supervisor's ROUTER."""

import contextlib
import threading
from collections import deque

import zmq

from pipeline.messages import FromWorker, ToWorker, decode_to_worker, encode

_NOBLOCK = int(zmq.NOBLOCK)
"""A plain number: pyzmq's flags cost more than the call they go with."""


def address(directory: str) -> str:
    return f"ipc://{directory}/bus"


class Bus:
    """Send to and receive from the supervisor. The number of slots and credits bounds what is under way, not a mark."""

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
