"""How well does `track` join given detections into tracks? HOTA, MOTA and IDF1, beside other trackers.

    python -m benchmarks.tracking [DATA] [--fps 8] [--drop 0.3] [--only REGEX] [--json FILE|-]

DATA is searched for folders with gt.txt and det.txt in MOT format; the detections of MOT15 may also lie in
mot15/NAME/det/det.txt beside the folder. Sequences called NNNN-Kind are the set "Kind" at 10 frames a second, every
other one is a set of its own at 25. All trackers get the same boxes, and no pictures; ours gets clips of 2 s.

With --fps, the frame nearest to each tick is kept, so steps are uneven where the rate does not divide. --drop leaves
out this share of the frames by chance. Frames that are left out are not scored.

SORT, ByteTrack, OC-SORT and C-BIoU run in the same call if the package `trackers` is installed
(pip install trackers==2.6.1).

Our options for boxes of a network were chosen on KITTI's sequences 0000 to 0010; the line "Car, reported" is of the
others alone.
"""

import argparse
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.track_metrics import Frames, Tally
from pipeline.arrays import Array
from stages.boxes import BoxKind
from stages.track.costs import Detection
from stages.track.options import NETWORK, TrackerOptions
from stages.track.paths import follow
from stages.track.state import TrackState

CLIP_S = 2.0
CHOSEN_ON = re.compile(r"00(0\d|10)-")
PEERS = ("SORTTracker", "ByteTrackTracker", "OCSORTTracker", "CBIoUTracker")

Follow = Callable[[Sequence[float], Sequence[Array], float], list[Array]]
"""(times_s, detections "N 5" of each frame: box and score, frames per second) -> "M 5" of each: id and box."""


@dataclass(frozen=True)
class Recording:
    name: str
    set: str
    rate_hz: float
    truth: Frames
    found: dict[int, Array]
    """Frame -> "N 5": box and score in [0, 1]."""
    last: int


def rows_of(path: Path) -> tuple[Array, Array]:
    """Rows of a file in MOT format (frame, identity, left, top, width, height, ...), and boxes x0 y0 x1 y1."""
    rows: Array = np.loadtxt(path, delimiter=",", ndmin=2)
    boxes = rows[:, 2:6].copy()
    boxes[:, 2:] += boxes[:, :2]
    return rows, boxes


def read_tracks(path: Path) -> dict[int, dict[int, Array]]:
    """Rows whose 7th value is 0 are not counted."""
    frames: dict[int, dict[int, Array]] = defaultdict(dict)
    for row, box in zip(*rows_of(path), strict=True):
        if row[6] > 0:
            frames[int(row[0])][int(row[1])] = box
    return frames


def read_detections(path: Path) -> dict[int, Array]:
    """Scores outside [0, 1] are taken for log-odds, of which about 2 separates true from false boxes (PointRCNN)."""
    rows, boxes = rows_of(path)
    scores = rows[:, 6]
    if scores.min() < 0 or scores.max() > 1:
        scores = 1 / (1 + np.exp(2.0 - scores))
    whole = np.column_stack([boxes, scores])
    return {int(frame): whole[rows[:, 0] == frame] for frame in np.unique(rows[:, 0])}


def sequences(data: Path, only: str = "") -> Iterator[Recording]:
    for truth in sorted(data.rglob("gt.txt")):
        home = truth.parent
        mot15 = home.parent / "mot15" / home.name / "det" / "det.txt"
        kind = re.fullmatch(r"\d+-(\w+)", home.name)
        for detections, suffix in ((home / "det.txt", ""), (mot15, ", MOT15's boxes")):
            if detections.is_file() and re.search(only, home.name):
                real, found = read_tracks(truth), read_detections(detections)
                name = (kind[1] if kind else home.name) + suffix
                yield Recording(home.name, name, 10.0 if kind else 25.0, real, found, max(*real, *found))


def kept_frames(sequence: Recording, fps: float, drop: float, seed: int) -> Array:
    frames = np.arange(1, sequence.last + 1)
    if fps and fps < sequence.rate_hz:
        ticks = np.arange(0, sequence.last / sequence.rate_hz, 1 / fps) * sequence.rate_hz
        nearest = np.floor(ticks + 0.5).astype(int) + 1
        frames = np.unique(nearest[nearest <= sequence.last])
    if drop:
        frames = frames[np.random.default_rng(seed).random(len(frames)) >= drop]
    return frames


def ours(times_s: Sequence[float], found: Sequence[Array], rate_hz: float) -> list[Array]:
    """`track` on clips of 2 s, with boxes of a network, without appearance."""
    options, state = {BoxKind.NETWORK: NETWORK, BoxKind.MOTION: TrackerOptions()}, TrackState()
    made: dict[int, list[tuple[float, ...]]] = {round(time_s * 1e9): [] for time_s in times_s}
    clip_of = np.floor(np.asarray(times_s) / CLIP_S + 1e-9)
    for clip in np.unique(clip_of):
        inside = np.flatnonzero(clip_of == clip).tolist()
        times_ns = [round(times_s[i] * 1e9) for i in inside]
        frames = [
            (time_ns, [Detection(tuple(row[:4]), row[4], kind=BoxKind.NETWORK) for row in found[i].tolist()])
            for i, time_ns in zip(inside, times_ns, strict=True)
        ]
        state, paths = follow(state, frames, times_ns, options)
        for path in paths:
            for place in path.places:
                made[place.time_ns].append((path.track.id, *place.box))
    return [np.reshape(rows, (-1, 5)) for rows in made.values()]


