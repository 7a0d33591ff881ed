"""Both sides of `benchmarks.watch` on one farm: `percept watch`, and the plain script. Each gives an `Outcome`."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.farm import Farm
from benchmarks.process_tree import Sample, TreeSampler, cores_used, growth
from benchmarks.slope import percentile, slope
from benchmarks.watched import Watched, end_of, is_result, toml
from pipeline.config import BUNDLED

CLIP_S = 2.0


@dataclass
class Seen:
    """A result as it was seen from outside."""

    camera: str
    at_s: float
    """Unix time."""
    age_s: float
    """Time of the result minus capture time of the clip's end."""


@dataclass
class Outcome:
    """What one side did with a farm, without its first seconds."""

    side: str
    cameras: int
    seconds: float
    results: int = 0
    share_kept: float = 0.0
    """Clips with an answer, of all clips of all cameras in that time."""
    least_kept: float = 0.0
    """The same for the camera that has the fewest."""
    age_p50_s: float = 0.0
    age_p99_s: float = 0.0
    age_p99_of_still_s: float = 0.0
    age_slope_s_per_minute: dict[str, float] = field(default_factory=dict)
    drops: dict[str, int] = field(default_factory=dict)
    drops_of_still: int = 0
    errors: int = 0
    reused: int = 0
    cores: float = 0.0
    farm_cores: float = 0.0
    memory_mb: float = 0.0
    memory_slope_mb_per_minute: dict[str, float] = field(default_factory=dict)
    note: str = ""

    def keeps(self, age_s: float) -> bool:
        """Whether it keeps up: answers are younger than `age_s`, and nearly every clip of every camera has one."""
        return self.age_p99_s < age_s and self.share_kept >= 0.99 and self.least_kept >= 0.95

    def plain(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value not in ({}, "")}


def summed_up(side: str, cameras: list[str], seen: list[Seen], seconds: float) -> Outcome:
    """The figures of the results that were seen within some seconds."""
    outcome = Outcome(side, len(cameras), seconds, results=len(seen))
    ages = [each.age_s for each in seen]
    counts = Counter(each.camera for each in seen)
    expected = seconds / CLIP_S
    outcome.share_kept = min(1.0, len(seen) / (expected * len(cameras)))
    outcome.least_kept = min(1.0, min(counts[name] for name in cameras) / (expected - 1))
    outcome.age_p50_s, outcome.age_p99_s = percentile(ages, 50), percentile(ages, 99)
    outcome.age_p99_of_still_s = percentile([each.age_s for each in seen if each.camera.startswith("still")], 99)
    with contextlib.suppress(ValueError):
        outcome.age_slope_s_per_minute = slope([each.at_s for each in seen], ages)
    return outcome


def add_use(outcome: Outcome, ours: list[Sample], farm: list[Sample], from_s: float) -> None:
    """CPU and memory from an instant on the monotonic clock on."""
    outcome.cores, outcome.farm_cores = cores_used(ours, from_s), cores_used(farm, from_s)
    inside = [each.memory_mb for each in ours if each.at_s >= from_s]
    outcome.memory_mb = max(inside, default=0.0)
    outcome.memory_slope_mb_per_minute = growth(ours, "memory_mb", from_s)


def labels_only(folder: Path) -> list[str]:
    """Options of a watch that neither detects nor tracks."""
    config = tomllib.loads((BUNDLED / "watch.toml").read_text())
    for group in config["groups"]:
        group["stages"] = [name for name in group["stages"] if name not in ("detect", "track")]
    config["groups"] = [group for group in config["groups"] if group["stages"]]
    path = folder / "labels-only.toml"
    path.write_text(toml(config))
    return ["-c", str(path)]


def percept_side(
    farm: Farm, cameras: list[str], words: str, seconds: float, warm_up_s: float, folder: Path, with_tracks: bool
) -> Outcome:
    """`percept watch` with default settings."""
    options = [] if with_tracks else labels_only(folder)
    entries = [{"name": name, "url": farm.url(name)} for name in cameras]
    settings = {"labels": words.split(", "), "cameras": entries}
    with (
        Watched(folder, settings, options) as watch,
        TreeSampler(watch.pid) as ours,
        TreeSampler(farm.pid) as theirs,
    ):
        watch.wait_for(cameras, 120 + 5 * len(cameras))
        watch.follow(warm_up_s)
        from_s = time.monotonic()
        rows = watch.follow(seconds)
    clips = [(at_s, line) for at_s, line in rows if line["clip"] >= 0]
    seen = [Seen(line["source"], at_s, at_s - end_of(line)) for at_s, line in clips if is_result(line)]
    outcome = summed_up("percept", cameras, seen, seconds)
    dropped = [line for _, line in clips if line.get("dropped")]
    outcome.drops = dict(Counter(str(line["dropped"]) for line in dropped))
    outcome.drops_of_still = sum(line["source"].startswith("still") for line in dropped)
    outcome.errors = sum(bool(line.get("error")) for _, line in clips)
    outcome.reused = sum(bool(line.get("reused")) for _, line in clips)
    told = [line["age_s"] for _, line in clips if is_result(line) and "age_s" in line]
    outcome.note = f"p99 as the records tell it: {percentile(told, 99):.2f} s"
    add_use(outcome, ours.samples, theirs.samples, from_s)
    return outcome


def plain_side(
    farm: Farm, cameras: list[str], words: str, seconds: float, warm_up_s: float, with_tracks: bool
) -> Outcome:
    """The script `benchmarks.plain_watch`."""
    command = [sys.executable, "-m", "benchmarks.plain_watch", *map(farm.url, cameras), "--labels", words]
    command += ["--seconds", str(seconds + warm_up_s + 300), *(["--tracks"] if with_tracks else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        try:
            with TreeSampler(process.pid) as ours, TreeSampler(farm.pid) as theirs:
                missing = set(cameras)
                for _, line in _lines(process, time.monotonic() + 120 + 5 * len(cameras)):
                    missing.discard(line.get("camera", ""))
                    if not missing:
                        break
                list(_lines(process, time.monotonic() + warm_up_s))
                from_s = time.monotonic()
                rows = list(_lines(process, from_s + seconds))
        finally:
            process.kill()
    seen = [Seen(line["camera"], at_s, line["age_s"]) for at_s, line in rows if "camera" in line]
    outcome = summed_up("plain script", cameras, seen, seconds)
    outcome.errors = sum("failed" in line for _, line in rows)
    if missing:
        outcome.note = f"never gave a result: {', '.join(sorted(missing))}"
    add_use(outcome, ours.samples, theirs.samples, from_s)
    return outcome


def _lines(process: subprocess.Popen[bytes], until_s: float) -> Iterator[tuple[float, dict[str, Any]]]:
    """JSON lines of a process with the Unix time at which each came, until an instant on the monotonic clock."""
    assert process.stdout is not None
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left_s := until_s - time.monotonic()) > 0:
            if not selector.select(min(left_s, 0.5)):
                continue
            data = os.read(process.stdout.fileno(), 1 << 16)
            if not data:
                raise SystemExit(f"the plain script ended by itself with {process.wait(timeout=20)}")
            *whole, rest = (rest + data).split(b"\n")
            now_s = time.time()
            for line in whole:
                yield now_s, json.loads(line)
