"""Where the run is: one live line on a terminal, else one line every ten seconds."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import PurePath
from typing import TextIO

from pipeline.logs import before_lines, log, redact
from pipeline.status import Status

LIVE_EVERY_S = 0.2
LINE_EVERY_S = 10.0
_CLEAR = "\r\x1b[K"


class Progress:
    """`update` may be called as often as one likes."""

    def __init__(self, stream: TextIO, *, live: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._live = live
        self._clock = clock
        self._told_s = clock() - (LIVE_EVERY_S if live else 0.0)
        self._shown = False
        if live:
            before_lines(self.clear)

    def update(self, status: Status) -> None:
        now_s = self._clock()
        if now_s - self._told_s < (LIVE_EVERY_S if self._live else LINE_EVERY_S):
            return
        self._told_s = now_s
        if not self._live:
            log(logging.INFO, "progress", **fields(status))
            return
        width = _columns(self._stream) - 1
        self._stream.write(_CLEAR + fit(live_line(status, width), width))
        self._stream.flush()
        self._shown = True

    def clear(self) -> None:
        if self._shown:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._shown = False


def live_line(status: Status, width: int = 200) -> str:
    """`talk.mp4 2/5  0:12/1:30  3.1 clips/s  6.2× real time  0 failed  0 dropped  slowest: encode`

    Where that is too wide, first words go, then the end of the name.
    """
    at = status.position
    stopping = "stopping  " if status.phase == "drain" else ""
    if at.clip < 0:
        return f"{stopping or 'starting  '}{status.elapsed_s:.0f} s"
    name = stopping + PurePath(redact(at.source)).name
    count = f" {at.source_number}/{at.source_count}" if at.source_count > 1 else ""
    parts = [
        clock_text(at.position_s) + (f"/{clock_text(at.duration_s)}" if at.duration_s else ""),
        f"{status.clips_per_s:.1f} clips/s",
        f"{status.x_real_time:.1f}× real time",
        f"{status.errors} failed",
        f"{status.drops} dropped",
    ]
    if status.slowest_group:
        parts.append(f"slowest: {status.slowest_group}")
    rest = "  ".join([count, *parts])
    if len(name) + len(rest) > width:
        rest = rest.replace(" real time", "").replace("slowest: ", "slow: ")
    return fit(name, max(8, width - len(rest))) + rest


def fields(status: Status) -> dict[str, object]:
    """What the ten-second line and JSON carry."""
    at = status.position
    return {
        "phase": status.phase,
        "source": redact(at.source),
        "source_number": at.source_number,
        "sources": at.source_count,
        "clip": at.clip,
        "position_s": round(at.position_s, 2),
        "duration_s": round(at.duration_s, 2) if at.duration_s else "unknown",
        "clips_in": status.clips_in,
        "results": status.results,
        "failed": status.errors,
        "dropped": status.drops,
        "in_flight": status.in_flight,
        "clips_per_s": round(status.clips_per_s, 2),
        "x_real_time": round(status.x_real_time, 2),
        "slowest": status.slowest_group or "none",
        "elapsed_s": round(status.elapsed_s, 1),
    }


def clock_text(seconds: float) -> str:
    """`1:02` or `1:02:03`"""
    whole = max(0, int(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def fit(text: str, width: int) -> str:
    """Cut rather than wrap, which would leave lines behind; nothing in it moves the cursor."""
    text = text.replace("\n", " ").replace("\r", " ").replace("\x1b", "?")
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def _columns(stream: TextIO) -> int:
    """Width of the terminal behind a stream; 80 where it does not tell."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
