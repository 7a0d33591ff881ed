"""A script as people write it for a folder: PyAV, the towers of percept-mini, one Parquet file per 1,000 rows.

    python -m benchmarks.plain_archive FOLDER OUT [--labels "dog, rain"] [--batch 8] [--tracks] [--engine torch]

It decodes every picture of a file with all threads, keeps 8 a second and the sound at 16 kHz, and labels clips of 2 s,
8 at a time, with the same stages, engines and words as `percept label`: flow, spectrogram, signals, the three towers,
the fusion head, probabilities. It does not detect or track objects (`--tracks` adds both), and knows no resume, no
claims, no retries and no thumbnails. A file that cannot be read ends up in a list. It prints clips, seconds without
loading, and total seconds.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pyarrow
import pyarrow.parquet

from benchmarks.plain_watch import FOR_LABELS, NS
from pipeline.arrays import Array
from pipeline.build import make_plan
from pipeline.clip import ClipInfo, DecodedClip
from pipeline.config import load_config
from pipeline.plain import Passed, PlainLoop
from pipeline.run import place, private_directory

CLIP_S, FPS, AUDIO_HZ = 2.0, 8.0, 16_000
ROWS = 1000
VECTORS = ("image_embedding", "motion_embedding", "audio_embedding")


class Video:
    """A file, read at once: its pictures on a grid of times, and all its sound."""

    def __init__(self, path: str, short_px: int) -> None:
        self.path = path
        self.times_s: list[float] = []
        pictures: list[Array] = []
        sound: list[Array] = []
        with av.open(path, metadata_errors="ignore") as container:
            streams = [*container.streams.video[:1], *container.streams.audio[:1]]
            for stream in container.streams.video[:1]:
                stream.thread_type = "AUTO"
            resampler = av.AudioResampler("flt", "mono", AUDIO_HZ)
            for frame in container.decode(streams):
                if isinstance(frame, av.AudioFrame):
                    sound += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
                elif frame.time is not None and frame.time >= len(self.times_s) / FPS - 1e-3:
                    width = round(frame.width * short_px / frame.height)
                    pictures.append(frame.reformat(width, short_px, "rgb24").to_ndarray())
                    self.times_s.append(frame.time)
        self.pictures = pictures
        self.sound = np.concatenate(sound) if sound else None

    def clips(self, number: int, context_s: float) -> Iterator[DecodedClip]:
        heard_s = 0.0 if self.sound is None else len(self.sound) / AUDIO_HZ
        end_s = self.times_s[-1] + 1 / FPS if self.times_s else heard_s
        for index in range(max(1, round(end_s / CLIP_S))):
            yield self._clip(number, index, context_s)

    def _clip(self, number: int, index: int, context_s: float) -> DecodedClip:
        start_s, stop_s = index * CLIP_S, (index + 1) * CLIP_S
        inside = [place for place, at_s in enumerate(self.times_s) if start_s <= at_s < stop_s]
        info = ClipInfo(self.path, number, index, round(start_s * NS), round(stop_s * NS))
        arrays: dict[str, Array] = {}
        absent: dict[str, str] = {}
        if inside:
            arrays["frames"] = np.stack([self.pictures[place] for place in inside])
            arrays["frame_times_ns"] = np.array([round(self.times_s[place] * NS) for place in inside], np.int64)
        if inside and inside[0]:
            arrays["previous_frame"] = self.pictures[inside[0] - 1]
            arrays["previous_time_ns"] = np.array([round(self.times_s[inside[0] - 1] * NS)], np.int64)
        absent |= {
            name: "too_short"
            for name in ("frames", "frame_times_ns", "previous_frame", "previous_time_ns")
            if name not in arrays
        }
        if self.sound is None:
            absent |= dict.fromkeys(("audio", "audio_mask", "audio_start_ns"), "no_stream")
        else:
            arrays |= self._heard(stop_s, context_s)
        return DecodedClip(info, arrays, absent)

    def _heard(self, stop_s: float, context_s: float) -> dict[str, Array]:
        length, end = round(context_s * AUDIO_HZ), round(stop_s * AUDIO_HZ)
        assert self.sound is not None
        samples, mask = np.zeros(length, np.float32), np.zeros(length, np.uint8)
        piece = self.sound[max(0, end - length) : end]
        at = max(0, length - end)
        samples[at : at + len(piece)] = piece
        mask[at : at + len(piece)] = 1
        start_ns = np.array([round((stop_s - context_s) * NS)], np.int64)
        return {"audio": samples, "audio_mask": mask, "audio_start_ns": start_ns}


class Files:
    """Rows, written every 1,000."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._rows, self._count = folder, list[dict[str, Any]](), 0
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, passed: Passed) -> None:
        labels = passed.values.get("labels") or []
        row = {"source": passed.info.source, "clip": passed.info.index, "start_s": passed.info.start_ns / NS}
        row |= {"labels": [(label["label"], label["probability"]) for label in map(msgspec.to_builtins, labels)]}
        row |= {
            name: np.asarray(passed.values[name], np.float16) for name in VECTORS if passed.values.get(name) is not None
        }
        self._rows.append(row)
        if len(self._rows) == ROWS:
            self.flush()

    def flush(self) -> None:
        if not self._rows:
            return
        columns: dict[str, Any] = {name: [row[name] for row in self._rows] for name in ("source", "clip", "start_s")}
        columns["label"] = [[name for name, _ in row["labels"]] for row in self._rows]
        columns["probability"] = [[value for _, value in row["labels"]] for row in self._rows]
        for name in VECTORS:
            values = [row.get(name) for row in self._rows]
            size = next((len(value) for value in values if value is not None), 1)
            columns[name] = pyarrow.array(values, pyarrow.list_(pyarrow.float16(), size))
        pyarrow.parquet.write_table(
            pyarrow.table(columns), self._folder / f"{self._count:05}.parquet", compression="zstd"
        )
        self._rows, self._count = [], self._count + 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labels", default="dog, rain, music")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--tracks", action="store_true")
    parser.add_argument("--engine", default="auto", help="torch runs the towers as PyTorch modules")
    options = parser.parse_args()
    began_s = time.monotonic()
    config = load_config(None, [f"labels.words='{options.labels}'", f"model.engine='{options.engine}'"])
    with private_directory() as directory:
        plan = place(make_plan(config), directory)
        short_px, context_s = int(plan.reader_options["short_side_px"]), float(plan.reader_options["audio_context_s"])
        arrays = None if options.tracks else FOR_LABELS + VECTORS
        with PlainLoop(plan, arrays) as loop:
            loaded_s = time.monotonic()
            files, clips, unread = Files(options.out), 0, []
            for number, path in enumerate(sorted(options.folder.glob("*.mp4"))):
                try:
                    made = Video(str(path), short_px).clips(number, max(context_s, CLIP_S))
                except av.FFmpegError as error:
                    unread.append(f"{path}: {error}")
                    continue
                states: dict[int, bytes] = {}
                while together := list(islice(made, options.batch)):
                    for passed in loop.settle(together, states):
                        files.add(passed)
                        clips += 1
            files.flush()
            done_s = time.monotonic()
    print("\n".join(unread))
    print(f"{clips} clips, {done_s - loaded_s:.3f} s, {done_s - began_s:.3f} s")


if __name__ == "__main__":
    main()
