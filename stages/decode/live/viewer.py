"""What others may see of a camera: masked pictures, and stills of them for the page and for events."""

import msgspec

from pipeline.arrays import Array
from stages.decode.canvas import Canvas
from stages.decode.frames import Shown
from stages.decode.live.masks import Mask
from stages.decode.live.options import LiveOptions
from stages.decode.live.stills import Stills

STILL_PX = 360
"""Short side of stills; smaller cameras keep their size."""


class Viewer:
    """Masks every picture that is converted, and writes some of them as stills."""

    def __init__(self, options: LiveOptions) -> None:
        feed = options.feed
        self.middle_ns = 0
        """The still of a clip is the first picture after this time."""
        self._zero_ns = feed.zero_ns
        self._mask = Mask(feed.masks)
        self._stills = Stills(feed.directory) if feed.directory else None
        short_px = max(STILL_PX, options.short_side_px)
        self._canvas = Canvas(
            msgspec.structs.replace(options, short_side_px=short_px, long_side_px=max(short_px, options.long_side_px))
        )
        self._still: Array | None = None

    @property
    def is_watched(self) -> bool:
        """Whether somebody looks at the live picture."""
        return self._stills is not None and self._stills.is_watched()

    def look(self, shown: Shown, picture: Array) -> Array:
        """The picture uint8 "H W 3" with its masks."""
        is_due = self._still is None and shown.time_ns >= self.middle_ns
        is_watched = self.is_watched
        if self._stills is not None and (is_due or is_watched):
            still = self._mask.apply(self._canvas.convert(shown))
            if is_due:
                self._still = still
            if is_watched:
                self._stills.live(still, shown.time_ns + self._zero_ns)
        return self._mask.apply(picture)

    def end_clip(self, index: int, picture: Array | None) -> None:
        """Write the still of a clip; `picture`, masked, if no other was seen."""
        still, self._still = self._still, None
        still = picture if still is None else still
        if self._stills is not None and still is not None:
            self._stills.clip(index, still)
