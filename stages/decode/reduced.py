"""A picture that a hardware decoder has made smaller."""

from typing import Any


class Reduced:
    """A decoded frame that stands for a larger one: its times are those of its packet, the rest is as in `like`.

    frame: the smaller `av.VideoFrame`. like: an earlier one of the same source at full size, as the software decodes
    it, which tells size, orientation and colours. packet: the frame's own.
    """

    is_corrupt = False

    def __init__(self, frame: Any, like: Any, packet: Any) -> None:
        frame.colorspace, frame.color_range = like.colorspace, like.color_range
        frame.color_trc, frame.color_primaries = like.color_trc, like.color_primaries
        self.frame = frame
        self.like = like
        self.pts = packet.pts
        self.duration = packet.duration
        self.time_base = packet.time_base
        self.width, self.height, self.rotation = like.width, like.height, like.rotation

    @property
    def interlaced_frame(self) -> bool:
        return bool(self.frame.interlaced_frame)

    @property
    def side_data(self) -> Any:
        return self.like.side_data
