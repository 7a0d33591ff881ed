"""The HTTP servers of a watch: one on TCP for browsers, one on a Unix socket for `percept watch ctl`."""

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from live.page.rates import Rate
from live.page.socket_name import SOCKET, short
from live.settings import Page
from pipeline.errors import ConfigError

MOST_CONNECTIONS = 200
FIRST_REQUEST_S = 10.0
"""A client that connects asks something within this time."""
KEEP_ALIVE_S = 15
STOP_S = 2
GONE_S = 30
"""A client that acknowledges nothing for so long has vanished."""
BACKLOG = 128


class Few(logging.Filter):
    """Lets some lines through and drops floods: whoever sends nonsense must not fill a disk."""

    def __init__(self) -> None:
        super().__init__()
        self._rate = Rate(per_s=0.1, burst=50)

    def filter(self, record: logging.LogRecord) -> bool:
        return self._rate.wait_s("") == 0


class PromptProtocol(H11Protocol):
    """Lets go of clients that connect and ask nothing."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._late = self.loop.call_later(FIRST_REQUEST_S, self._let_go)

    def connection_lost(self, exc: Exception | None) -> None:
        self._late.cancel()
        super().connection_lost(exc)

    def _let_go(self) -> None:
        if self.cycle is None:
            self.transport.abort()


class Server(uvicorn.Server):
    """A server on one socket, in a thread that signals never reach."""

    def __init__(self, app: ASGIApp, listening: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=PromptProtocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=STOP_S,
                h11_max_incomplete_event_size=32 << 10,
            )
        )
        self._listening = listening
        logger = logging.getLogger("uvicorn.error")
        if not any(isinstance(known, Few) for known in logger.filters):
            logger.addFilter(Few())

    async def run_until(self, stopped: asyncio.Event) -> None:
        async def stop() -> None:
            await stopped.wait()
            self.should_exit = True

        stopping = asyncio.ensure_future(stop())
        try:
            await self.serve([self._listening])
        finally:
            stopping.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def tcp_socket(page: Page) -> socket.socket:
    """A listening socket. Raises: ConfigError: the address cannot be had."""
    listening: socket.socket | None = None
    try:
        found = socket.getaddrinfo(page.host, page.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        listening = socket.socket(found[0][0], socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_S * 1000)
        listening.bind(found[0][4])
        listening.listen(BACKLOG)
    except OSError as error:
        if listening:
            listening.close()
        raise ConfigError(
            f"page.port: {page.host}:{page.port} cannot be used ({error.strerror}). "
            "Take another port, or 0 for any free one."
        ) from None
    return listening


def unix_socket(directory: Path) -> socket.socket:
    """A listening socket in the state folder that only its owner may open.

    Raises: ConfigError: it cannot be made there.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path = directory / SOCKET
    try:
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    except FileNotFoundError:
        pass
    before = os.umask(0o177)
    try:
        with short(path) as name:
            listening.bind(name)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(f"{path}: cannot be made ({error.strerror})") from None
    finally:
        os.umask(before)
    return listening


def address_of(listening: socket.socket) -> tuple[str, int]:
    host, port = listening.getsockname()[:2]
    return str(host), int(port)
