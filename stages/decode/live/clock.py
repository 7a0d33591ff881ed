"""When packets were captured, on this machine's monotonic clock.

A packet carries the time of the camera's clock, which starts anywhere and runs a little fast or slow. It arrives later
than it was captured, now more, now less. The least delay that was seen lately is taken for none: packets keep the
distances that the camera gave them, and follow this machine's clock in the long run.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

NS = 1_000_000_000
BUCKET_NS = 5 * NS
BUCKETS = 12
"""The least delay is that of the last minute."""
SLEW = 0.005
"""The mapping moves by at most this share of the time that passes, so that sound and motion stay whole."""
YOUNG_NS = 10 * NS
YOUNG_SLEW = 0.1
"""The same while the first delays are not yet known."""
LEAP_NS = 2 * NS
"""A clock that is further ahead than this was set; and so was one that stays further behind for `LAG_BUCKETS`."""
BACK_NS = NS
LAG_BUCKETS = 3


@dataclass
class Bucket:
    """The delays of a few seconds."""

    number: int
    least_ns: int
    greatest_ns: int


class Mapping:
    """Camera time + `offset_ns` = time of capture."""

    def __init__(self, offset_ns: int, arrival_ns: int) -> None:
        self.offset_ns = offset_ns
        self._began_ns = arrival_ns
        self._media_ns: int | None = None
        first = Bucket(arrival_ns // BUCKET_NS, offset_ns, offset_ns)
        self._buckets: deque[Bucket] = deque([first], maxlen=BUCKETS)

    def follow(self, media_ns: int, arrival_ns: int) -> None:
        """Take a packet into account."""
        delay_ns, number = arrival_ns - media_ns, arrival_ns // BUCKET_NS
        if self._buckets[-1].number != number:
            self._buckets.append(Bucket(number, delay_ns, delay_ns))
        last = self._buckets[-1]
        last.least_ns, last.greatest_ns = min(last.least_ns, delay_ns), max(last.greatest_ns, delay_ns)
        passed_ns = 0 if self._media_ns is None else max(0, media_ns - self._media_ns)
        self._media_ns = media_ns if self._media_ns is None else max(self._media_ns, media_ns)
        most_ns = int(passed_ns * (YOUNG_SLEW if arrival_ns - self._began_ns < YOUNG_NS else SLEW))
        target_ns = min(bucket.least_ns for bucket in self._buckets)
        self.offset_ns += max(-most_ns, min(most_ns, target_ns - self.offset_ns))

    @property
    def lag_ns(self) -> int:
        """How much later than expected even the quickest packets of the last seconds came."""
        if len(self._buckets) < LAG_BUCKETS:
            return 0
        return min(self._buckets[-place].least_ns for place in range(1, LAG_BUCKETS + 1)) - self.offset_ns

    @property
    def spread_ns(self) -> int:
        """The largest delay of the last minute."""
        return max(bucket.greatest_ns for bucket in self._buckets) - self.offset_ns


class CaptureClock:
    """Maps the times of one connection's packets, whose streams share a clock.

    Times of a stream never run backwards. If the camera's clock is set, a new mapping begins; a stream that has not
    jumped yet keeps the old one until it does.
    """

    def __init__(self, first: Iterable[tuple[int, int]]) -> None:
        """`first`: camera times and arrivals of the first packets. Those that waited somewhere came late."""
        pairs = list(first)
        offset_ns = min(arrival_ns - media_ns for media_ns, arrival_ns in pairs)
        self._newest = Mapping(offset_ns, pairs[-1][1])
        self._mappings: dict[str, Mapping] = {}
        self._media_ns: dict[str, int] = {}
        self._placed_ns: dict[str, int] = {}

    @property
    def spread_ns(self) -> int:
        return self._newest.spread_ns

    def place(self, stream: str, media_ns: int, arrival_ns: int) -> tuple[int, bool]:
        """When a packet of a stream was captured, and whether the camera's clock was set before it.

        `media_ns`: the time at which it is decoded, which never goes back while the clock runs.
        """
        mapping = self._mappings.setdefault(stream, self._newest)
        is_set = self._jumps(stream, mapping, media_ns, arrival_ns)
        is_new = False
        if is_set:
            if mapping is self._newest or abs(arrival_ns - media_ns - self._newest.offset_ns) > LEAP_NS:
                self._newest, is_new = Mapping(arrival_ns - media_ns, arrival_ns), True
            mapping = self._mappings[stream] = self._newest
        self._media_ns[stream] = media_ns
        mapping.follow(media_ns, arrival_ns)
        placed_ns = max(media_ns + mapping.offset_ns, self._placed_ns.get(stream, 0))
        self._placed_ns[stream] = placed_ns
        return placed_ns, is_new

    def _jumps(self, stream: str, mapping: Mapping, media_ns: int, arrival_ns: int) -> bool:
        goes_back = media_ns < self._media_ns.get(stream, media_ns) - BACK_NS
        leaps = arrival_ns - media_ns < mapping.offset_ns - LEAP_NS
        return goes_back or leaps or mapping.lag_ns > LEAP_NS
