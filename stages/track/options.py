"""How boxes are joined into tracks. Boxes from motion and boxes from a network need different options."""

from typing import Literal

import msgspec

from pipeline.stage import StageOptions
from stages.track.motion_model import MotionOptions


class TrackerOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The defaults suit boxes from motion, of which some cover a part of an object and some two. See `NETWORK`."""

    high_score: float = 0.5
    """Detections with at least this score are matched first; weaker ones only continue confirmed tracks that were seen
    a moment ago."""
    low_score: float = 0.25
    """Weaker detections are ignored."""
    birth_score: float = 0.5
    """Score from which a detection that continues no track starts one."""
    confirm_hits: int = 3
    """Frames in which an object must be seen before it gets an id. Higher means fewer false tracks. Its boxes from
    before that are told too, as far as they are in the same clip."""
    confirm_evidence: float | None = None
    """Sum of the log-odds of an object's scores, each at most 3, from which it gets an id; None asks for hits only."""
    tentative_s: float = 0.4
    """How long an unconfirmed object may go unseen."""
    recent_s: float = 0.4
    """How long a track may go unseen before a weak detection can continue it."""
    lost_s: float = 2.0
    """How long a track may go unseen and still be found again under its id."""
    fill_s: float = 0.7
    """Gaps of up to this long are filled in a straight line."""
    association: Literal["place", "overlap"] = "place"
    """What pairs a track with a detection: "place" half overlap and half distance, "overlap" alone."""
    least_overlap: float = 0.2
    """Intersection over union below which nothing matches, with "overlap"."""
    least_weak_overlap: float = 0.5
    """The same for weak detections."""
    gate: float = 3.5
    """Distance in standard deviations of the prediction beyond which nothing matches; the prediction widens with
    time unseen. With "place"."""
    reach: float = 2.0
    """Distance in sizes of the box beyond which nothing matches, however long the gap. With "place"."""
    appearance_weight: float = 0.3
    """Cost of a cosine of 0 instead of 1 between the appearance of a track and a detection; overlap and distance
    together cost at most 1."""
    most_cost: float = 0.9
    """Pairs that cost more are not matched. With "place"."""
    cover: float = 0.7
    """A detection with more than this share inside a box that was just matched starts no track: it is a part of that
    object. 1 turns this off, for detectors that never find parts."""
    cover_alike: float | None = None
    """If given, that holds only for boxes that look alike: from this cosine on, if both looks are known. It then also
    holds for a detection around such a box."""
    told: float = 0.0
    """Share of the detected box in the one that is told; the rest is the filtered one."""
    appearance_memory: int = 10
    """Crops over which a track's appearance is averaged."""
    most_tracks: int = 256
    """Most tracks in the state; those unseen for longest are dropped first."""
    motion: MotionOptions = MotionOptions()


NETWORK = TrackerOptions(
    high_score=0.6,
    low_score=0.2,
    birth_score=0.7,
    confirm_hits=3,
    confirm_evidence=7.0,
    tentative_s=0.25,
    recent_s=0.25,
    association="overlap",
    least_overlap=0.2,
    cover=0.5,
    cover_alike=0.35,
    told=0.5,
    motion=MotionOptions(place=0.07, extent=0.15, start_growth=0.5, growth_push=0.5, growth_s=1.0, swell=0.2),
)
"""For boxes of a network, which are tight and around whole objects."""


class TrackOptions(StageOptions, frozen=True, kw_only=True):
    tracker: TrackerOptions = TrackerOptions()
    """For boxes from motion."""
    network: TrackerOptions = NETWORK
    """For boxes of a network."""
    camera: bool = True
    """While the camera moves, tracks are carried along with the scene."""
    least_probability: float = 0.5
    """A label of the run names a track if it is a thing and at least so probable."""
    least_likeness: float = 0.6
    """A track is like an example if the cosine of their vectors is at least this. Of other things, percept-mini takes
    one in a hundred for it; published models need more, such as 0.85."""
    least_everyday_probability: float = 0.8
    """Otherwise an everyday word of the model's background vocabulary does, if it is at least so probable. Above 1,
    tracks have labels of the run only."""
