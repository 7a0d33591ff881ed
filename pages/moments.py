"""Which moments of a source the contact sheet shows."""

from collections.abc import Iterable
from typing import NamedTuple

MOST = 60
PER_LABEL = 6
APART_S = 1.0


class Moment(NamedTuple):
    time_s: float
    label: str
    probability: float


def choose(candidates: Iterable[tuple[float, float, str]], most: int = MOST, least: float = 0.3) -> list[Moment]:
    """The best moments of each label, in order of time: the best one of every label first, then the second best, …

    candidates: probability, time_s and label. Two moments are never closer than `APART_S`, so that a clip with two
    labels is shown once, with the more probable one.
    """
    by_label: dict[str, list[Moment]] = {}
    for probability, time_s, label in sorted(candidates, key=lambda each: (-each[0], each[1])):
        if probability >= least:
            by_label.setdefault(label, []).append(Moment(time_s, label, probability))
    chosen: list[Moment] = []
    for _ in range(PER_LABEL):
        for waiting in by_label.values():
            moment = _next(waiting, chosen)
            if moment is not None and len(chosen) < most:
                chosen.append(moment)
    return sorted(chosen)


def _next(waiting: list[Moment], chosen: list[Moment]) -> Moment | None:
    while waiting:
        moment = waiting.pop(0)
        if all(abs(moment.time_s - other.time_s) >= APART_S for other in chosen):
            return moment
    return None
