"""The process of the page: it may die and start again, and nothing waits for it.

Its first thread speaks with the supervisor, a second one serves. The supervisor answers `Hello` with `Configured` and,
from then on, sends `StatusUpdate`, `Records`, `SourceStarted` and `Answer`. The page says how many records it has read
(`Written`). Once it listens, the page says where: `{"do": "listening", "address": "http://127.0.0.1:8710/"}`, with an
empty address if there is only the Unix socket.
"""

import asyncio
import importlib
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec

from live.page.app import create_app
from live.page.backend import Past
from live.page.door import Door, read_token
from live.page.server import Server, address_of, tcp_socket, unix_socket
from live.page.watch import Watch
from live.settings import Page
from pipeline.bus import Bus
from pipeline.errors import PerceptError
from pipeline.messages import PROTOCOL_VERSION, Ask, Broken, Configured, Hello, Stop, ToWorker
from pipeline.part import PartInfo
from pipeline.plan import Plan
from pipeline.sink_process import RecordMaker
from pipeline.slots import Phase, Slots

CONFIGURED_S = 60.0
LOOK_S = 0.05
"""Time between two looks for messages: an answer to a person may wait so long."""
STOP_S = 5.0


def run_page(worker: int, seat: int, plan: Plan, slots: Slots) -> None:
    """Serve the page until the supervisor says stop, or is gone."""
    serve_page(worker, plan.settings.directory, plan.parts, open_history, lambda: slots.watch(seat, Phase.IDLE))


def open_history(directory: Path) -> Past:
    return cast(Past, importlib.import_module("live.history").History(directory / "history.sqlite"))


def serve_page(
    worker: int,
    run_directory: str,
    parts: tuple[PartInfo, ...],
    open_past: Callable[[Path], Past],
    idle: Callable[[], None] = lambda: None,
) -> None:
    """The same without a plan. `idle` is called between messages."""
    bus = Bus(run_directory, worker)
    bus.send(Hello(worker, PROTOCOL_VERSION))
    service = Service(bus, Path(run_directory), RecordMaker(parts), open_past)
    try:
        service.start(_first_settings(bus, idle))
        while service.is_alive():
            idle()
            message = bus.receive(LOOK_S)
            if isinstance(message, Stop):
                break
            if message is not None:
                service.deliver(message)
        service.stop()
    except PerceptError as error:
        bus.send(Broken(type(error).__name__, str(error)))
    except Exception as error:
        traceback.print_exc()
        bus.send(Broken("PerceptError", f"page: {type(error).__name__}: {error}"))
    bus.close()


class Service:
    """The serving thread, as the other one sees it."""

    def __init__(self, bus: Bus, run_directory: Path, make: RecordMaker, open_past: Callable[[Path], Past]) -> None:
        self._bus = bus
        self._loop = asyncio.new_event_loop()
        self._watch = Watch(bus.post, make, run_directory, open_past)
        self._stopped = asyncio.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    def start(self, first: Configured) -> None:
        """Listen and serve. Raises: ConfigError: an address or the token cannot be had."""
        self._watch.deliver(first)
        page, directory = self._watch.settings.page, self._watch.directory
        self._servers = [Server(create_app(self._watch, Door(private=True)), unix_socket(directory))]
        address = ""
        if page.port >= 0:
            listening = tcp_socket(page)
            address = url_of(page, address_of(listening)[1])
            door = Door(token=read_token(page), host=page.host, port=address_of(listening)[1], hosts=page.hosts)
            self._servers.append(Server(create_app(self._watch, door), listening))
        self._thread.start()
        self._bus.send(Ask(0, msgspec.json.encode({"do": "listening", "address": address})))

    def deliver(self, message: ToWorker) -> None:
        self._loop.call_soon_threadsafe(self._deliver, message)

    def is_alive(self) -> bool:
        """Raises: PerceptError: the serving thread has failed."""
        if self._error is not None:
            raise PerceptError(f"page: {type(self._error).__name__}: {self._error}")
        return self._thread.is_alive()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(STOP_S)

    def _deliver(self, message: ToWorker) -> None:
        try:
            self._watch.deliver(message)
        except Exception as error:  # the supervisor said what nobody understands: stop, loudly
            traceback.print_exc()
            self._error = error

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            traceback.print_exc()
            self._error = error

    async def _serve(self) -> None:
        following = asyncio.ensure_future(self._watch.follow_events())
        closing = asyncio.ensure_future(self._close())
        try:
            await asyncio.gather(*(server.run_until(self._stopped) for server in self._servers))
        finally:
            following.cancel()
            closing.cancel()
            self._watch.close()

    async def _close(self) -> None:
        """Streams end first, so that the servers need not wait for them."""
        await self._stopped.wait()
        self._watch.broadcast.close()


def url_of(page: Page, port: int) -> str:
    """Where a browser finds the page."""
    host = {"": "localhost", "0.0.0.0": "localhost", "::": "localhost"}.get(page.host, page.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _first_settings(bus: Bus, idle: Callable[[], None]) -> Configured:
    """Raises: PerceptError: they did not come."""
    end_s = time.monotonic() + CONFIGURED_S
    while time.monotonic() < end_s:
        idle()
        message = bus.receive(LOOK_S)
        if isinstance(message, Configured):
            return message
        if isinstance(message, Stop):
            break
    raise PerceptError(f"page: the supervisor sent no settings within {CONFIGURED_S:.0f} s")
