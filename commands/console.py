"""The console of a command: log lines and progress on stderr.

On a terminal, progress is one line that is rewritten five times a second. Otherwise it is a log line every ten seconds.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import TextIO

from pipeline.logs import before_lines, is_terminal, log, redact, start_logging
from pipeline.status import Notice, Status

LIVE_EVERY_S = 0.2
LINE_EVERY_S = 10.0
_CLEAR = "\r\x1b[K"


def add_console_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("messages on stderr")
    group.add_argument("-q", "--quiet", action="store_true", help="log errors only")
    group.add_argument("-v", "--verbose", action="store_true", help="log everything")
    group.add_argument("--log-json", action="store_true", help="log JSON lines")
    group.add_argument("--progress-every", type=float, default=LINE_EVERY_S, help=argparse.SUPPRESS)  # for Python


class Console:
    """Logs messages and shows progress. as_fields: progress and accounts are logged as fields, not as sentences."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        live: bool,
        as_fields: bool = True,
        line_every_s: float = LINE_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.as_fields = as_fields
        self._stream, self._live, self._clock = stream or sys.stderr, live, clock
        self._line_every_s = line_every_s
        self._shown_s = clock() - (LIVE_EVERY_S if live else 0.0)
        self._is_shown = False
        if live:
            before_lines(self.clear)

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Console":
        """Start logging and make the console, according to -q, -v and --log-json."""
        start_logging(1 if options.verbose else -1 if options.quiet else 0, options.log_json)
        terminal = is_terminal(sys.stderr)
        live = terminal and not options.quiet and not options.log_json
        return cls(live=live, as_fields=options.log_json or not terminal, line_every_s=options.progress_every)

    def say(self, text: str) -> None:
        log(logging.INFO, text)

    def warn(self, text: str) -> None:
        log(logging.WARNING, text)

    def notice(self, notice: Notice) -> None:
        """Log a notice of a run at its level."""
        log(logging.getLevelNamesMapping()[notice.level.upper()], notice.text, **notice.fields)

    def status(self, status: Status) -> None:
        """Show the progress of a run. It may be called at any rate."""
        if self._is_due():
            self._show(lambda width: live_line(status, width), "progress", status_fields(status))

    def steps(self, what: str) -> "Steps":
        """A counter of steps. It measures time from its first step."""
        return Steps(self, what, self._clock)

    def step(self, what: str, done: int, total: int, left_s: float | None, facts: Mapping[str, float]) -> None:
        """Show one step of a counter. Without a terminal, the last one is always logged."""
        if not self._is_due() and (self._live or done < total):
            return
        left = {} if left_s is None else {"left_s": round(left_s)}
        fields: dict[str, object] = {"done": done, "total": total, **left, **facts}
        self._show(lambda width: fit(step_line(what, done, total, left_s, facts), width), what, fields)

    def clear(self) -> None:
        """Remove the live line."""
        if self._is_shown:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._is_shown = False

    def _is_due(self) -> bool:
        return self._clock() - self._shown_s >= (LIVE_EVERY_S if self._live else self._line_every_s)

    def _show(self, line: Callable[[int], str], message: str, fields: Mapping[str, object]) -> None:
        self._shown_s = self._clock()
        if not self._live:
            log(logging.INFO, message, **fields)
            return
        width = _columns(self._stream) - 1
        self._stream.write(_CLEAR + fit(line(width), width))
        self._stream.flush()
        self._is_shown = True


class Steps:
    """Counts steps of one kind: `steps(done, total, failed)`. It may be called at any rate."""

    def __init__(self, console: Console, what: str, clock: Callable[[], float]) -> None:
        self._console, self._what, self._clock = console, what, clock
        self._began_s: float | None = None
        self._first = 0

    def __call__(self, done: int, total: int, failed: int = 0, facts: Mapping[str, float] | None = None) -> None:
        now_s = self._clock()
        if self._began_s is None:  # the time before the first step, such as loading networks, does not count
            self._began_s, self._first = now_s, done
        made = done - self._first
        left_s = (now_s - self._began_s) / made * (total - done) if made > 0 else None
        self._console.step(self._what, done, total, left_s, ({"failed": failed} if failed else {}) | dict(facts or {}))
        if done >= total:
            self._console.clear()


def step_line(what: str, done: int, total: int, left_s: float | None, facts: Mapping[str, float]) -> str:
    """`training head: 120 of 400, 0:28 left, loss 2.31, base 61.2`"""
    left = "" if left_s is None else f", {clock_text(left_s)} left"
    return f"{what}: {done} of {total}{left}" + "".join(f", {name} {value:.4g}" for name, value in facts.items())


def live_line(status: Status, width: int = 200) -> str:
    """`talk.mp4 2/5  0:12/1:30  3.1 clips/s  6.2× real time  0 failed  0 dropped  slowest: encode`

    On a narrow terminal, some words are omitted first, then the name is cut.
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


def status_fields(status: Status) -> dict[str, object]:
    """The fields of a progress line in the log."""
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
    """Cut a line to `width`, as a wrapped line cannot be rewritten, and replace characters that move the cursor."""
    text = text.replace("\n", " ").replace("\r", " ").replace("\x1b", "?")
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def _columns(stream: TextIO) -> int:
    """Width of the terminal behind a stream; 80 if it is unknown."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
