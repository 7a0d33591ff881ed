"""Times of arrival, for streams from the network that carry no times: motion JPEG cameras, raw H.264.

FFmpeg numbers their pictures at 25 per second, whatever the camera does.
"""

import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Any

from av.container import InputContainer

from pipeline.media import is_url
from stages.decode.reader import NS

NO_TIMESTAMPS = 0x80
"""Flag of an FFmpeg format whose files carry no times (AVFMT_NOTIMESTAMPS)."""
PICTURES = {"jpeg_pipe", "image2pipe"}
"""Formats without that flag that carry no times either."""
TICK = Fraction(1, NS)
WAIT_NS = NS // 200
"""A packet that took longer than this to come was waited for; those before had come while the source was opened."""
ENOUGH_WAITS = 4
ENOUGH_NS = NS
MAX_HELD = 250
"""A source that sends more packets than this without a pause is a recording."""


def has_no_times(container: InputContainer) -> bool:
    """Whether FFmpeg invents the times."""
    return bool(container.format.flags & NO_TIMESTAMPS) or container.format.name in PICTURES


def comes_live(source: str, container: InputContainer) -> bool:
    """Whether the source comes from the network and its size is unknown: it is no file."""
    return is_url(source) and (container.size is None or container.size <= 0)


def spread(arrivals_ns: list[int]) -> list[int]:
    """Times of the first packets, of which the earliest came together, from when each was read.

    What was waited for keeps its time. Those that came together are a usual interval apart, before it.
    """
    waits = [after - before for before, after in pairwise(arrivals_ns)]
    interval_ns = round(median([wait for wait in waits if wait > WAIT_NS] or [NS // 25]))
    times = arrivals_ns[-1:]
    for arrival_ns in reversed(arrivals_ns[:-1]):
        together = times[-1] - arrival_ns < interval_ns // 4
        times.append(times[-1] - interval_ns if together else arrival_ns)
    return times[::-1]


class Arrivals:
    """Stamps the packets of one stream with nanoseconds since the first came."""

    def __init__(self) -> None:
        self._held: list[tuple[int, Any]] | None = []
        """The first packets, each with when it was read; None once they are on their way."""
        self._start_ns = 0
        self._last_ns = -1
        self._interval_ns = 0
        self.is_recording = False
        """The packets keep the times that they have."""

    def timed(self, packets: Iterable[Any]) -> Iterator[Any]:
        """The packets with times of arrival. It may be called again after an error."""
        try:
            for packet in packets:
                if packet.size == 0:
                    yield from self._release()
                    yield packet
                elif self._held is None:
                    yield self._stamped(packet, time.monotonic_ns())
                else:
                    self._held.append((time.monotonic_ns(), packet))
                    if self._is_enough(self._held):
                        yield from self._release()
        except Exception:
            yield from self._release()
            raise

    def _is_enough(self, held: list[tuple[int, Any]]) -> bool:
        arrivals = [arrival_ns for arrival_ns, _ in held]
        waits = sum(after - before > WAIT_NS for before, after in pairwise(arrivals))
        self.is_recording = len(held) >= MAX_HELD and waits < ENOUGH_WAITS
        return self.is_recording or waits >= ENOUGH_WAITS or (waits > 0 and arrivals[-1] - arrivals[0] > ENOUGH_NS)

    def _release(self) -> Iterator[Any]:
        held, self._held = self._held, None
        if not held:
            return
        times = spread([arrival_ns for arrival_ns, _ in held])
        self._start_ns, self._interval_ns = times[0], (times[-1] - times[0]) // max(1, len(times) - 1)
        for time_ns, (_, packet) in zip(times, held, strict=True):
            yield self._stamped(packet, time_ns)

    def _stamped(self, packet: Any, time_ns: int) -> Any:
        if not self.is_recording:
            time_ns = max(time_ns - self._start_ns, self._last_ns + 1)
            packet.time_base = TICK
            packet.duration = self._interval_ns
            packet.pts = packet.dts = self._last_ns = time_ns
        return packet
