"""What the faults of `benchmarks.watch_faults` share: a farm, a watch, and the time until it is well again."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.farm import Farm, clips_in, prepared
from benchmarks.watched import Line, Watched, end_of, is_result

WORDS = ["dog", "person", "car", "applause", "music", "rain"]


@dataclass
class Found:
    """What came of a fault."""

    recovery_s: float | None = None
    """From the end of the fault to the first result after it, unless `text` says otherwise. None: never."""
    ok: bool = False
    text: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass
class Bench:
    """Where faults are tried."""

    folder: Path
    clips: str
    """Folder of real clips; empty: the bundled sample."""
    kills: int = 200
    minutes: float = 10.0

    def cameras(self, count: int) -> dict[str, Path]:
        return prepared(count, self.clips)

    def clip(self, number: int) -> Path:
        return clips_in(self.clips)[number]

    @contextlib.contextmanager
    def watching(
        self, farm: Farm, names: Sequence[str], shared: Mapping[str, Any] | None = None, wait: bool = True
    ) -> Iterator[Watched]:
        """A watch over cameras of a farm, which all have given a result. `shared`: settings of all cameras."""
        entries = [{"name": name, "url": farm.url(name)} for name in names]
        with self.watch({"labels": WORDS, **dict(shared or {}), "cameras": entries}) as watch:
            if wait:
                watch.wait_for(names, 90)
                watch.follow(5)
            yield watch

    @contextlib.contextmanager
    def watch(self, settings: Mapping[str, Any]) -> Iterator[Watched]:
        folder = self.folder / f"watch-{time.monotonic_ns()}"
        with Watched(folder, settings) as watch:
            yield watch


def until(
    watch: Watched, right: Callable[[Line], bool], timeout_s: float, cameras: Sequence[str] = ()
) -> tuple[float, Line] | None:
    """The first record that is right, and the Unix time at which it was seen; with cameras, the last of the first ones.

    None if there is none in time.
    """
    missing, ends_s = set(cameras), time.monotonic() + timeout_s
    while time.monotonic() < ends_s:
        for at_s, line in watch.poll():
            if not right(line):
                continue
            missing.discard(line["source"])
            if not missing:
                return at_s, line
        time.sleep(0.05)
    return None


def fresh(since_s: float, most_age_s: float = 5.0) -> Callable[[Line], bool]:
    """Whether a record is a result of media that was captured after an instant, and is not old."""

    def right(line: Line) -> bool:
        return is_result(line) and since_s < end_of(line) and time.time() - end_of(line) < most_age_s

    return right


def recovered(watch: Watched, since_s: float, cameras: Sequence[str], timeout_s: float) -> float | None:
    """Seconds from an instant to fresh results of all cameras."""
    found = until(watch, fresh(since_s), timeout_s, cameras)
    return None if found is None else found[0] - since_s


def accounted(lines: Sequence[Line]) -> dict[str, Any]:
    """Whether every clip of every camera is in the records exactly once: counts, and what is missing or doubled."""
    indices: dict[str, list[int]] = {}
    for line in lines:
        if line["clip"] >= 0:
            indices.setdefault(line["source"], []).append(line["clip"])
    missing = {name: sorted({*range(max(each) + 1)} - {*each}) for name, each in indices.items()}
    doubled = {name: sorted({number for number in each if each.count(number) > 1}) for name, each in indices.items()}
    clips = [line for line in lines if line["clip"] >= 0]
    return {
        "clips": len(clips),
        "results": sum(map(is_result, clips)),
        "errors": sum(bool(line.get("error")) for line in clips),
        "drops": sum(bool(line.get("dropped")) for line in clips),
        "missing": {name: numbers for name, numbers in missing.items() if numbers},
        "doubled": {name: numbers for name, numbers in doubled.items() if numbers},
    }


def longest_silence_s(seen: Sequence[tuple[float, Line]], camera: str) -> float:
    """The longest time between two results of a camera."""
    times = [at_s for at_s, line in seen if line["source"] == camera and is_result(line)]
    return max((b - a for a, b in pairwise(times)), default=float("inf"))
