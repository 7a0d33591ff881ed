"""The state of tracking in a source between clips: plain data, a few kilobytes."""

import msgspec
import numpy as np

from pipeline.arrays import Array
from pipeline.places import Point
from pipeline.result import View
from stages.boxes import BoxKind
from stages.track.motion_model import MovingBox

VERSION = 4
MOST_NAMES = 4


class TrackMemory(msgspec.Struct, array_like=True, frozen=True):
    """One object that is tracked, or a tentative one."""

    key: int
    """Tells tracks apart that have no id yet."""
    id: int
    """0 until confirmed: a false alarm never uses up an id."""
    kind: BoxKind
    """NETWORK once a network has found it."""
    moving: MovingBox
    hits: int
    evidence: float
    """Sum of the log-odds of its scores."""
    first_ns: int
    last_ns: int
    """When it was last seen; `moving` is its state at that time."""
    appearance: bytes = b""
    """float16 "D", mean of its crops' unit vectors; empty before the first crop."""
    crops: float = 0.0
    """How many crops that mean is worth."""
    names: tuple[tuple[str, float], ...] = ()
    """What the detector called it, with the sum of the scores for each name; the highest first."""
    colours: tuple[float, ...] = ()
    """Mean shares of the colours of `stages.colours.NAMES`; empty before they are first measured."""
    coloured: int = 0
    """How often they were."""

    @property
    def confirmed(self) -> bool:
        return self.id > 0

    def with_crop(self, vector: Array, memory: int, weight: float = 1.0) -> "TrackMemory":
        """With one more crop in the mean; after `memory` crops old ones fade (moving average). `weight`: what it is
        worth, in crops."""
        share = weight / min(self.crops + weight, memory)
        mean = vector.astype(np.float32)
        if self.appearance:
            old = np.frombuffer(self.appearance, np.float16).astype(np.float32)
            mean = old + share * (mean - old) if len(old) == len(mean) else mean
        return msgspec.structs.replace(self, appearance=mean.astype(np.float16).tobytes(), crops=self.crops + weight)

    def with_name(self, name: str, score: float) -> "TrackMemory":
        """With one more name from the detector. The `MOST_NAMES` best are remembered."""
        sums = dict(self.names)
        sums[name] = sums.get(name, 0.0) + score
        best = sorted(sums.items(), key=lambda named: (-named[1], named[0]))[:MOST_NAMES]
        return msgspec.structs.replace(self, names=tuple(best))

    def with_colours(self, shares: Array, memory: int) -> "TrackMemory":
        """With the shares "C" of one more box in the mean, as in `with_crop`."""
        count = self.coloured + 1
        old = np.array(self.colours) if self.colours else np.zeros(len(shares))
        mean = old + (shares - old) / min(count, memory)
        return msgspec.structs.replace(self, colours=tuple(round(each, 4) for each in mean.tolist()), coloured=count)

    def colour_shares(self) -> Array | None:
        """ "C", or None before they are first measured."""
        return np.array(self.colours) if self.colours else None

    def vector(self) -> Array | None:
        """float32 "D" of unit length, or None before the first crop."""
        if not self.appearance:
            return None
        mean = np.frombuffer(self.appearance, np.float16).astype(np.float32)
        length = float(np.linalg.norm(mean))
        return mean / length if length > 0 else None


class Stay(msgspec.Struct, array_like=True, frozen=True):
    """A track in a zone."""

    since_ns: int
    until_ns: int


class Known(msgspec.Struct, array_like=True, frozen=True):
    """What is remembered of a track between clips."""

    stays: dict[str, Stay] = {}
    """By zone."""
    feet: dict[str, Point] = {}
    """By line: where the foot point last was clear of it, in pixels."""
    still_since_ns: int = -1
    """-1: it moves."""
    name: str = ""
    """What it was called last."""
    views: tuple[View, ...] = ()
    """Those of its crops that fit this name best."""


class TrackState(msgspec.Struct, array_like=True, frozen=True):
    """State of a source. A new epoch ends all tracks, but ids continue to count."""

    version: int = VERSION
    epoch: int = 0
    next_id: int = 1
    next_key: int = 1
    tracks: tuple[TrackMemory, ...] = ()
    time_ns: int = 0
    """The last frame that was looked at; tracks are where the camera has taken them until then."""
    known: dict[int, Known] = {}
    """By track id, of tracks that are alive."""


def after_stillness(state: TrackState, still_ns: int) -> TrackState:
    """The state once nothing has changed for so long: all is where it was, as if it had been seen there until now."""
    replace = msgspec.structs.replace
    known = {
        number: replace(
            each, stays={zone: replace(stay, until_ns=stay.until_ns + still_ns) for zone, stay in each.stays.items()}
        )
        for number, each in state.known.items()
    }
    tracks = tuple(replace(track, last_ns=track.last_ns + still_ns) for track in state.tracks)
    return replace(state, tracks=tracks, known=known, time_ns=state.time_ns + still_ns)


def encode_state(state: TrackState) -> bytes:
    return msgspec.msgpack.encode(state)


def decode_state(data: bytes) -> TrackState:
    """State from bytes; b"" is the state before the first clip.

    Raises:
        ValueError: the bytes are not a state of this version.
    """
    if not data:
        return TrackState()
    state = msgspec.msgpack.decode(data, type=TrackState)
    if state.version != VERSION:
        raise ValueError(f"track state has version {state.version}, expected {VERSION}")
    return state
