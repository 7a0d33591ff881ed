"""Pictures that no clip shows and no other picture refers to: they need not be decoded.

At 24 pictures a second, of which 8 are used, this spares a quarter of them in what x264 makes by default.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from stages.decode.key_frames import Place, Sent

Unused = Callable[[int, int, int], bool]
"""Whether a picture may be left out: its time, between those of the pictures shown before and after it, in ns."""
CODECS = ("h264", "hevc")
"""Whose decoders leave out what nothing refers to, packet by packet, and give the others unchanged."""
AHEAD = 16
"""Packets that are read ahead: no picture of these codecs is shown later than after so many others."""
BEHIND = 32
SETTLING = 32
"""After a change of the size, so many packets are decoded: where it shows, a new grid of clips begins."""


def with_neighbours(sent: Iterable[Sent], time_ns: Callable[[Any], int]) -> Iterator[Sent]:
    """Every packet with its neighbours."""
    waiting, known, past = deque[Sent](), list[Place](), deque[Place]()
    packets = iter(sent)
    while True:
        while len(waiting) <= AHEAD and (read := next(packets, None)) is not None:
            waiting.append(read)
            if is_shown(read.packet):
                insort(known, Place(time_ns(read.packet), read.packet.pts))
        if not waiting:
            return
        each = waiting.popleft()
        packet = each.packet
        if not is_shown(packet):
            yield each
            continue
        here = Place(time_ns(packet), packet.pts)
        first, end = bisect_left(known, here), bisect_right(known, here)
        yield each._replace(before=known[first - 1] if first else None, after=known[end] if end < len(known) else None)
        past.append(here)
        if len(past) > BEHIND:
            known.pop(bisect_left(known, past.popleft()))


def is_shown(packet: Any) -> bool:
    """Whether the picture has a time, and is not one that the container wants decoded for others alone."""
    return packet.pts is not None and not packet.is_discard


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

    def tell(self, sent: Sent, time_ns: Callable[[Any], int]) -> bool:
        """Whether the decoder leaves this packet's picture out, if no other one refers to it."""
        packet, decoder, before, after = sent
        shape = decoder.width, decoder.height, decoder.sample_aspect_ratio
        self._since = self._since + 1 if shape == self._shape else 0
        self._shape = shape
        spares = (
            self.unused is not None
            and before is not None
            and after is not None
            and self._may(packet, decoder)
            and self.unused(before.time_ns, time_ns(packet), after.time_ns)
        )
        wanted = "NONREF" if spares else "DEFAULT"
        if decoder.skip_frame != wanted:
            decoder.skip_frame = wanted
        return spares

    def _may(self, packet: Any, decoder: Any) -> bool:
        is_able = decoder.name in CODECS and self._is_progressive and self._since >= SETTLING
        return bool(is_able and not packet.is_keyframe)
