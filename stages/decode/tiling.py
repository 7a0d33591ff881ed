"""How clips tile a stretch of time, and how the frame grid divides a clip into cells."""

from dataclasses import dataclass
from typing import NamedTuple

from stages.decode.reader import NS

ROUNDING_NS = 2_000_000
"""Containers round times to a millisecond, so a frame less than this before a boundary counts as after it."""


class Cell(NamedTuple):
    tile: int
    cell: int


@dataclass(frozen=True)
class Tiling:
    """Tile k is [anchor + k * stride, + clip). The grid cuts each tile into cells of 1 / frame rate."""

    anchor_ns: int
    clip_ns: int
    stride_ns: int
    frame_rate_hz: float

    def start_ns(self, tile: int) -> int:
        return self.anchor_ns + tile * self.stride_ns

    def end_ns(self, tile: int) -> int:
        return self.start_ns(tile) + self.clip_ns

    def tile_at(self, time_ns: int) -> int:
        """The tile that began last."""
        return (time_ns + ROUNDING_NS - self.anchor_ns) // self.stride_ns

    def locate(self, time_ns: int) -> Cell | None:
        """The cell that a frame falls into; None between tiles and before the first."""
        tile, since_ns = divmod(time_ns + ROUNDING_NS - self.anchor_ns, self.stride_ns)
        if tile < 0 or since_ns >= self.clip_ns:
            return None
        return Cell(tile, int(since_ns * self.frame_rate_hz // NS))


def spread_indices(count: int, limit: int) -> list[int]:
    """At most `limit` of the numbers 0 .. count - 1, evenly spread, including the first and, unless `limit` is 1, the
    last."""
    if count <= limit:
        return list(range(count))
    if limit == 1:
        return [0]
    return [round(place * (count - 1) / (limit - 1)) for place in range(limit)]
