"""A decode process: opens a source, waits for a slot, writes a clip into it, reports it. It does not load torch.

Native decoders can hang while they hold the GIL, which no thread can time out. A process can be killed.
"""

import time
import traceback
from collections import deque
from collections.abc import Iterator
from typing import Any

from pipeline.bus import Bus
from pipeline.clip import DecodedClip, Gap
from pipeline.errors import SourceError
from pipeline.messages import (
    PROTOCOL_VERSION,
    CloseSource,
    Decoded,
    Ended,
    GapFound,
    Grants,
    Hello,
    Open,
    Opened,
    SourceFailed,
    Stop,
)
from pipeline.plain import Reader, make_reader
from pipeline.plan import Plan
from pipeline.relay import relay_warnings
from pipeline.slots import Phase, Slots


class Decoder:
    """Decodes one source after another, as the supervisor asks: open -> (grant <-> clip)* -> end(count)."""

    def __init__(self, worker: int, seat: int, plan: Plan, slots: Slots) -> None:
        self._bus = Bus(plan.settings.directory, worker)
        self._worker = worker
        self._seat = seat
        self._plan = plan
        self._slots = slots
        self._grants: deque[tuple[int, int]] = deque()
        self._closing = False
        self._stopping = False
        self._place = (-1, -1)
        self._took_ns = 0

    def run(self) -> None:
        relay_warnings(self._bus)
        self._bus.send(Hello(self._worker, PROTOCOL_VERSION))
        while not self._stopping:
            self._slots.watch(self._seat, Phase.IDLE)
            message = self._bus.receive()
            if isinstance(message, Open):
                self._decode(message)
            else:
                self._note(message)
        self._bus.close()

    def _note(self, message: Any) -> None:
        if isinstance(message, Grants):
            self._grants.extend(message.slots)
        elif isinstance(message, CloseSource):
            self._closing = True
        elif isinstance(message, Stop):
            self._closing = self._stopping = True

    def _decode(self, order: Open) -> None:
        self._closing = False
        self._took_ns = 0
        self._slots.watch(self._seat, Phase.OPENING, order.source_index, order.start_index)
        reader: Reader | None = None
        try:
            reader = self._reader_for(order)
            reader.alive = self._alive
            self._bus.send(Opened(reader.open()))
            count = self._send_clips(reader.clips(order.start_index), order.source_index, order.start_index)
            self._finish()
            self._bus.send(Ended(order.source_index, count, self._took_ns))
        except SourceError as error:
            self._bus.send(SourceFailed(order.source_index, str(error)))
        except Exception as error:
            traceback.print_exc()
            self._bus.send(SourceFailed(order.source_index, f"{order.source}: {type(error).__name__}: {error}"))
        finally:
            if reader is not None:
                reader.close()

    def _reader_for(self, order: Open) -> Reader:
        return make_reader(self._plan, order.source, order.source_index, **order.options)

    def _finish(self) -> None:
        """End what goes on beside the clips."""

    def _send_clips(self, items: Iterator[DecodedClip | Gap], source_index: int, index: int) -> int:
        """Send every clip in a granted slot. Returns how many clips the source has so far."""
        while not self._closing:
            self._place = source_index, index
            self._alive()
            began_ns = time.monotonic_ns()
            item = next(items, None)
            self._took_ns += time.monotonic_ns() - began_ns
            if item is None:
                break
            if isinstance(item, Gap):
                self._bus.send(GapFound(item))
                continue
            if item.info.reuse is not None:
                self._bus.send(Decoded(item.info, -1, 0, {}, {}))
                index = item.info.index + 1
                self._read_messages()
                continue
            grant = self._grant()
            if grant is None:
                break
            slot, generation = grant
            self._slots.check(slot, generation)
            names = [name for name in item.arrays if name in self._plan.layout.regions]
            shapes = {name: self._slots.write(slot, name, item.arrays[name]) for name in names}
            self._bus.send(Decoded(item.info, slot, generation, shapes, dict(item.absent)))
            index = item.info.index + 1
        return index

    def _alive(self) -> None:
        """Restart the timeout: decoding begins, or makes progress without a clip yet."""
        self._slots.watch(self._seat, Phase.DECODING, *self._place)

    def _grant(self) -> tuple[int, int] | None:
        """Wait for a slot and its generation; None if the source is closed instead.

        Grants that were meant for an earlier source are stale and skipped.
        """
        self._read_messages()
        while not self._closing:
            while not self._grants and not self._closing:
                self._slots.watch(self._seat, Phase.IDLE)
                self._note(self._bus.receive())
            if self._grants:
                slot, generation = self._grants.popleft()
                if self._slots.generation(slot) == generation:
                    return slot, generation
        return None

    def _read_messages(self) -> None:
        while (message := self._bus.receive(0)) is not None:
            self._note(message)


def run_decode(worker: int, seat: int, plan: Plan, slots: Slots) -> None:
    Decoder(worker, seat, plan, slots).run()
