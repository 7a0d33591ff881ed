"""What a live reader is told about its camera."""

from typing import Literal

import msgspec

from stages.decode.reader import ReaderOptions

Polygon = tuple[tuple[float, float], ...]
"""Corners x, y in fractions of the upright picture, from the upper left."""


class Feed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One camera. The source that the reader is given is its name, which alone may be shown."""

    url: str
    """With user and password. Also /dev/video0, or the path of a file that is played in real time."""
    transport: Literal["auto", "tcp", "udp"] = "auto"
    """Of RTSP; auto: TCP, and UDP where the camera refuses that."""
    realtime: bool = False
    """`url` is a file; it is played at its own pace, and again from its start when it ends if `loop`."""
    loop: bool = False
    every: bool = False
    """Every clip is given out, however late; else a clip that this machine comes to too late is left out."""
    stall_s: float = 10.0
    """Without a packet for so long, the camera is lost."""
    zero_ns: int = 0
    """The instant on the monotonic clock from which the times of clips count."""
    masks: tuple[Polygon, ...] = ()
    """Black before anything else sees the picture."""
    zones: dict[str, Polygon] = {}
    """Where motion is measured apart: measure `zone:<name>`."""
    reuse: bool = True
    """While nothing changes, only key frames are decoded and clips are marked as reused."""
    keep_s: float = 0.0
    """Length of encoded media that is kept for recordings; 0: none."""
    keep_bytes: int = 64 << 20
    directory: str = ""
    """A private folder of this camera for pictures that others read: see `stages.decode.live.stills`."""


class LiveOptions(ReaderOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of a reader for a camera."""

    feed: Feed
