"""What is answered about a phrase in one picture."""

from dataclasses import dataclass

from evidence.finding.candidates import Picture
from stages.phrase.parts import Phrase, Span

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Part:
    """A part of a phrase: its place in the text, its box and how well it fits.

    kind: "thing", the kind of an attribute, or that of a relation. box: x0 y0 x1 y1 in pixels of the source; that of
    the thing, or around both things of a relation. score: in [0, 1]; None where nothing could tell. note: how it was
    judged, if not by what its kind says, or why not.
    """

    kind: str
    span: Span
    thing: int
    box: Box
    score: float | None
    note: str = ""


@dataclass(frozen=True)
class Answer:
    """One box for the thing that is asked for, with the parts that speak for it.

    score: the geometric mean of the scores of the parts.
    """

    box: Box
    score: float
    parts: tuple[Part, ...]
    track: int | None = None


@dataclass(frozen=True)
class Finding:
    """The answers in one picture, best first."""

    phrase: Phrase
    picture: Picture
    answers: tuple[Answer, ...]
    least: float
    """An answer with a lower score is none."""

    @property
    def is_there(self) -> bool:
        return bool(self.answers) and self.answers[0].score >= self.least

    @property
    def told(self) -> tuple[Answer, ...]:
        """The answers that count."""
        return tuple(each for each in self.answers if each.score >= self.least)
