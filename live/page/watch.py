"""The watch as the page process knows it: what the supervisor last said, and a way to ask it."""

import asyncio
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from live.event import LiveEvent
from live.page.backend import ASK_S, Past
from live.page.board import Board
from live.page.stream import Broadcast
from live.settings import Settings
from live.status import Status
from pipeline.logs import log, redact
from pipeline.messages import Answer, Ask, Configured, Records, SourceStarted, StatusUpdate, ToWorker, Written
from pipeline.sink_process import RecordMaker

MOST_ASKED = 50
PAST_S = 5.0
FOLLOWED = 100
"""Newest events that are looked at for changes."""
FOLLOW_EVERY_S = 1.0
_answer = msgspec.json.Decoder(dict[str, Any])
_status = msgspec.json.Decoder(Status)
_settings = msgspec.msgpack.Decoder(Settings)


class Watch:
    """A `live.page.backend.Backend`. Lives on the event loop; only `post` leaves it."""

    def __init__(
        self,
        post: Callable[[Ask | Written], None],
        make: RecordMaker,
        run_directory: Path,
        open_past: Callable[[Path], Past],
    ) -> None:
        self.settings = Settings()
        self.status = Status()
        self.board = Board()
        self.broadcast = Broadcast()
        self.run_directory = run_directory
        self._post = post
        self._make = make
        self._open_past = open_past
        self._past: Past | None = None
        self._reading = ThreadPoolExecutor(1, "history")
        self._ids = itertools.count(1)
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._heard_s = time.monotonic()

    @property
    def directory(self) -> Path:
        return Path(self.settings.directory)

    def silent_s(self) -> float:
        return time.monotonic() - self._heard_s

    async def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        if len(self._asked) >= MOST_ASKED:
            return {"ok": False, "status": 503, "error": "Too many questions wait for an answer. Try again soon."}
        id = next(self._ids)
        answer = self._asked[id] = asyncio.get_running_loop().create_future()
        try:
            self._post(Ask(id, msgspec.json.encode(command), time.monotonic() + ASK_S))
            async with asyncio.timeout(ASK_S):
                found: dict[str, Any] = await answer
                return found
        finally:
            del self._asked[id]

    async def past(self, method: str, **arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PAST_S):
            return await loop.run_in_executor(self._reading, self._read, method, arguments)

    def deliver(self, message: ToWorker) -> None:
        """Take in what the supervisor sent."""
        match message:
            case Answer():
                answer = self._asked.get(message.id)
                if answer is not None and not answer.done():
                    answer.set_result(_answer.decode(message.body))
            case StatusUpdate():
                self._heard_s = time.monotonic()
                self.status = without_secrets(_status.decode(message.body))
                self.broadcast.send("status", "", msgspec.json.encode(self.status))
            case SourceStarted():
                self._make.started(message.info)
            case Records():
                self._add(message)
            case Configured():
                self.settings = _settings.decode(message.body)
                self.board.keep_only({camera.name for camera in self.settings.cameras})
                self.broadcast.send("settings", "", msgspec.json.encode({"version": message.version}))

    async def follow_events(self) -> None:
        """Tell pages of every event that opens or changes, as the output process writes them into the history."""
        known: dict[str, LiveEvent] | None = None
        while True:
            try:
                events: list[LiveEvent] = await self.past("events", limit=FOLLOWED)
            except (LookupError, TimeoutError):
                events = []
            for event in reversed(events):
                if known is not None and known.get(event.id) != event:
                    self.broadcast.send("event", event.id, msgspec.json.encode(event))
            if events or known is None:
                known = {event.id: event for event in events}
            await asyncio.sleep(FOLLOW_EVERY_S)

    def close(self) -> None:
        self.broadcast.close()
        self._reading.shutdown(wait=False, cancel_futures=True)

    def _add(self, message: Records) -> None:
        for done in message.records:
            noted = self.board.add(self._make.record(done, message.facts[done.facts]))
            self.broadcast.send("record", noted.camera, msgspec.json.encode(noted))
        self._post(Written(len(message.records)))  # the supervisor sends no more than the page can follow

    def _read(self, method: str, arguments: dict[str, Any]) -> Any:
        """Ask the history, in its own thread. It is opened again after a failure: it may not be there yet."""
        import sqlite3

        try:
            if self._past is None:
                self._past = self._open_past(self.directory)
            return getattr(self._past, method)(**arguments)
        except (sqlite3.Error, OSError) as error:
            self._past = None
            log(10, f"page: the history cannot be read: {type(error).__name__}")
            raise LookupError("the history cannot be read") from None


def without_secrets(status: Status) -> Status:
    """Nobody should put a URL into a text; if somebody did, what it hides stays hidden."""
    cameras = tuple(msgspec.structs.replace(camera, text=redact(camera.text)) for camera in status.cameras)
    return msgspec.structs.replace(status, cameras=cameras)
