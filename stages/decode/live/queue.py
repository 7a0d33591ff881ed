"""The packets of a connection, from the thread that reads them to the one that decodes them."""

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

from stages.decode.links import Kind

MOST_BYTES = 64 << 20
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Arrived:
    """A packet. Its times, in nanoseconds, are those of capture since the start of the watch."""

    kind: Kind
    packet: Any
    decode_ns: int
    arrival_ns: int
    """On the monotonic clock."""

    @property
    def starts(self) -> bool:
        """Whether what follows can be decoded without what was before."""
        return self.kind == "audio" or bool(self.packet.is_keyframe)


@dataclass(frozen=True, slots=True)
class Track:
    """What the decoding side needs of a stream. The stream itself belongs to the thread that reads it."""

    kind: Kind
    context: Any
    """Its decoder."""
    width: int = 0
    height: int = 0
    sample_aspect_ratio: Any = None
    rate_hz: float = 0.0


@dataclass(frozen=True, slots=True)
class Connected:
    """The camera answers."""

    tracks: tuple[Track, ...]
    transport: str


@dataclass(frozen=True, slots=True)
class ClockSet:
    """The camera's clock was set before the next packet."""


@dataclass(frozen=True, slots=True)
class Shed:
    """Packets were thrown away, because they waited too long."""

    count: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Nothing more comes."""

    text: str
    why: Literal["lost", "refused", "unreachable", "ended"] = "lost"


Item = Arrived | Connected | ClockSet | Shed | Lost


class PacketQueue:
    """Items in order. Whoever puts never waits: when too much waits, the oldest packets are thrown away.

    They go group of pictures by group of pictures, so that the rest can be decoded.
    """

    def __init__(self, most_s: float, most_bytes: int = MOST_BYTES) -> None:
        """Packets wait for at most `most_s`."""
        self._most_ns = int(most_s * NS)
        self._most_bytes = most_bytes
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._needs_start = False
        self._changed = threading.Condition()

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def put(self, item: Item) -> None:
        with self._changed:
            if isinstance(item, Arrived):
                if self._needs_start and item.kind == "video":
                    if not item.starts:
                        self._note_shed(1)
                        return
                    self._needs_start = False
                self._bytes += item.packet.size
            self._items.append(item)
            while self._is_too_much():
                self._shed()
            self._changed.notify()

    def take(self, timeout_s: float) -> list[Item]:
        """Everything that is there; waits until there is something, for at most `timeout_s`."""
        with self._changed:
            if not self._items:
                self._changed.wait(timeout_s)
            items = list(self._items)
            self._items.clear()
            self._bytes = 0
            return items

    def _is_too_much(self) -> bool:
        oldest = next((item for item in self._items if isinstance(item, Arrived)), None)
        if oldest is None:
            return False
        return self._bytes > self._most_bytes or time.monotonic_ns() - oldest.arrival_ns > self._most_ns

    def _shed(self) -> None:
        """Throw away the packets before the second place at which decoding can start, or all."""
        has_video = any(isinstance(item, Arrived) and item.kind == "video" for item in self._items)
        kept: list[Item] = []
        count, is_over = 0, False
        for item in self._items:
            if isinstance(item, Arrived) and not is_over:
                is_start = item.starts and (item.kind == "video") == has_video
                if count and is_start:
                    is_over = True
                else:
                    count += 1
                    self._bytes -= item.packet.size
                    continue
            kept.append(item)
        self._needs_start = has_video and not is_over
        self._items = deque(kept)
        self._note_shed(count)

    def _note_shed(self, count: int) -> None:
        """Say in front of what is left how much is missing."""
        place = next((place for place, item in enumerate(self._items) if isinstance(item, Arrived)), len(self._items))
        before = self._items[place - 1] if place else None
        if isinstance(before, Shed):
            self._items[place - 1] = Shed(before.count + count)
        else:
            self._items.insert(place, Shed(count))
