"""A name has evidence: who gave it, and the crops that fit it best, also those of clips before."""

from collections.abc import Sequence

import numpy as np

from pipeline.clip import ClipInfo
from pipeline.result import TrackEvidence
from stages.boxes import BoxKind
from stages.track.costs import Detection
from stages.track.evidence import evidence
from stages.track.examples import Examples
from stages.track.motion_model import MotionOptions, start
from stages.track.naming import Name, Naming
from stages.track.options import TrackOptions
from stages.track.paths import Path, Place
from stages.track.state import Known, TrackMemory

INFO = ClipInfo("a.mp4", 0, 0, 0, 2_000_000_000, width=100, height=100)
LIKE = Name("like bag.jpg", 0.9, "example", "like bag.jpg")
NAMING = Naming(
    TrackOptions(), (), (), "all", None, Examples(("like bag.jpg", "like hat.jpg"), np.eye(2, dtype=np.float32))
)


def look(cosine: float | None, is_crop: bool) -> Detection:
    vector = None if cosine is None else np.array([cosine, (1 - cosine**2) ** 0.5], np.float32)
    return Detection((0, 0, 1, 1), 0.9, vector, is_crop, BoxKind.MOTION, "")


def path(cosines: Sequence[float | None], start_s: float = 0.0, is_crop: bool = True) -> Path:
    """A track with places half a second apart, whose looks have these cosines with the bag; None: nobody has looked."""
    box = (10.04, 20.0, 130.0, 60.0)
    places = [
        Place(round((start_s + number / 2) * 1e9), box, detection=look(cosine, is_crop))
        for number, cosine in enumerate(cosines)
    ]
    return Path(TrackMemory(1, 1, BoxKind.MOTION, start(box, MotionOptions()), 9, 9.0, 0, 0), places)


def views(found: TrackEvidence | None) -> list[tuple[float, float]]:
    assert found is not None
    return [(view.time_s, round(view.similarity, 3)) for view in found.views]


def test_the_three_best_crops_of_all_clips_are_told_the_best_first() -> None:
    first, known = evidence(path([0.5, None, 0.9]), LIKE, NAMING, INFO, Known())
    assert first is not None
    assert (first.by, views(first)) == ("example", [(1.0, 0.9), (0.0, 0.5)])
    assert first.views[0].box == (10.0, 20.0, 100.0, 60.0), "what is in the picture of it"
    second, _ = evidence(path([0.7, 0.2, 0.95], 2.0), LIKE, NAMING, INFO, known)
    assert views(second) == [(3.0, 0.95), (1.0, 0.9), (2.0, 0.7)]


def test_a_crop_says_more_than_a_place_in_the_whole_picture() -> None:
    _, known = evidence(path([0.95], is_crop=False), LIKE, NAMING, INFO, Known())
    found, _ = evidence(path([0.6], 2.0), LIKE, NAMING, INFO, known)
    assert found is not None
    assert [(view.kind, view.time_s) for view in found.views] == [("crop", 2.0), ("place", 0.0)]


def test_with_another_name_earlier_crops_count_no_longer_and_without_one_there_is_no_evidence() -> None:
    _, known = evidence(path([0.9]), LIKE, NAMING, INFO, Known())
    hat = LIKE._replace(label="like hat.jpg", thing="like hat.jpg")
    other, _ = evidence(path([0.0], 2.0), hat, NAMING, INFO, known)
    assert views(other) == [(2.0, 1.0)]
    phrase, _ = evidence(path([None], 2.0), LIKE._replace(label="the bag left of the hat"), NAMING, INFO, known)
    assert views(phrase) == [(0.0, 0.9)], "it is the same thing"
    assert evidence(path([0.9]), Name(), NAMING, INFO, known) == (None, replace_views(known))


def test_a_name_that_only_the_detector_knows_has_no_views() -> None:
    found, _ = evidence(path([0.9]), Name("forklift", 0.8, "detector", "forklift"), NAMING, INFO, Known())
    assert found == TrackEvidence("detector")


def replace_views(known: Known) -> Known:
    return Known(known.stays, known.feet, known.still_since_ns)
