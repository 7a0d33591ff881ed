"""What the limits of a question leave of a source: windows of time."""

from collections.abc import Iterable, Mapping, Sequence

from archive.ask.happening import BEGINNING, END, Happening, Moment, Window, common, united
from archive.ask.question import Limit
from archive.ask.source_log import SourceLog

BRIEFLY_S = 1e-6
"""How long a track is there that is seen in one picture alone."""
Limits = Iterable[tuple[Limit, Mapping[str, Sequence[Happening]]]]
"""Each with what it refers to, by source."""


def windows_of(source: SourceLog, limits: Limits) -> list[Window]:
    """What the limits leave of a source."""
    windows: list[Window] = [(BEGINNING, END)]
    for limit, those in limits:
        own = _times(source, limit) if limit.relation == "from" else _around(limit, those.get(source.name, ()))
        windows = common(windows, united(own))
    return windows


def _times(source: SourceLog, limit: Limit) -> list[Window]:
    found: list[Window] = []
    for part, (_, high_s) in source.spans.items():
        start_s, end_s = (high_s - limit.end_s, high_s + BRIEFLY_S) if limit.of_end else (limit.start_s, limit.end_s)
        found.append(((part, start_s), (part, end_s)))
    return found


def _around(limit: Limit, those: Sequence[Happening]) -> list[Window]:
    if limit.relation == "while":
        return [(each.start, each.end) for each in those]
    if limit.relation == "after":
        return [(each.end, END) for each in those]
    if limit.relation == "before":
        return [(BEGINNING, each.start) for each in those]
    low = {"after": 0.0}.get(limit.way, limit.seconds)
    high = {"before": 0.0}.get(limit.way, limit.seconds)
    return [
        (
            later(each.end if limit.way == "after" else each.start, -low),
            later(each.start if limit.way == "before" else each.end, high),
        )
        for each in those
    ]


def later(moment: Moment, seconds: float) -> Moment:
    return moment[0], moment[1] + seconds
