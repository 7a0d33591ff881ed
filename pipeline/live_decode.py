"""The decode process of one camera: writes its clips into slots, and never waits for one."""

import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

from pipeline.bus import Bus
from pipeline.clip import DecodedClip, Gap, Missed, SourceInfo
from pipeline.decode_worker import Decoder
from pipeline.errors import PerceptError
from pipeline.messages import (
    Connection,
    Decoded,
    Film,
    FilmDone,
    GapFound,
    MissedClip,
    Open,
    Opened,
    Wake,
)
from pipeline.plain import Reader
from pipeline.plan import Plan
from pipeline.slots import Slots

NO_SLOT = "no_slot"
FILM_DELAY_NS = 500_000_000
"""A film is cut so long after its end, when its last packets have come."""
WAIT_S = 0.02
MOST_FILMS = 16
"""Films that may wait to be written; one more is refused."""


class _Closed(Exception):
    """The camera is not read any more."""


class LiveReader(Reader, Protocol):
    """What a watch asks of a reader beyond what a run does; see `stages.decode.live.reader`."""

    on_opened: Callable[[SourceInfo], None]
    on_connection: Callable[[str, str, str], None]
    """Called with state, text and transport."""

    def clips(self, start_index: int = 0) -> Iterator[DecodedClip | Gap | Missed]: ...  # type: ignore[override]

    def wake(self) -> None: ...

    def film(self, path: str, from_ns: int, until_ns: int) -> None: ...


class Films:
    """Writes films in a thread of its own, in the order of their ends."""

    def __init__(self, reader: LiveReader, bus: Bus) -> None:
        self._reader = reader
        self._bus = bus
        self._waiting: list[Film] = []
        self._due: queue.Queue[Film | None] = queue.Queue()
        self._thread = threading.Thread(target=self._write_all, name="films", daemon=True)
        self._thread.start()

    def ask(self, film: Film) -> None:
        if len(self._waiting) + self._due.qsize() >= MOST_FILMS:
            self._bus.send(FilmDone(film.event, "too many films at once"))
        else:
            self._waiting.append(film)

    def step(self) -> None:
        """Begin those whose time has come."""
        now_ns = time.monotonic_ns() - FILM_DELAY_NS
        for film in [each for each in self._waiting if each.until_ns <= now_ns]:
            self._waiting.remove(film)
            self._due.put(film)

    def close(self, timeout_s: float = 20.0) -> None:
        """Write what is still asked for, as far as its media have come."""
        for film in self._waiting:
            self._due.put(film)
        self._waiting.clear()
        self._due.put(None)
        self._thread.join(timeout_s)

    def _write_all(self) -> None:
        while (film := self._due.get()) is not None:
            try:
                self._reader.film(film.path, film.from_ns, film.until_ns)
            except Exception as error:
                if not isinstance(error, PerceptError):
                    traceback.print_exc()
                self._bus.post(FilmDone(film.event, str(error) or type(error).__name__))
            else:
                self._bus.post(FilmDone(film.event))


class LiveDecoder(Decoder):
    """Decodes one camera until it is closed. A clip for which no slot is granted is reported as missed."""

    _reader: LiveReader | None = None
    _films: Films | None = None
    _waits = False

    def _note(self, message: Any) -> None:
        if isinstance(message, Wake) and self._reader is not None:
            self._reader.wake()
        elif isinstance(message, Film):
            if self._films is None:
                self._bus.send(FilmDone(message.event, "the camera is not open"))
            else:
                self._films.ask(message)
        else:
            super()._note(message)

    def _decode(self, order: Open) -> None:
        self._place, self._waits = (order.source_index, order.start_index), order.waits
        try:
            super()._decode(order)
        finally:
            self._reader = self._films = None

    def _reader_for(self, order: Open) -> LiveReader:
        reader = self._reader = cast(LiveReader, super()._reader_for(order))
        self._films = Films(reader, self._bus)
        reader.on_opened = lambda info: self._bus.send(Opened(info))
        reader.on_connection = lambda state, text, transport: self._bus.send(
            Connection(order.source_index, cast(Any, state), text, transport)
        )
        return reader

    def _finish(self) -> None:
        assert self._films is not None
        self._films.close()

    def _send_clips(self, items: Iterator[DecodedClip | Gap | Missed], source_index: int, index: int) -> int:
        while not self._closing:
            try:
                item = next(items, None)
                if item is None:
                    break
                if isinstance(item, Gap):
                    self._bus.send(GapFound(item))
                    continue
                if isinstance(item, Missed):
                    self._bus.send(MissedClip(item.info, item.reason))
                else:
                    self._send_clip(item)
            except _Closed:
                break
            index = item.info.index + 1
            self._place = source_index, index
        return index

    def _send_clip(self, clip: DecodedClip) -> None:
        info = clip.info
        if info.live is not None and info.live.reused:
            self._bus.send(Decoded(info, -1, 0, {}, {}))
            return
        grant = self._next_grant()
        while grant is None and self._waits:
            time.sleep(WAIT_S)
            self._alive()
            grant = self._next_grant()
        if grant is None:
            self._bus.send(MissedClip(info, NO_SLOT))
            return
        slot, generation = grant
        names = [name for name in clip.arrays if name in self._plan.layout.regions]
        shapes = {name: self._slots.write(slot, name, clip.arrays[name]) for name in names}
        self._bus.send(Decoded(info, slot, generation, shapes, dict(clip.absent)))

    def _next_grant(self) -> tuple[int, int] | None:
        """A slot and its generation, if one was granted."""
        self._read_messages()
        while self._grants:
            slot, generation = self._grants.popleft()
            if self._slots.generation(slot) == generation:
                return slot, generation
        return None

    def _alive(self) -> None:
        super()._alive()
        self._read_messages()
        if self._films is not None:
            self._films.step()
        if self._closing:
            raise _Closed


def run_live_decode(worker: int, seat: int, plan: Plan, slots: Slots) -> None:
    LiveDecoder(worker, seat, plan, slots).run()
