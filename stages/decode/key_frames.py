"""Key frames: each can be decoded without the others, and decoding can begin with it."""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av

FAR_APART_S = 30.0
"""Key frames that are further apart are worth a warning: the clips between them have the same picture."""
MOST_HELD_BYTES = 64 << 20


class Place(NamedTuple):
    """Of a picture, in the order in which pictures are shown."""

    time_ns: int
    ticks: int


class Sent(NamedTuple):
    """A packet and its decoder, and the pictures shown before and after its own; None if they are unknown."""

    packet: Any
    decoder: Any
    before: Place | None = None
    after: Place | None = None


def key_packets(
    sent: Iterable[Sent], usual_s: Fraction, epoch_of: Callable[[Any], int], warn: Callable[[Any, float], None]
) -> Iterator[Sent]:
    """The packets of key frames with a duration up to the next one, or to the end of what is left out before it.

    usual_s: how long the picture of a packet is shown that does not say so.
    epoch_of: a packet's epoch; a picture does not last into the next one.
    warn: is called with a packet and its duration in seconds, if that is long.
    """
    held: Sent | None = None
    end = 0
    for each in sent:
        packet = each.packet
        if packet.is_keyframe and packet.size:
            if held is not None:
                yield _lasting(held, end, warn)
            held, end = each, _end_of(packet, usual_s)
        elif held is not None and epoch_of(packet) == epoch_of(held.packet):
            end = max(end, _end_of(packet, usual_s))
    if held is not None:
        yield _lasting(held, end, warn)


def _lasting(sent: Sent, end: int, warn: Callable[[Any, float], None]) -> Sent:
    packet = sent.packet
    if packet.pts is not None and end > packet.pts:
        packet.duration = end - packet.pts
        lasts_s = float(packet.duration * packet.time_base)
        if lasts_s > FAR_APART_S:
            warn(packet, lasts_s)
    return sent


def _end_of(packet: Any, usual_s: Fraction) -> int:
    """When the picture of a packet ends, in ticks; 0 if it has no time."""
    if packet.pts is None:
        return 0
    return int(packet.pts + (packet.duration or round(usual_s / packet.time_base)))


def from_last_key(sent: Iterable[Sent], is_before: Callable[[Any], bool]) -> tuple[list[Sent], bool]:
    """The packets from the last key frame before a time to the first packet that is not before it, and whether others
    were left out. All of them if there is no key frame among them.

    Reading stops as well after `MOST_HELD_BYTES` without a key frame.
    """
    held: list[Sent] = []
    size, left_out = 0, False
    for each in sent:
        packet = each.packet
        goes_on = is_before(packet)
        if goes_on and packet.is_keyframe and packet.size:
            held, size, left_out = [], 0, True
        held.append(each)
        size += packet.size
        if not goes_on or size > MOST_HELD_BYTES:
            break
    return held, left_out


class Keys:
    """Decodes single key frames, beside the decoder that decodes everything."""

    def __init__(self, like: Any) -> None:
        self.like = like
        self._context: Any = None

    @property
    def context(self) -> Any:
        """The decoder."""
        if self._context is None:
            self._context = self._made()
        return self._context

    def decoded(self, packet: Any) -> list[Any]:
        """The picture of a key frame; empty if it cannot be decoded."""
        context = self.context
        try:
            frames = [*context.decode(packet), *context.decode(None)]
        except av.error.FFmpegError:
            frames = []
        context.flush_buffers()
        return frames[:1]

    def _made(self) -> Any:
        like = self.like
        context: Any = av.CodecContext.create(like.codec.name, "r")
        context.extradata = like.extradata
        context.width, context.height = like.width, like.height
        if like.pix_fmt:
            context.pix_fmt = like.pix_fmt
        context.thread_type, context.thread_count = "NONE", 1
        context.options = dict(like.options)
        return context
