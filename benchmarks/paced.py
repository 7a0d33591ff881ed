"""Readers and a stage for benchmarks: a source at real-time speed, a source without decoding cost, and a clock.

A config names them: `[decode] factory = "benchmarks.paced:make_paced_reader"`. Their settings are in files next to the
source, because a reader has no options of its own.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from pipeline.arrays import Spec
from pipeline.clip import Clip, DecodedClip, Gap, SourceInfo
from pipeline.stage import Outputs, Resources, Stage, StageOptions
from stages.decode.reader import Reader, ReaderOptions, make_reader

GO = "go"
"""File next to a paced source: the start time (monotonic, ns). Sources wait until it exists."""
CLIPS = "clips"
"""File next to a repeated source: the number of clips to yield."""
STAMPS = "stamps"
"""File next to paced sources that `Stamp` writes to."""
TIMES = ("frame_times_ns", "previous_time_ns", "audio_start_ns")


def due_ns(go_ns: int, source_index: int, clip_ns: int, since_first_ns: int) -> int:
    """When a live source would have a complete clip that ends `since_first_ns` after the first clip's end.

    Sources do not start at the same time: each is shifted by a different part of a clip.
    """
    return go_ns + int(source_index * 0.618 % 1 * clip_ns) + since_first_ns


class WrappedReader(Reader):
    """A reader that yields another reader's clips in a different way."""

    def __init__(self, source: str, source_index: int, options: ReaderOptions) -> None:
        super().__init__(source, source_index, options)
        self._inner = make_reader(source, source_index, options)

    def open(self) -> SourceInfo:
        self._inner.alive = self.alive
        return self._inner.open()

    def close(self) -> None:
        self._inner.close()


class PacedReader(WrappedReader):
    """Yields the first clip at once, for warming up, and the others when a live source would have them."""

    def clips(self, start_index: int = 0) -> Iterator[DecodedClip | Gap]:
        first_end_ns: int | None = None
        for item in self._inner.clips(start_index):
            if isinstance(item, DecodedClip):
                if first_end_ns is None:
                    first_end_ns = item.info.end_ns
                else:
                    since_first_ns = item.info.end_ns - first_end_ns
                    self._wait_until(due_ns(self._go_ns(), self.source_index, self.options.clip_ns, since_first_ns))
            yield item

    def _go_ns(self) -> int:
        path = Path(self.source).with_name(GO)
        while not path.exists():
            self.alive()
            time.sleep(0.05)
        return int(path.read_text())

    def _wait_until(self, when_ns: int) -> None:
        while (left_ns := when_ns - time.monotonic_ns()) > 0:
            self.alive()
            time.sleep(min(left_ns / 1e9, 0.5))


class RepeatingReader(WrappedReader):
    """Repeats the clips of a short source as if it were long; they are decoded only once."""

    def clips(self, start_index: int = 0) -> Iterator[DecodedClip | Gap]:
        decoded = [item for item in self._inner.clips() if isinstance(item, DecodedClip)]
        whole = [item for item in decoded if item.info.end_ns - item.info.start_ns == self.options.clip_ns] or decoded
        for index in range(start_index, int(Path(self.source).with_name(CLIPS).read_text())):
            yield moved(whole[index % len(whole)], index, index * self.options.stride_ns)


def moved(clip: DecodedClip, index: int, start_ns: int) -> DecodedClip:
    """The same clip at another place in its source."""
    shift = start_ns - clip.info.start_ns
    info = msgspec.structs.replace(clip.info, index=index, start_ns=start_ns, end_ns=clip.info.end_ns + shift)
    arrays = {name: array + shift if name in TIMES else array for name, array in clip.arrays.items()}
    return replace(clip, info=info, arrays=arrays)


def make_paced_reader(source: str, source_index: int, options: ReaderOptions) -> Reader:
    return PacedReader(source, source_index, options)


def make_repeating_reader(source: str, source_index: int, options: ReaderOptions) -> Reader:
    return RepeatingReader(source, source_index, options)


class Stamp(Stage):
    """Records when a clip's labels are available: one line `source_index index end_ns monotonic_ns` per clip."""

    required = ("labels",)

    class Options(StageOptions):
        path: str = ""

    def gives(self) -> dict[str, Spec]:
        return {}

    def open(self, resources: Resources) -> None:
        assert isinstance(self.options, self.Options)
        self._file = os.open(self.options.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def process(self, clip: Clip) -> Outputs:
        info: Any = clip.info
        os.write(self._file, b"%d %d %d %d\n" % (info.source_index, info.index, info.end_ns, time.monotonic_ns()))
        return {}

    def close(self) -> None:
        os.close(self._file)


def stamps(folder: Path) -> list[tuple[int, ...]]:
    """(source_index, index, end_ns, monotonic_ns) of every clip so far."""
    path = folder / STAMPS
    text = path.read_text() if path.exists() else ""
    return [tuple(map(int, line.split())) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def note_lines(stream: Any, first: str, lines: list[tuple[float, int]]) -> None:
    """Append (end_s, arrival time in monotonic ns) of every clip of the source `first` to `lines`."""
    for line in stream:
        record = json.loads(line)
        if record.get("clip", -1) >= 0 and record["source"] == first:
            lines.append((record["end_s"], time.monotonic_ns()))


def latencies(rows: list[tuple[int, ...]], lines: list[tuple[float, int]], go_ns: int) -> dict[str, float]:
    """Percentiles in milliseconds, without the first clip of each source, which is the warm-up."""
    first_end_ns = {source: end_ns for source, index, end_ns, _ in rows if index == 0}
    clip_ns = max(first_end_ns.values())
    labelled = [
        now_ns - due_ns(go_ns, source, clip_ns, end_ns - first_end_ns[source])
        for source, index, end_ns, now_ns in rows
        if index > 0
    ]
    written = [now_ns - due_ns(go_ns, 0, clip_ns, round(end_s * 1e9) - first_end_ns[0]) for end_s, now_ns in lines[1:]]
    return {"clips": len(labelled)} | percentiles("labels", labelled) | percentiles("written", written)


def percentiles(name: str, values_ns: list[int]) -> dict[str, float]:
    ranked = sorted(values_ns)
    return {
        f"{name}_p{percent}_ms": round(ranked[min(len(ranked) - 1, len(ranked) * percent // 100)] / 1e6, 1)
        for percent in (50, 99)
    }
