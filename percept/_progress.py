"""Progress of a run: what its loop has received, and what its process has logged."""

import json
import logging
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from types import TracebackType
from typing import IO, Any

from percept import _records
from percept._home import ours
from percept._views import View

STILL_BUILDING = "all results are written; building the rest of the engines for later runs (Ctrl-C puts it off)"
"""What the process logs when it has written all results and goes on building engines."""
_BUILDS = (
    "all results are there. Engines are being built now, once for this model and machine, so that later runs are "
    "faster; this may take a minute. An interrupt (Ctrl-C) puts it off to the next run"
)
_LONGEST = 160
"""Characters of a message that are shown."""


class Log:
    """The JSON lines that the process has written to a file so far. Its own place in the file is not touched."""

    def __init__(self, file: IO[bytes]) -> None:
        self._fd = file.fileno()
        self._at = 0

    def read(self) -> Iterator[dict[str, Any]]:
        """The whole lines since the last call. What is not one of our log lines is passed over."""
        size = os.fstat(self._fd).st_size
        *lines, rest = os.pread(self._fd, size - self._at, self._at).split(b"\n")
        self._at = size - len(rest)
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and isinstance(entry.get("message"), str):
                yield entry

    def tail(self) -> str:
        size = os.fstat(self._fd).st_size
        return os.pread(self._fd, 2000, max(0, size - 2000)).decode(errors="replace").strip()


@dataclass
class State:
    """How far the loop has got, and what the process has said. Times of day are those of `time.monotonic`."""

    start_s: float = 0.0
    end_s: float = math.inf
    """The stretch of each source that is asked for."""
    sources: int = 1
    durations_s: dict[str, float] = field(default_factory=dict)
    source: str = ""
    sources_seen: int = 0
    position_s: float = 0.0
    clips: int = 0
    failed: int = 0
    media_s: float = 0.0
    message: str = ""
    warning: str = ""
    building_since_s: float | None = None
    """Since when the process only builds engines for later runs."""
    began_s: float = field(default_factory=time.monotonic)
    received_s: float = 0.0
    """When the newest record arrived."""
    first: "State | None" = None
    """The state after the first record. Rates are measured from it, since it came after a start-up."""

    def heard(self, entry: dict[str, Any]) -> None:
        """Take over one line of the log."""
        if entry["message"] == "progress":
            if _is_number(entry.get("duration_s")):
                self.durations_s[str(entry.get("source"))] = entry["duration_s"]
            self.sources = entry["sources"] if _is_number(entry.get("sources")) else self.sources
        elif entry.get("level") == "warning":
            self.warning = _short(entry["message"])
        elif entry["message"] == STILL_BUILDING:
            self.building_since_s = time.monotonic()
        elif entry["message"] != "account":
            self.message = _short(entry["message"])

    def received(self, record: _records.ClipRecord, now_s: float) -> None:
        """Count one record."""
        if record.source != self.source:
            self.source, self.position_s = record.source, 0.0
            self.sources_seen += 1
        self.position_s = max(self.position_s, record.end_s)
        self.clips += record.is_result
        self.failed += record.error is not None
        self.media_s += record.end_s - record.start_s
        self.received_s = now_s
        self.first = self.first or replace(self)

    @property
    def last_s(self) -> float | None:
        """Where the current source ends, or the stretch of it; None if that is unknown."""
        last_s = min(self.durations_s.get(self.source, math.inf), self.end_s)
        return None if last_s == math.inf else last_s

    @property
    def share(self) -> float | None:
        """How much of all sources is done, in [0, 1]; None if it is unknown."""
        last_s = self.last_s
        known = last_s is not None and last_s > self.start_s
        if not known and self.sources_seen < 2:
            return None
        of_source = (self.position_s - self.start_s) / (last_s - self.start_s) if known and last_s else 0.0
        done = max(0, self.sources_seen - 1) + min(1.0, max(0.0, of_source))
        return min(1.0, done / max(1, self.sources, self.sources_seen))

    @property
    def x_real_time(self) -> float | None:
        """Seconds of media per second since the first record."""
        took_s = self.received_s - self.first.received_s if self.first else 0.0
        return (self.media_s - self.first.media_s) / took_s if self.first and took_s > 0 else None

    def left_s(self, now_s: float) -> float | None:
        """Time to the end at the rate since the first record."""
        share, first = self.share, replace(self.first, sources=self.sources) if self.first else None
        if share is None or first is None or share <= (first.share or 0.0):
            return None
        took_s, made = self.received_s - first.received_s, share - (first.share or 0.0)
        return max(0.0, took_s / made * (1 - share) - (now_s - self.received_s))

    def text(self, now_s: float) -> str:
        """`talk.mp4 2/5 · 0:12 of 1:30 · 6.2× real time · 0:20 left`"""
        if self.building_since_s is not None:
            return f"all results are there · building engines for later runs, {now_s - self.building_since_s:.0f} s"
        if not self.sources_seen:
            return f"starting, {now_s - self.began_s:.0f} s{': ' if self.message else ''}{self.message}"
        count = f" {self.sources_seen}/{self.sources}" if self.sources > 1 else ""
        last_s, left_s, rate = self.last_s, self.left_s(now_s), self.x_real_time
        parts = [
            PurePath(self.source).name + count,
            _clock(self.position_s) + (f" of {_clock(last_s)}" if last_s else ""),
            f"{rate:.1f}× real time" if rate else "",
            f"{_clock(left_s)} left" if left_s is not None else "",
            f"{self.failed} failed" if self.failed else "",
        ]
        return " · ".join(filter(None, parts))

    def closing_text(self, outcome: str, now_s: float) -> str:
        """`finished: 45 clips, 1:30 of media in 0:15`"""
        failed = f", {self.failed} failed" if self.failed else ""
        clips = f"{self.clips} clip{'s' * (self.clips != 1)}"
        return f"{outcome}: {clips}{failed}, {_clock(self.media_s)} of media in {_clock(now_s - self.began_s)}"


