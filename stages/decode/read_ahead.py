"""Packets on their way to a decoder, of which the next can be looked at before they are decoded."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from stages.decode.key_frames import MOST_HELD_BYTES, Sent
from stages.decode.reader import NS

LONGEST_NS = 12 * NS
"""A key frame that comes later than this after another place is not waited for."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a picture before it is decoded."""

    time_ns: int
    decode_ns: int
    size: int
    decoder: Any
    key: Any = None
    """The packet of a key frame."""


class ReadAhead:
    """An iterator over packets that can be asked for those to come, and remembers those that are gone.

    time_ns: the time on the repaired clock of ticks in the base of a packet.
    """

    def __init__(self, sent: Iterator[Sent], time_ns: Callable[[int, Any], int]) -> None:
        self._sent = sent
        self._time_ns = time_ns
        self._held: deque[Sent] = deque()
        self._held_bytes = 0
        self._seen: deque[Seen] = deque()
        self._blind_ns = -1
        """Up to here there are pictures of which nobody knows when they are shown."""

    def __iter__(self) -> Iterator[Sent]:
        return self

    def __next__(self) -> Sent:
        if not self._held:
            return self._read()
        sent = self._held.popleft()
        self._held_bytes -= sent.packet.size
        return sent

    def forget(self, before_ns: int) -> None:
        """Forget pictures that are shown before a time."""
        while self._seen and max(self._seen[0].time_ns, self._seen[0].decode_ns) < before_ns:
            self._seen.popleft()

    def stretch(self, start_ns: int, end_ns: int, until_ns: int) -> list[Seen] | None:
        """The pictures of a stretch of time in the order in which they are decoded; None if they are not all known, or
        the source does not go on until a later time."""
        while not self._seen or self._seen[-1].decode_ns < until_ns:
            if not self._read_one():
                return None
        if self._blind_ns >= start_ns:
            return None
        return [each for each in self._seen if start_ns <= each.time_ns < end_ns]

    def keys(self, start_ns: int, end_ns: int) -> list[Seen]:
        """The key frames of a stretch whose pictures are known."""
        return [each for each in self._seen if each.key is not None and start_ns <= each.time_ns < end_ns]

    def key_after(self, time_ns: int) -> Seen | None:
        """The first key frame at or after a time; None if it does not come soon, or at all."""
        latest_ns = time_ns + LONGEST_NS
        while (key := self._key_after(time_ns)) is None and self._read_one():
            if self._seen and self._seen[-1].decode_ns > latest_ns:
                break
        return key

    def _key_after(self, time_ns: int) -> Seen | None:
        return next((each for each in self._seen if each.key is not None and each.time_ns >= time_ns), None)

    def drop_to(self, time_ns: int) -> bool:
        """Do without the packets that are read, up to the last key frame shown at or before a time. Whether there was
        one to go on with."""
        for place in range(len(self._held) - 1, 0, -1):
            packet = self._held[place].packet
            is_key = packet.is_keyframe and packet.size and packet.pts is not None
            if is_key and self._time_ns(packet.pts, packet.time_base) <= time_ns:
                for _ in range(place):
                    self._held_bytes -= self._held.popleft().packet.size
                return True
        return False

    def _read_one(self) -> bool:
        """Read a packet and hold it. False if the source ends, or too much would be held."""
        sent = self._read_or_none() if self._held_bytes < MOST_HELD_BYTES else None
        if sent is None:
            return False
        self._held.append(sent)
        self._held_bytes += sent.packet.size
        return True

    def _read_or_none(self) -> Sent | None:
        try:
            return self._read()
        except StopIteration:
            return None

    def _read(self) -> Sent:
        sent = next(self._sent)
        packet = sent.packet
        if packet.pts is None or packet.dts is None:
            last_ns = self._seen[-1].decode_ns if self._seen else 0
            self._blind_ns = max(self._blind_ns, last_ns + NS)
            return sent
        base = packet.time_base
        self._seen.append(
            Seen(
                self._time_ns(packet.pts, base),
                self._time_ns(packet.dts, base),
                packet.size,
                sent.decoder,
                packet if packet.is_keyframe and packet.size else None,
            )
        )
        return sent
