"""When the packets of a film are shown.

A stream's own times are even but may count from anywhere, at a wrong rate, or be missing. The times of capture are
right in the long run but may jitter. A stream keeps its own times, moved by the median of the differences, as long as
none differs from that by more than `WRONG_NS`; else the times of capture count. Streams that differ by less than
`SHARED_NS` share one clock, and are moved alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WRONG_NS = 1_500_000_000
SHARED_NS = 500_000_000
LEAST_NS = 1_000_000
"""Two packets of a stream are at least so far apart."""


@dataclass(frozen=True)
class Piece:
    """One packet."""

    track: int
    data: bytes
    time_ns: int | None
    """Its stream's own time."""
    captured_ns: int
    is_key: bool


def film_times(pieces: Sequence[Piece], videos: Sequence[int]) -> list[tuple[int, int]]:
    """Presentation and decoding time of each piece, in nanoseconds. The first picture, else the first sound, is at 0.

    `videos`: the tracks that have pictures.
    """
    tracks = {track: [place for place, each in enumerate(pieces) if each.track == track] for track in _tracks(pieces)}
    shifts = {track: _shift(pieces, places) for track, places in tracks.items()}
    shifts = _aligned(shifts, videos)
    shown = np.zeros(len(pieces), np.int64)
    decoded = np.zeros(len(pieces), np.int64)
    for track, places in tracks.items():
        stamps = [_stamp(pieces[place], shifts[track]) for place in places]
        if shifts[track] is None or track not in videos:
            stamps = _rising(stamps)
        shown[places], decoded[places] = stamps, _decoding(stamps)
    leading = [place for place, each in enumerate(pieces) if each.track in videos] or list(range(len(pieces)))
    start = int(shown[leading].min()) if leading else 0
    return [(int(a) - start, int(b) - start) for a, b in zip(shown, decoded, strict=True)]


def _tracks(pieces: Sequence[Piece]) -> list[int]:
    return sorted({each.track for each in pieces})


def _shift(pieces: Sequence[Piece], places: Sequence[int]) -> int | None:
    """What is added to a stream's own times; None: they are of no use."""
    own = [pieces[place].time_ns for place in places]
    if any(time is None for time in own):
        return None
    differences = np.array([pieces[place].captured_ns for place in places]) - np.array(own)
    middle = int(np.median(differences))
    return middle if np.abs(differences - middle).max() <= WRONG_NS else None


def _aligned(shifts: Mapping[int, int | None], videos: Sequence[int]) -> dict[int, int | None]:
    lead = next((shift for track, shift in shifts.items() if track in videos and shift is not None), None)
    return {
        track: lead if lead is not None and shift is not None and abs(shift - lead) < SHARED_NS else shift
        for track, shift in shifts.items()
    }


def _stamp(piece: Piece, shift: int | None) -> int:
    return piece.captured_ns if shift is None or piece.time_ns is None else piece.time_ns + shift


def _rising(stamps: Sequence[int]) -> list[int]:
    """The stamps of packets that are shown in their order."""
    risen: list[int] = []
    for stamp in stamps:
        risen.append(max(stamp, risen[-1] + LEAST_NS) if risen else stamp)
    return risen


def _decoding(stamps: Sequence[int]) -> list[int]:
    """Decoding times for pictures in the order of decoding: rising, and never after they are shown."""
    ordered = _rising(sorted(stamps))
    late = max((decoded - shown for decoded, shown in zip(ordered, stamps, strict=True)), default=0)
    return [decoded - max(0, late) for decoded in ordered]
