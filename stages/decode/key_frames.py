"""Key frames alone: each is decoded without the others, and is shown until the next one."""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

FAR_APART_S = 30.0
"""Key frames that are further apart are worth a warning: the clips between them have the same picture."""
Sent = tuple[Any, Any]
"""A packet and its decoder."""


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
    for packet, decoder in sent:
        if packet.is_keyframe and packet.size:
            if held is not None:
                yield _lasting(held, end, warn)
            held, end = (packet, decoder), _end_of(packet, usual_s)
        elif held is not None and epoch_of(packet) == epoch_of(held[0]):
            end = max(end, _end_of(packet, usual_s))
    if held is not None:
        yield _lasting(held, end, warn)


def _lasting(sent: Sent, end: int, warn: Callable[[Any, float], None]) -> Sent:
    packet = sent[0]
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