class Unshown:
    """Says nothing of a run, except why its loop does not end yet when all results are there. A context."""

    def __init__(self, log: IO[bytes]) -> None:
        self._log, self._state, self._has_told = Log(log), State(), False

    def __enter__(self) -> "Unshown":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def add(self, record: _records.ClipRecord) -> None:
        pass

    def update(self, waits: bool) -> None:
        for entry in self._log.read() if waits else ():
            self._state.heard(entry)
        if self._state.building_since_s is not None and not self._has_told:
            self._has_told = True
            logging.getLogger("percept").warning(_BUILDS)


class Shown:
    """Keeps a view in step with a run. A context: at its end, the view says how the run ended."""

    def __init__(self, view: View, log: IO[bytes], start_s: float = 0.0, end_s: float = math.inf) -> None:
        self._view, self._log, self._state = view, Log(log), State(start_s, end_s)

    def __enter__(self) -> "Shown":
        self.update()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        for entry in self._log.read():
            self._state.heard(entry)
        stopped = kind is not None and issubclass(kind, GeneratorExit | KeyboardInterrupt)
        outcome = "finished" if kind is None else "stopped" if stopped else "failed"
        share = 1.0 if kind is None else self._state.share
        text = self._state.closing_text(outcome, time.monotonic())
        self._view.show(text, share, self._state.warning, last=True)

    def add(self, record: _records.ClipRecord) -> None:
        self._state.received(record, time.monotonic())

    def update(self, waits: bool = False) -> None:
        """Show the newest state, whether or not the loop waits. The view decides how often."""
        for entry in self._log.read():
            self._state.heard(entry)
        self._view.show(self._state.text(time.monotonic()), self._state.share, self._state.warning)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _clock(seconds: float) -> str:
    """`1:02` or `1:02:03`, whole seconds."""
    return str(ours("result").clock_text(int(seconds)))


def seconds(time: float | str | None, otherwise: float) -> float:
    """`90`, `1:30` or `00:01:30.5`; `otherwise` for what is not a time, which the command reports."""
    try:
        parts = map(float, reversed(str(time).split(":")))
        return sum(part * 60.0**power for power, part in enumerate(parts))
    except ValueError:
        return otherwise


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
