"""One deadline for a whole HTTP request: the timeout of a socket counts anew with every byte that arrives."""

import http.client
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any


@contextmanager
def answer_within(
    request: urllib.request.Request, timeout_s: float, *handlers: urllib.request.BaseHandler
) -> Iterator[http.client.HTTPResponse]:
    """The answer to a request, to be read within the block.

    Raises:
        TimeoutError: the answer was not there and read within this time.
        OSError, http.client.HTTPException, ValueError: as `urllib.request` does.
    """
    deadline = Deadline(timeout_s)
    opener = urllib.request.build_opener(*handlers, _Http(deadline), _Https(deadline))
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            yield answer
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException):
        if not deadline.has_cut:
            raise
    finally:
        deadline.close()
    if deadline.has_cut:
        raise TimeoutError


class Deadline:
    """Cuts its connections when the time is over."""

    def __init__(self, timeout_s: float) -> None:
        self.has_cut = False
        self._is_over = False
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(timeout_s, self._end)
        self._timer.daemon = True
        self._timer.start()

    def add(self, connected: socket.socket) -> None:
        """Raises: TimeoutError: the time is over."""
        with self._lock:
            if self._is_over:
                raise TimeoutError
            self._sockets.append(connected.dup())  # TLS takes the socket itself away while it shakes hands

    def close(self) -> None:
        self._timer.cancel()
        self._timer.join()
        for each in self._sockets:
            each.close()

    def _end(self) -> None:
        with self._lock:
            self._is_over = True
            for each in self._sockets:
                self.has_cut = True
                with suppress(OSError):  # the server has closed it
                    each.shutdown(socket.SHUT_RDWR)


class _Connection(http.client.HTTPConnection):
    deadline: Deadline

    def connect(self) -> None:
        super().connect()
        self.deadline.add(self.sock)


class _TlsConnection(http.client.HTTPSConnection, _Connection):
    """TLS comes after `_Connection.connect`, so that the deadline holds for its handshake too."""


def _make(kind: type[_Connection], deadline: Deadline, host: str, **more: Any) -> _Connection:
    connection = kind(host, **more)
    connection.deadline = deadline
    return connection


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._connect = partial(_make, _Connection, deadline)

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connect, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._connect = partial(_make, _TlsConnection, deadline)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connect, req)
