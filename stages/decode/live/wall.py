"""The wall clock of a camera, as its sender reports tell it."""

import struct
import time
from typing import Any, Literal, NamedTuple

PLAUSIBLE_NS = 10_000_000_000
"""A camera's clock that differs by more from this machine's is wrong, or of another zone."""
_PRFT = struct.Struct("<q")
"""FFmpeg's AVProducerReferenceTime begins with Unix time in microseconds."""


class Wall(NamedTuple):
    """A moment on the wall clock."""

    time_ns: int
    """Unix time, UTC."""
    clock: Literal["camera", "arrival"]
    offset_s: float | None
    """How far the camera's clock is ahead of this machine's; None if it does not tell the time."""


class WallClock:
    """Tells the wall time of moments on the monotonic clock."""

    def __init__(self) -> None:
        self._camera_ns: int | None = None
        """Unix time of the camera minus monotonic time of capture."""

    def look(self, packet: Any, captured_ns: int) -> None:
        """Read what a packet says about the camera's clock."""
        for side_data in packet.iter_sidedata():
            if getattr(side_data, "data_type", "") == "prft":
                micros = _PRFT.unpack_from(bytes(side_data))[0]
                self._camera_ns = micros * 1000 - captured_ns

    def at(self, captured_ns: int) -> Wall:
        here_ns = time.time_ns() - time.monotonic_ns()
        if self._camera_ns is None:
            return Wall(captured_ns + here_ns, "arrival", None)
        ahead_ns = self._camera_ns - here_ns
        if abs(ahead_ns) > PLAUSIBLE_NS:
            return Wall(captured_ns + here_ns, "arrival", ahead_ns / 1e9)
        return Wall(captured_ns + self._camera_ns, "camera", ahead_ns / 1e9)
