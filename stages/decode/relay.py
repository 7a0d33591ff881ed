"""Several sound tracks as one: where a track is silent, the next one takes over."""

from collections.abc import Sequence

import numpy as np

from pipeline.arrays import Array
from stages.decode.frames import Shown
from stages.decode.reader import NS
from stages.decode.sound import SILENCE, SoundTrack
from stages.decode.timeline import Failures

SECTION_NS = NS
"""Tracks take turns on a grid that starts with the source."""
AHEAD_NS = NS // 10
"""Tracks are decoded this far beyond a section, so that their resamplers have output all of it."""


class Relay:
    """Reads all `tracks` and gives, section by section, the first that is not silent. It serves as a `SoundTrack`."""

    def __init__(self, tracks: Sequence[SoundTrack]) -> None:
        self.tracks = tracks
        self._size = round(SECTION_NS * tracks[0].rate_hz / NS)
        """Samples of a section."""

    @property
    def rate_hz(self) -> int:
        return self.tracks[0].rate_hz

    @property
    def broken_off(self) -> str:
        return next((track.broken_off for track in self.tracks if track.broken_off), "")

    @property
    def notes(self) -> list[str]:
        return list(dict.fromkeys(note for track in self.tracks for note in track.notes))

    @property
    def errors(self) -> int:
        return sum(track.errors for track in self.tracks)

    @property
    def failures(self) -> Failures:
        return self.tracks[0].failures

    @property
    def covered_ns(self) -> int:
        return max(track.covered_ns for track in self.tracks)

    def peek(self) -> Shown | None:
        heads = [head for track in self.tracks if (head := track.peek()) is not None]
        return min(heads, key=lambda head: (head.epoch, head.time_ns), default=None)

    def look(self) -> None:
        for track in self.tracks:
            track.look()

    def advance(self, until_ns: int, epoch: int) -> None:
        """Decode everything of an epoch that starts before `until_ns`, and its section."""
        until_ns = -(-until_ns // SECTION_NS) * SECTION_NS + AHEAD_NS
        for track in self.tracks:
            track.advance(until_ns, epoch)

    def forget(self, before: int) -> None:
        """Drop the samples of the sections before number `before`."""
        for track in self.tracks:
            track.forget(before // self._size * self._size)

    def window(self, first: int, count: int, not_before: int) -> tuple[Array, Array]:
        """Samples [first, first + count) as float32 "S", and a mask uint8 "S", 1 for real samples."""
        start, end = first // self._size * self._size, -(-(first + count) // self._size) * self._size
        windows = [track.window(start, end - start, not_before) for track in self.tracks]
        samples = np.stack([each for each, _ in windows]).reshape(len(windows), -1, self._size)
        mask = np.stack([each for _, each in windows]).reshape(samples.shape)
        turns, sections = whose_turn(samples, mask), np.arange(samples.shape[1])
        part = slice(first - start, first - start + count)
        return samples[turns, sections].reshape(-1)[part], mask[turns, sections].reshape(-1)[part]


def whose_turn(samples: Array, mask: Array) -> Array:
    """The first track of each section that is not silent, else the first that is there: "N K S", "N K S" -> "K"."""
    there = mask.sum(axis=2, dtype=np.int64)
    energy = np.square(samples, dtype=np.float64).sum(axis=2)
    is_heard = energy > SILENCE * np.maximum(there, 1)
    turns: Array = np.where(is_heard.any(axis=0), is_heard.argmax(axis=0), (there > 0).argmax(axis=0))
    return turns
