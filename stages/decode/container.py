"""What each kind of container says about time. docs/media.md has the table."""

from av.container import InputContainer

from stages.decode.clock import Rules
from stages.decode.source import Streams, nanoseconds, origin_ns

RUNNING = {
    *("mpegts", "mpeg", "mpegtsraw", "hls", "rtsp", "rtp", "sdp", "rtp_mpegts"),
    *("h264", "hevc", "mpegvideo", "m4v", "mjpeg", "mpjpeg", "dv", "obu", "ivf"),
}
"""Containers whose clock runs on by itself: a leap in it is a gap in the recording, not a picture that stays."""
TABLED = {"mov", "mp4", "3gp", "m4a", "avi", "mxf"}
"""Containers that list the time of every packet of each stream apart: the streams are read one by one."""


def names_of(container: InputContainer) -> set[str]:
    return set(container.format.name.split(","))


def rules_of(container: InputContainer, chosen: Streams, gap_ns: int) -> Rules:
    """The rules for the clock of a source."""
    holds = chosen.video is not None and not RUNNING & names_of(container)
    return Rules(gap_ns, holds, declared_duration_ns(container))


def declared_duration_ns(container: InputContainer) -> int | None:
    return container.duration * 1000 if container.duration else None


def declared_end_ns(chosen: Streams) -> int | None:
    """The latest declared end of the chosen streams; None for containers that do not count every packet."""
    streams = [stream for stream in (chosen.video, chosen.audio) if stream is not None]
    container = streams[0].container
    if "mp4" not in container.format.name or any(not stream.duration for stream in streams):
        return None
    ends = [nanoseconds((stream.start_time or 0) + stream.duration, stream.time_base) for stream in streams]
    return max(ends) - origin_ns(container)
