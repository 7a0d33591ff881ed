"""Chooses the pictures of a clip: the first of every grid cell, or the one still shown when the clip starts."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import av
import numpy as np

from pipeline.arrays import Array
from stages.decode.cuts import Sketcher
from stages.decode.frames import Shown
from stages.decode.live.still_sizes import PacketFacts
from stages.decode.reader import NS
from stages.decode.tiling import ROUNDING_NS, Tiling, spread_indices
from stages.decode.timeline import Failures
from stages.decode.unused import Unused

LOST_NS = NS
"""A picture is not held across a stretch longer than this in which decoding failed."""


class Pictures(ABC):
    """The pictures of one source in the order they are shown."""

    errors = 0
    """Decode errors so far."""
    broken_off = ""
    """Why reading stopped before the end; "" if it did not."""

    def __init__(self, failures: Failures) -> None:
        self.failures = failures

    @abstractmethod
    def peek(self) -> Shown | None:
        """The next picture, which stays the next one; None at the end."""

    @abstractmethod
    def pop(self) -> Shown:
        """The picture that `peek` returns; the one after it becomes the next."""

    @abstractmethod
    def convert(self, shown: Shown) -> Array | None:
        """uint8 "H W 3", the same size for all; None if it fails, which counts as an error."""

    def small(self, shown: Shown) -> Array | None:
        """A small copy of a picture, to be compared with others: see `Sketcher.small`; None if that fails."""
        picture = self.convert(shown)
        return None if picture is None else Sketcher().small(av.VideoFrame.from_ndarray(picture))

    @abstractmethod
    def whole_until_ns(self, time_ns: int) -> int:
        """How far up to `time_ns` no gap and no turn is known, so that `skip_to` reaches it; -1: unknown."""

    @abstractmethod
    def skip_to(self, time_ns: int) -> None:
        """Skip pictures before the one shown at `time_ns`, as far as that is safe and saves decoding."""

    def packets(self, start_ns: int, end_ns: int, until_ns: int) -> list[PacketFacts] | None:
        """What is known of the pictures of a stretch without decoding them; None if that is not all, or if the source
        does not go on until a later time as it is."""
        return None

    def key_pictures(self, start_ns: int, end_ns: int) -> list[Array] | None:
        """The key frames of a stretch whose `packets` are known, and the one after it; None if there is none soon."""
        return None

    def drop_to(self, time_ns: int) -> None:
        """Do not decode pictures that `packets` told of before the one shown at `time_ns`, as far as possible."""

    def spare(self, unused: Unused, epoch: int) -> None:
        """Pictures of this epoch that are `unused` need not be decoded; those before them may be given instead."""


@dataclass
class TileFrames:
    """The frames collected for one tile."""

    times_ns: list[int] = field(default_factory=list)
    pictures: list[Array] = field(default_factory=list)
    last_cell: int = -1
    starts_held: bool = False
    """The first picture is held over from the tile before."""
    corrupt: int = 0
    lost: bool = False
    """Decoding failed where its pictures would be."""
    estimated: bool = False

    def joined(self, other: "TileFrames", limit: int) -> "TileFrames":
        """Both, one after the other, thinned to at most `limit` pictures."""
        times = self.times_ns + other.times_ns[other.starts_held :]
        pictures = self.pictures + other.pictures[other.starts_held :]
        keep = spread_indices(len(times), limit)
        return TileFrames(
            [times[place] for place in keep],
            [pictures[place] for place in keep],
            corrupt=self.corrupt + other.corrupt,
            lost=self.lost,
            estimated=self.estimated or other.estimated,
        )

    def frames(self) -> Array:
        """uint8 "T H W 3"."""
        return np.stack(self.pictures)


class PictureGrid:
    """Sorts the pictures of one epoch into tiles, and converts only those that are chosen.

    A picture that is already shown when a clip starts and is not replaced within the first cell counts as the clip's
    first, at the clip's start: so a slide that stays for a minute is in every clip of that minute, and the last one in
    every clip to the end of the epoch.
    """

    def __init__(self, pictures: Pictures, tiling: Tiling, epoch: int, first_tile: int) -> None:
        self.pictures = pictures
        self.tiling = tiling
        self.covered_ns = 0
        """End of the pictures so far, decodable or not."""
        self._epoch = epoch
        self._turns: int | None = None
        self._shot = 0
        self.size = (0, 0)
        """Upright width and height of its pictures in the source, once the first is there."""
        self._begin(pictures.peek())
        self._tile = first_tile
        self._tiles: dict[int, TileFrames] = {}
        self._last: Shown | None = None
        pictures.spare(self.is_unused, epoch)

    def advance(self, until_ns: int) -> None:
        """Read all pictures before `until_ns` that belong to this epoch."""
        while (head := self.pending()) is not None and head.time_ns < until_ns:
            self._add(self.pictures.pop())
        self.covered_ns = max(self.covered_ns, self.pictures.failures.end_ns)

    def pending(self) -> Shown | None:
        """The next picture, if it belongs to this epoch."""
        head = self.pictures.peek()
        self._begin(head)
        is_here = head is not None and head.epoch <= self._epoch and self._continues(head)
        return head if is_here else None

    @property
    def turn_ns(self) -> int | None:
        """Where the next picture has another shape, or begins another shot: there this stretch ends."""
        head = self.pictures.peek()
        self._begin(head)
        turns = head is not None and head.epoch <= self._epoch and not self._continues(head)
        return head.time_ns if turns and head is not None else None

    @property
    def ends_in_cut(self) -> bool:
        """Whether the next picture begins another shot, and nothing else changes."""
        head = self.pictures.peek()
        return head is not None and head.epoch <= self._epoch and head.turns == self._turns and head.shot != self._shot

    def _continues(self, head: Shown) -> bool:
        return (head.turns, head.shot) == (self._turns, self._shot)

    def _begin(self, head: Shown | None) -> None:
        """The first picture gives the shape and the shot of all."""
        if self._turns is None and head is not None:
            self._turns, self._shot, self.size = head.turns, head.shot, head.canvas

    def close(self, tile: int, is_tail: bool = False) -> TileFrames:
        """The frames of a tile, which gets no more. A tail, which joins the tile before, gets no held picture."""
        self._tile = tile + 1
        frames = self._tiles.pop(tile, None) or TileFrames()
        if is_tail:
            return frames
        if not frames.times_ns:
            self._fill(frames, self.tiling.start_ns(tile), self.pending())
        return frames

    def skip(self, tile: int) -> None:
        """Do without a tile: its pictures need not be decoded."""
        end_ns = self.tiling.end_ns(tile)
        self._tiles.pop(tile, None)
        self._tile = tile + 1
        self.covered_ns = max(self.covered_ns, end_ns)
        self.pictures.drop_to(end_ns + ROUNDING_NS)

    def is_unused(self, before_ns: int, time_ns: int, after_ns: int) -> bool:
        """Whether a picture shown between two others is neither the first of its cell nor held for a later clip."""
        here, later = self.tiling.locate(time_ns), self.tiling.locate(after_ns)
        if here is not None and here != self.tiling.locate(before_ns):
            return False
        tile, later_tile = self.tiling.tile_at(time_ns), self.tiling.tile_at(after_ns)
        is_held = later is not None and later.cell > 0
        return later_tile == tile or (later_tile == tile + 1 and not is_held)

    def _add(self, shown: Shown) -> None:
        self.covered_ns = max(self.covered_ns, shown.end_ns)
        place = self.tiling.locate(shown.time_ns)
        if place is not None and place.tile >= self._tile:
            for tile in range(self._tile, place.tile + (place.cell > 0)):
                self._hold(tile, shown)
            frames = self._tiles.setdefault(place.tile, TileFrames())
            frames.corrupt += shown.corrupt
            if place.cell != frames.last_cell:
                frames.last_cell = place.cell
                self._take(frames, max(shown.time_ns, self.tiling.start_ns(place.tile)), shown)
        self._last = shown

    def _hold(self, tile: int, following: Shown) -> None:
        """Start an empty tile with the picture that is still shown."""
        frames = self._tiles.setdefault(tile, TileFrames())
        if not frames.times_ns:
            self._fill(frames, self.tiling.start_ns(tile), following)
            frames.starts_held = bool(frames.times_ns)

    def _fill(self, frames: TileFrames, start_ns: int, following: Shown | None) -> None:
        """Add the last picture if it is still shown at `start_ns`."""
        last = self._last
        frames.lost |= self._lost_at(start_ns, following)
        if last is not None and last.time_ns < start_ns and not frames.lost:
            self._take(frames, start_ns, last)

    def _lost_at(self, start_ns: int, following: Shown | None) -> bool:
        """Whether decoding failed between the last picture and the following one, or the end of the tile if none."""
        from_ns = self._last.end_ns if self._last is not None else self.tiling.anchor_ns
        until_ns = following.time_ns if following is not None else start_ns + self.tiling.clip_ns
        return until_ns - from_ns > LOST_NS and self.pictures.failures.overlap(from_ns, until_ns)

    def _take(self, frames: TileFrames, time_ns: int, shown: Shown) -> None:
        picture = self.pictures.convert(shown)
        if picture is not None:
            frames.times_ns.append(time_ns)
            frames.pictures.append(picture)
            frames.estimated |= shown.estimated