def peer(name: str) -> Follow:
    """A tracker of the package `trackers` at its defaults, given true times where it takes them."""

    def run(times_s: Sequence[float], found: Sequence[Array], rate_hz: float) -> list[Array]:
        import supervision
        import trackers

        made = getattr(trackers, name)
        try:
            tracker: Any = made(frame_rate=rate_hz)
        except TypeError:
            tracker = made()
        told = []
        for time_s, boxes in zip(times_s, found, strict=True):
            given = supervision.Detections(
                xyxy=boxes[:, :4].astype(np.float32),
                confidence=boxes[:, 4].astype(np.float32),
                class_id=np.zeros(len(boxes), int),
            )
            try:
                after = tracker.update(given, timestamp=time_s)
            except TypeError:
                after = tracker.update(given)
            ids = np.asarray(after.tracker_id if after.tracker_id is not None else [], int)
            told.append(np.column_stack([ids[ids >= 0], after.xyxy[: len(ids)][ids >= 0]]).reshape(-1, 5))
        return told

    return run


def run_all(data: Path, followers: dict[str, Follow], fps: float, drop: float, only: str) -> dict[str, Any]:
    """Figures by set and tracker. For KITTI also those of the sequences on which nothing was chosen."""
    tallies: dict[str, dict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))
    spent: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0]))
    for sequence in sequences(data, only):
        frames = kept_frames(sequence, fps, drop, seed=0).tolist()
        times_s = [(frame - 1) / sequence.rate_hz for frame in frames]
        found = [sequence.found.get(frame, np.zeros((0, 5))) for frame in frames]
        rate_hz = min(fps, sequence.rate_hz) if fps else sequence.rate_hz
        is_reported = re.match(r"\d{4}-", sequence.name) and not CHOSEN_ON.match(sequence.name)
        for name, run in followers.items():
            began = time.process_time()
            made = run(times_s, [boxes.copy() for boxes in found], rate_hz)
            seconds = time.process_time() - began
            tracked = {frame: {int(row[0]): row[1:] for row in rows} for frame, rows in zip(frames, made, strict=True)}
            for set in (sequence.set, f"{sequence.set}, reported")[: 1 + bool(is_reported)]:
                tallies[set][name].add(sequence.truth, tracked, frames)
                spent[set][name][0] += len(frames)
                spent[set][name][1] += seconds
    return {
        set: {
            name: tally.metrics() | {"frames_per_cpu_s": round(spent[set][name][0] / max(spent[set][name][1], 1e-9))}
            for name, tally in by_tracker.items()
        }
        for set, by_tracker in tallies.items()
    }


def told(results: dict[str, Any]) -> Iterator[str]:
    for set, by_tracker in results.items():
        for name, figures in by_tracker.items():
            values = "  ".join(
                f"{key} {value:.1f}" if isinstance(value, float) else f"{key} {value}" for key, value in figures.items()
            )
            yield f"{set:30} {name:18} {values}"


def check_of_metrics(data: Path) -> dict[str, float] | None:
    """Figures of the tracker output that comes with TUD-Stadtmitte. TrackEval: HOTA 39.785, MOTA 56.40, IDF1 64.46."""
    home = data / "TUD-Stadtmitte"
    if not (home / "test.txt").is_file():
        return None
    truth, tally = read_tracks(home / "gt.txt"), Tally()
    rows, boxes = rows_of(home / "test.txt")
    made: dict[int, dict[int, Array]] = defaultdict(dict)
    for row, box in zip(rows, boxes, strict=True):
        made[int(row[0])][int(row[1])] = box
    tally.add(truth, made, range(1, max(truth) + 1))
    return tally.metrics()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = Path(__file__).resolve().parents[2] / "shared/data/tracking"
    parser.add_argument("data", type=Path, nargs="?", default=usual)
    parser.add_argument("--fps", type=float, default=0.0, help="frames per second; 0: all")
    parser.add_argument("--drop", type=float, default=0.0, help="share of the frames left out by chance")
    parser.add_argument("--only", default="", help="regular expression on the names of sequences")
    parser.add_argument(
        "--json", nargs="?", const="-", default="", help="write the figures to this file, or print them"
    )
    options = parser.parse_args()
    followers: dict[str, Follow] = {"ours": ours}
    if find_spec("trackers") is not None:
        followers |= {name: peer(name) for name in PEERS}
    results = run_all(options.data, followers, options.fps, options.drop, options.only)
    if options.json == "-":
        print(json.dumps(results, indent=1))
        return
    print("\n".join(told(results)))
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    elif not (options.fps or options.drop or options.only):
        more = {
            name: run_all(options.data, followers, fps, drop, "-(Car|Pedestrian)$")
            for name, fps, drop in (("at 8 frames a second", 8.0, 0.0), ("30 % of frames missing", 0.0, 0.3))
        }
        for name, each in more.items():
            print(f"\n{name}", *told(each), sep="\n")
        report.write("tracking", {"measure_check": check_of_metrics(options.data), "native": results, **more})


if __name__ == "__main__":
    main()
