"""Which clips that wait would come out too late: how long the work on a clip takes now is measured, and expected.

The expectation is that of round-trip times in TCP (Jacobson and Karels, RFC 6298): a mean and a mean deviation, both
decaying, as the longest usual time is that far above the mean. No clocks, sockets or processes.
"""

from dataclasses import dataclass

Work = tuple[int, int, int]
"""A source, a clip and a group, by their numbers."""

DEVIATIONS = 2.0


@dataclass(slots=True)
class _Span:
    mean_ns: float
    deviation_ns: float


class Lateness:
    """Expects, per group of stages, how long a clip takes from there until it comes out.

    limit_ns: a result should be no older than this.
    least_ns: a clip may wait for this long at least, however long the work takes; else slow machines answered nothing.
    """

    def __init__(self, limit_ns: int, least_ns: int) -> None:
        self._limit_ns = limit_ns
        self._least_ns = least_ns
        self._begun: dict[Work, int] = {}
        self._spans: dict[int, _Span] = {}

    def begin(self, work: Work, now_ns: int) -> None:
        """A group begins with a clip."""
        self._begun[work] = now_ns

    def end(self, source: int, clip: int, groups: range, now_ns: int | None) -> None:
        """A clip has an outcome. `now_ns`: None if it is no result, which tells nothing about time."""
        for group in groups:
            began_ns = self._begun.pop((source, clip, group), None)
            if began_ns is not None and now_ns is not None:
                self._note(group, now_ns - began_ns)

    def _note(self, group: int, took_ns: int) -> None:
        span = self._spans.get(group)
        if span is None:
            self._spans[group] = _Span(took_ns, took_ns / 2)
            return
        span.deviation_ns += (abs(took_ns - span.mean_ns) - span.deviation_ns) / 4
        span.mean_ns += (took_ns - span.mean_ns) / 8

    def expected_ns(self, group: int) -> float:
        """How long a clip usually takes at most from its begin in a group until it comes out; 0 if none has."""
        span = self._spans.get(group)
        return 0.0 if span is None else span.mean_ns + DEVIATIONS * span.deviation_ns

    def longest_wait_ns(self, group: int) -> int:
        """How old a clip may be when a group begins with it."""
        return max(self._least_ns, round(self._limit_ns - self.expected_ns(group)))
