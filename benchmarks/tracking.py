"""How well does `track` join given detections into tracks? MOTA and IDF1, compared with a plain overlap tracker.

python -m benchmarks.tracking [--data ../shared/data/tracking]

Public detections with ground truth: MOT15 TUD-Stadtmitte (pedestrians, 25 frames/s), KITTI training sequences (cars and
pedestrians from a moving car, 10 frames/s). Both trackers get the same boxes. No appearance is used.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import report
from pipeline.arrays import Array
from stages.boxes import box_iou
from stages.track.association import FORBIDDEN, assign, match
from stages.track.motion_model import MotionOptions
from stages.track.state import TrackState
from stages.track.tracker import Detection, TrackerOptions, step

Frames = dict[int, dict[int, Array]]
"""Frame -> identity -> box x0 y0 x1 y1, in pixels."""
Detections = dict[int, list[tuple[Array, float]]]
Follow = Callable[[Detections, float], Frames]

LEAST_IOU = 0.5
"""Overlap from which a tracked box counts as a true box, as usual for MOT15 and KITTI."""


def read_rows(path: Path) -> Array:
    """Rows of a file in MOT format: frame, identity, left, top, width, height, ..."""
    rows: Array = np.loadtxt(path, delimiter=",", ndmin=2)
    return rows


def corners(row: Array) -> Array:
    return np.array([row[2], row[3], row[2] + row[4], row[3] + row[5]])


def read_truth(path: Path) -> Frames:
    frames: Frames = defaultdict(dict)
    for row in read_rows(path):
        if row[6] > 0:
            frames[int(row[0])][int(row[1])] = corners(row)
    return frames


def read_detections(path: Path, score: Callable[[float], float]) -> Detections:
    found: Detections = defaultdict(list)
    for row in read_rows(path):
        found[int(row[0])].append((corners(row), score(float(row[6]))))
    return found


DEFAULT = TrackerOptions()
"""For boxes found from motion: their size varies, and some cover only parts of objects."""
TIGHT = TrackerOptions(cover=1.0, gate=3.0, reach=1.0, most_cost=0.8, motion=MotionOptions(place=0.07, extent=0.15))
"""For tight boxes around whole objects from a trained detector, as here."""


def ours(found: Detections, rate_hz: float, options: TrackerOptions = TIGHT) -> Frames:
    """The tracks of `track` without appearance."""
    state, frames = TrackState(), {}
    for frame in sorted(found):
        detections = [Detection(tuple(box.tolist()), score) for box, score in found[frame]]
        state, sightings = step(state, int(frame / rate_hz * 1e9), detections, options)
        frames[frame] = {seen.id: np.array(seen.box) for seen in sightings}
    return frames


def overlap_only(found: Detections, rate_hz: float) -> Frames:
    """Join strong boxes to the tracks whose last box they overlap most (IoU > 0.3); tracks live one second unseen.

    A track is reported from its third box on, like ours.
    """
    last: dict[int, tuple[int, Array]] = {}
    hits: dict[int, int] = defaultdict(int)
    frames: Frames = {}
    for frame in sorted(found):
        last = {id: seen for id, seen in last.items() if frame - seen[0] <= rate_hz}
        ids = list(last)
        boxes = [box for box, score in found[frame] if score >= TrackerOptions().high_score]
        iou = box_iou(np.reshape([last[id][1] for id in ids], (-1, 4)), np.reshape(boxes, (-1, 4)))
        owner = {column: ids[row] for row, column in match(1 - iou, 0.7)}
        for column, box in enumerate(boxes):
            id = owner.get(column) or len(hits) + 1
            hits[id] += 1
            last[id] = frame, box
        frames[frame] = {id: box for id, (when, box) in last.items() if when == frame and hits[id] >= 3}
    return frames


FOLLOWERS: dict[str, Follow] = {
    "ours": ours,
    "ours, default": partial(ours, options=DEFAULT),
    "overlap only": overlap_only,
}


def clear_mot(truth: Frames, tracked: Frames) -> dict[str, int]:
    """Misses, false alarms and switches (CLEAR MOT, Bernardin and Stiefelhagen 2008); matches are kept while valid."""
    counts = {"objects": 0, "misses": 0, "false": 0, "switches": 0}
    partner: dict[int, int] = {}
    for frame in sorted(set(truth) | set(tracked)):
        real, made = truth.get(frame, {}), tracked.get(frame, {})
        reals, mades = list(real), list(made)
        iou = box_iou(np.reshape(list(real.values()), (-1, 4)), np.reshape(list(made.values()), (-1, 4)))
        kept = [
            (reals.index(r), mades.index(m))
            for r, m in partner.items()
            if r in real and m in made and iou[reals.index(r), mades.index(m)] >= LEAST_IOU
        ]
        free = 1 - iou
        for i, j in kept:
            free[i, :] = free[:, j] = FORBIDDEN
        pairs = kept + match(free, 1 - LEAST_IOU)
        for i, j in pairs:
            counts["switches"] += partner.get(reals[i], mades[j]) != mades[j]
            partner = {r: m for r, m in partner.items() if m != mades[j]} | {reals[i]: mades[j]}
        counts["objects"] += len(real)
        counts["misses"] += len(real) - len(pairs)
        counts["false"] += len(made) - len(pairs)
    return counts


def identity_matches(truth: Frames, tracked: Frames) -> tuple[int, int, int]:
    """True identity matches, true boxes, tracked boxes (Ristani et al. 2016): IDF1 = 2 * first / (second + third)."""
    together: dict[tuple[int, int], int] = defaultdict(int)
    for frame, real in truth.items():
        made = tracked.get(frame, {})
        iou = box_iou(np.reshape(list(real.values()), (-1, 4)), np.reshape(list(made.values()), (-1, 4)))
        for i, j in np.argwhere(iou >= LEAST_IOU):
            together[list(real)[i], list(made)[j]] += 1
    reals, mades = sorted({r for r, _ in together}), sorted({m for _, m in together})
    gain = np.zeros((max(len(reals), len(mades)),) * 2)
    for (r, m), count in together.items():
        gain[reals.index(r), mades.index(m)] = count
    hits = int(sum(gain[i, j] for i, j in enumerate(assign(-gain))))
    return hits, sum(map(len, truth.values())), sum(map(len, tracked.values()))


def scored(runs: Iterable[tuple[Frames, Frames]]) -> dict[str, float]:
    """MOTA, IDF1 and recall in percent, and identity switches, over all sequences together."""
    total: dict[str, int] = defaultdict(int)
    for truth, tracked in runs:
        for name, count in clear_mot(truth, tracked).items():
            total[name] += count
        for name, count in zip(("idtp", "real", "made"), identity_matches(truth, tracked), strict=True):
            total[name] += count
    errors = total["misses"] + total["false"] + total["switches"]
    return {
        "mota": round(100 * (1 - errors / max(total["objects"], 1)), 1),
        "idf1": round(200 * total["idtp"] / max(total["real"] + total["made"], 1), 1),
        "switches": total["switches"],
        "recall": round(100 * (1 - total["misses"] / max(total["objects"], 1)), 1),
    }


def sequences(data: Path) -> dict[str, list[tuple[Frames, Detections, float]]]:
    """Truth, detections and frame rate by set."""
    tud = data / "TUD-Stadtmitte" / "gt.txt", data / "mot15" / "TUD-Stadtmitte" / "det" / "det.txt"
    sets = {"TUD-Stadtmitte": [(read_truth(tud[0]), read_detections(tud[1], lambda score: score), 25.0)]}
    for kind in ("Car", "Pedestrian"):
        sets[f"KITTI {kind}"] = [
            # PointRCNN scores are logits; a score of about 2 separates true from false boxes
            (read_truth(f / "gt.txt"), read_detections(f / "det.txt", lambda s: 1 / (1 + np.exp(2.0 - s))), 10.0)
            for f in sorted((data / "kitti").glob(f"*-{kind}"))
        ]
    return sets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared/data/tracking")
    options = parser.parse_args()
    given = scored([(read_truth(options.data / "TUD-Stadtmitte/gt.txt"), read_truth_of_tracker(options.data))])
    print(f"check of the metrics, on the tracker output that comes with TUD-Stadtmitte: {given}")
    results: dict[str, dict[str, dict[str, float]]] = {}
    for name, runs in sequences(options.data).items():
        results[name] = {}
        for label, follow in FOLLOWERS.items():
            results[name][label] = scored((truth, follow(found, rate_hz)) for truth, found, rate_hz in runs)
            print(f"{name:16} {label:14} {results[name][label]}")
    report.write("tracking", {"measure_check": given, **results})


def read_truth_of_tracker(data: Path) -> Frames:
    frames: Frames = defaultdict(dict)
    for row in read_rows(data / "TUD-Stadtmitte" / "test.txt"):
        frames[int(row[0])][int(row[1])] = corners(row)
    return frames


if __name__ == "__main__":
    main()
