"""From pixels to tracks: `percept run --detector` beside the same network with ByteTrack, on one video with truth.

    python -m benchmarks.tracking_pixels DETECTOR.onnx [--video VIDEO --truth gt.txt] [--fps 8] [--json FILE|-]
    python -m benchmarks.tracking_pixels DETECTOR.onnx --pan 1.6 --pan 2.5 --pan 4

With `--pan`, a window pans over the video, there and back in so many seconds, and a second line has our tracker without
the camera's motion.

The truth is in MOT format at 25 frames a second, of people. Both sides see the same frames; only boxes that are called
"person" count. ByteTrack runs if the package `trackers` is installed. One short video: five points are noise.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.panned import pan
from benchmarks.track_metrics import Tally
from benchmarks.tracking import PEERS, peer, read_tracks
from pipeline.arrays import Array
from pipeline.stage import Resources, RunSettings
from stages.decode.reader import ReaderOptions, make_reader
from stages.detect.detectors import make_detector

RATE_HZ = 25.0
PERSON = "person"
Tracked = dict[int, dict[int, Array]]


def frame_at(time_s: float) -> int:
    return round(time_s * RATE_HZ) + 1


def ours(video: Path, detector: Path, fps: float, settings: list[str]) -> Tracked:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.jsonl"
        command = [
            sys.executable,
            "-c",
            "import percept; percept.main()",
            "run",
            str(video),
            "--detector",
            str(detector),
            "--fps",
            str(fps),
        ]
        command += [part for setting in settings for part in ("--set", setting)]
        subprocess.run([*command, "-o", str(out)], check=True, stderr=subprocess.DEVNULL)
        records = [json.loads(line) for line in out.read_text().splitlines()]
    tracked: Tracked = defaultdict(dict)
    for record in records:
        for track in record.get("tracks", ()):
            if track.get("label") == PERSON or track.get("kind") != "network":
                for time_s, *box in track["boxes"]:
                    tracked[frame_at(time_s)][track["id"]] = np.array(box)
    return tracked


def detections(video: Path, detector: Path, fps: float) -> Iterator[tuple[float, Array]]:
    """Time and boxes with scores "N 5" of the people in every frame, by the product's own reader and network."""
    run = RunSettings(threads=2, cache_directory=str(Path.home() / ".cache/percept"))
    network = make_detector(str(detector), "", 0.1, run)
    network.prepare(lambda line: None)
    network.open(Resources())
    options = ReaderOptions(modalities=("image",), frame_rate_hz=fps, short_side_px=network.short_side_px)
    reader = make_reader(str(video), 0, options)
    reader.open()
    for clip in reader.clips():
        frames, info = clip.arrays["frames"], clip.info
        scale = (info.width or frames.shape[2]) / frames.shape[2]
        for time_ns, found in zip(clip.arrays["frame_times_ns"], network.detect(list(frames)), strict=True):
            people = np.array([name == PERSON for name in found.names], bool)
            rows = np.column_stack([found.boxes * scale, found.scores])[people]
            yield float(time_ns) / 1e9, rows.reshape(-1, 5)
    reader.close()


def theirs(name: str, seen: list[tuple[float, Array]], fps: float) -> Tracked:
    times_s, boxes = [time_s for time_s, _ in seen], [rows for _, rows in seen]
    made = peer(name)(times_s, boxes, fps)
    return {
        frame_at(time_s): {int(row[0]): row[1:] for row in rows} for time_s, rows in zip(times_s, made, strict=True)
    }


def compared(
    video: Path, truth_file: Path, detector: Path, rates_hz: list[float], settings: list[str], camera_off: bool = False
) -> dict[str, Any]:
    """Figures of all sides at each rate."""
    truth, results = read_tracks(truth_file), dict[str, Any]()
    for fps in rates_hz:
        seen = list(detections(video, detector, fps))
        frames = [frame for time_s, _ in seen if (frame := frame_at(time_s)) in truth]
        sides = {"ours": ours(video, detector, fps, settings)}
        if camera_off:
            sides["ours without the camera's motion"] = ours(video, detector, fps, [*settings, "track.camera=false"])
        if find_spec("trackers") is not None:
            sides |= {name: theirs(name, seen, fps) for name in PEERS}
        for name, tracked in sides.items():
            tally = Tally()
            tally.add(truth, tracked, frames)
            results[f"{name} at {fps:g} frames a second"] = tally.metrics()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(__file__).resolve().parents[2] / "shared/data/tracking/TUD-Stadtmitte"
    parser.add_argument("detector", type=Path)
    parser.add_argument("--video", type=Path, default=data / "TUD-Stadtmitte.mp4")
    parser.add_argument("--truth", type=Path, default=data / "gt.txt")
    parser.add_argument("--pan", type=float, action="append", default=[], help="seconds of a pan, there and back")
    parser.add_argument("--fps", type=float, nargs="+", default=[25.0, 8.0])
    parser.add_argument("--set", action="append", default=[], help="as of percept run")
    parser.add_argument(
        "--json", nargs="?", const="-", default="", help="write the figures to this file, or print them"
    )
    options = parser.parse_args()
    results = dict[str, Any]()
    if not options.pan:
        results = compared(options.video, options.truth, options.detector, options.fps, options.set)
    for period_s in options.pan:
        with tempfile.TemporaryDirectory() as folder:
            video, truth = pan(options.video, options.truth, Path(folder), period_s, RATE_HZ)
            found = compared(video, truth, options.detector, options.fps, options.set, camera_off=True)
        results |= {f"{name}, pans of {period_s:g} s": figures for name, figures in found.items()}
    if options.json == "-":
        print(json.dumps(results, indent=1))
        return
    for name, figures in results.items():
        print(f"{name:42} " + "  ".join(f"{key} {value:g}" for key, value in figures.items()))
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    else:
        report.write("tracking_pans" if options.pan else "tracking_pixels", results)


if __name__ == "__main__":
    main()
