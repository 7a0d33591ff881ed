"""Pictures that no clip shows and no other picture refers to: they need not be decoded.

At 24 pictures a second, of which 8 are used, this spares a quarter of them in what x264 makes by default.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from stages.decode.key_frames import Sent

Unused = Callable[[int, int, int], bool]
"""Whether a picture may be left out: its time, between those of the pictures shown before and after it, in ns."""
CODECS = ("h264", "hevc")
"""Whose decoders leave out what nothing refers to, packet by packet, and give the others unchanged."""
AHEAD = 16
"""Packets that are read ahead: no picture of these codecs is shown later than after so many others."""
BEHIND = 32
SETTLING = 32
"""After a change of the size, so many packets are decoded: where it shows, a new grid of clips begins."""
Looked = tuple[Any, Any, int | None, int | None]
"""A packet, its decoder, and when the pictures before and after its own are shown."""


def with_neighbours(sent: Iterable[Sent], time_ns: Callable[[Any], int]) -> Iterator[Looked]:
    """Every packet with the times of its neighbours in the order in which pictures are shown; None if unknown."""
    waiting, known, past = deque[Sent](), list[int](), deque[int]()
    packets = iter(sent)
    while True:
        while len(waiting) <= AHEAD and (each := next(packets, None)) is not None:
            waiting.append(each)
            if each[0].pts is not None:
                insort(known, time_ns(each[0]))
        if not waiting:
            return
        packet, decoder = waiting.popleft()
        if packet.pts is None:
            yield packet, decoder, None, None
            continue
        at = time_ns(packet)
        first, end = bisect_left(known, at), bisect_right(known, at)
        yield packet, decoder, known[first - 1] if first else None, known[end] if end < len(known) else None
        past.append(at)
        if len(past) > BEHIND:
            known.pop(bisect_left(known, past.popleft()))


class Sparing:
    """Tells the decoder of a stream which pictures to leave out."""

    def __init__(self) -> None:
        self.unused: Unused | None = None
        self._is_progressive = False
        """Of an interlaced stream, a packet may hold half a picture."""
        self._shape: tuple[Any, ...] = ()
        self._since = 0

    def see(self, frame: Any) -> None:
        self._is_progressive = not frame.interlaced_frame

    def tell(self, looked: Looked, time_ns: Callable[[Any], int]) -> bool:
        """Whether the decoder leaves this packet's picture out, if no other one refers to it."""
        packet, decoder, before_ns, after_ns = looked
        shape = decoder.width, decoder.height, decoder.sample_aspect_ratio
        self._since = self._since + 1 if shape == self._shape else 0
        self._shape = shape
        may = self._may(packet, decoder) and before_ns is not None and after_ns is not None
        spares = may and self.unused is not None and self.unused(before_ns or 0, time_ns(packet), after_ns or 0)
        wanted = "NONREF" if spares else "DEFAULT"
        if decoder.skip_frame != wanted:
            decoder.skip_frame = wanted
        return spares

    def _may(self, packet: Any, decoder: Any) -> bool:
        is_able = decoder.name in CODECS and self._is_progressive and self._since >= SETTLING
        return is_able and packet.pts is not None and not packet.is_keyframe
