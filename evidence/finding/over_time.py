"""What is found over a film: the tracks that fit a phrase, and who came first."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from evidence.finding.answer import Answer, Finding
from stages.phrase.parts import Phrase

FROM_START_S = 0.5
"""Who is there at this time did not come in."""
CLEARLY = 0.5
"""A track fits a phrase if it does so well, in shares of the best one."""
PLACES = {"first": 0, "second": 1, "third": 2, "last": -1}


@dataclass(frozen=True)
class Followed:
    """A track that fits: its times, in seconds of the source, are those of the whole track, as far as it was seen."""

    track: int
    begin_s: float
    end_s: float
    score: float
    """The mean over the pictures in which it was looked at."""


@dataclass
class OverTime:
    """Gathers the answers of a source, picture by picture."""

    phrase: Phrase
    best: Finding | None = None
    is_film: bool = False
    least: float = 0.0
    _scores: dict[int, list[float]] = field(default_factory=dict)
    _times: dict[int, tuple[float, float]] = field(default_factory=dict)

    def add(self, found: Finding) -> None:
        self.is_film = self.is_film or found.picture.is_film
        self.least = found.least
        if self.best is None or _best(found) > _best(self.best):
            self.best = found
        for answer in found.answers:
            if answer.track is not None:
                self._scores.setdefault(answer.track, []).append(answer.score)
        for track, (begin_s, end_s) in found.picture.spans.items():
            known = self._times.get(track, (begin_s, end_s))
            self._times[track] = min(known[0], begin_s), max(known[1], end_s)

    def tracks(self) -> list[Followed]:
        """The tracks that fit, best first; with "came in first" and such, only those in that place."""
        every = [
            Followed(track, *self._times[track], sum(scores) / len(scores))
            for track, scores in self._scores.items()
            if track in self._times
        ]
        top = max((each.score for each in every), default=0.0)
        fit = sorted((e for e in every if e.score >= max(self.least, CLEARLY * top)), key=lambda each: -each.score)
        for attribute in self.phrase.things[self.phrase.asked].of("order"):
            what, place = attribute.value.split()
            fit = _in_place(fit, what, PLACES[place])
        return fit


def _in_place(fit: Sequence[Followed], what: str, place: int) -> list[Followed]:
    """The one that came, or left, in this place; who was there from the start came in only if nobody else did."""
    if what == "came":
        able = [each for each in fit if each.begin_s >= FROM_START_S] or list(fit)
        able.sort(key=lambda each: each.begin_s)
    else:
        able = sorted(fit, key=lambda each: each.end_s)
    return able[place:][:1] if -len(able) <= place < len(able) else []


def _best(found: Finding) -> float:
    answer: Answer | None = found.answers[0] if found.answers else None
    return 0.0 if answer is None else answer.score
