"""The results of an evaluation."""

from collections.abc import Sequence

import msgspec

from training.evaluate.answers import Answered
from training.evaluate.calibration import Calibration, calibration
from training.evaluate.confusion import confusion_matrix, worst_pairs
from training.evaluate.figures import (
    LabelFigures,
    Sides,
    Together,
    ViewFigures,
    by_label,
    by_side,
    by_view,
    main_view,
    together,
)

PAIRS_LISTED = 20


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The model, data and settings of an evaluation."""

    data: str
    """The data set's name."""
    path: str
    layout: str
    split: str
    """"" for all examples."""
    model: str
    model_path: str
    engine: dict[str, str]
    modalities: tuple[str, ...]
    clip_s: float
    frames_per_s: float
    command: str
    versions: dict[str, str]
    machine: str
    date: str
    seed: int
    labels: int
    novel: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    took_s: float = 0.0


class Failure(msgspec.Struct, frozen=True):
    """An example that could not be scored, and why."""

    path: str
    label: str
    reason: str


class Confused(msgspec.Struct, frozen=True):
    """Examples of one label that were mistaken for another."""

    label: str
    taken_for: str
    times: int
    of: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of `metrics.json`."""

    about: About
    view: str
    """The view that a run shows. Labels, confusions and calibration are for this view."""
    views: tuple[ViewFigures, ...]
    sides: tuple[Sides, ...]
    together: tuple[Together, ...]
    probability: Calibration
    share: Calibration
    confused: tuple[Confused, ...]
    labels: tuple[LabelFigures, ...]
    failures: tuple[Failure, ...]


def make_report(about: About, answers: Sequence[Answered], failures: Sequence[Failure], names: Sequence[str]) -> Report:
    """The report on `answers`, of which there must be at least one."""
    view = main_view(answers)
    given = [answered.views[view] for answered in answers]
    right = [answer.rank == 0 for answer in given]
    matrix = confusion_matrix(answers, view, len(names))
    novel = set(about.novel)
    sides = {name: "novel" if name in novel else "base" for name in names} if novel else {}
    return Report(
        about=about,
        view=view,
        views=tuple(by_view(answers, about.seed)),
        sides=tuple(by_side(answers, [name in novel for name in names], about.seed)),
        together=tuple(together(answers, view)),
        probability=calibration([answer.probability for answer in given], right, about.seed),
        share=calibration([answer.share for answer in given], right, about.seed),
        confused=tuple(
            Confused(names[pair.right], names[pair.given], pair.times, pair.of)
            for pair in worst_pairs(matrix, PAIRS_LISTED)
        ),
        labels=tuple(by_label(answers, names, view, sides)),
        failures=tuple(failures),
    )
