"""Several sound tracks of a film as one, taking turns as `stages/decode/relay.py` has it for the labels."""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.arrays import Array
from stages.decode.film_sound import FilmSound
from stages.decode.reader import NS
from stages.decode.relay import AHEAD_NS, SECTION_NS, whose_turn

Piece = tuple[int, Array]
"""Number of the first sample, and samples float32 "C N"."""


class FilmRelay:
    """Gives, section by section, the first track that is not silent. It serves as a `FilmSound`."""

    def __init__(self, tracks: Sequence[FilmSound]) -> None:
        self.rate_hz = tracks[0].rate_hz
        self.channels = max(track.channels for track in tracks)
        self._tracks = tracks
        self._waiting: list[list[Piece]] = [[] for _ in tracks]
        self._next_ns: int | None = None
        """Start of the next section."""

    @property
    def errors(self) -> int:
        return sum(track.errors for track in self._tracks)

    def pieces(self, until_ns: int, rate_hz: int, channels: int) -> Iterator[Piece]:
        """Whole sections that begin before a time."""
        while (start_ns := self._start_ns(rate_hz)) is not None and start_ns < until_ns:
            end_ns = start_ns + SECTION_NS
            for track, waiting in zip(self._tracks, self._waiting, strict=True):
                waiting += track.pieces(end_ns + AHEAD_NS, rate_hz, channels)
            first, end = round(start_ns * rate_hz / NS), round(end_ns * rate_hz / NS)
            parts = [list(within(waiting, first, end)) for waiting in self._waiting]
            sound, mask = (np.zeros((len(parts), 1, end - first), np.float32) for _ in range(2))
            for number, part in enumerate(parts):
                for place, samples in part:
                    stretch = slice(place - first, place - first + samples.shape[1])
                    sound[number, 0, stretch], mask[number, 0, stretch] = np.abs(samples).max(axis=0), 1
            yield from parts[int(whose_turn(sound, mask)[0])]
            for waiting in self._waiting:
                waiting[:] = [(place, samples) for place, samples in waiting if place + samples.shape[1] > end]
            self._next_ns = end_ns

    def _start_ns(self, rate_hz: int) -> int | None:
        """Start of the next section that has sound; None at the end."""
        times = [time_ns for track in self._tracks if (time_ns := track.next_ns) is not None]
        times += [round(waiting[0][0] * NS / rate_hz) for waiting in self._waiting if waiting]
        if not times:
            return None
        return max(min(times) // SECTION_NS * SECTION_NS, self._next_ns or 0)


def within(pieces: Sequence[Piece], first: int, end: int) -> Iterator[Piece]:
    """What of the pieces is in [first, end)."""
    for place, samples in pieces:
        cut = samples[:, max(0, first - place) : max(0, end - place)]
        if cut.shape[1]:
            yield max(first, place), cut
