"""The script that people write to watch cameras: a thread per camera, PyAV, and the networks of percept-mini.

    python -m benchmarks.plain_watch RTSP_URL ... [--labels "dog, rain"] [--seconds 60] [--tracks]

Each thread reads one container over TCP, decodes every picture, keeps 8 a second and the sound at 16 kHz, and labels
each clip of 2 s as soon as it is complete: one clip at a time, with the same stages, engines and words as
`percept watch`. The engines use all cores and are shared behind a lock, as networks per thread would cost
memory and be no faster.

It does what labels need: flow, spectrogram, signals, the three towers, the fusion head, probabilities. It does not
detect or track objects (`--tracks` adds both), reuse answers, skip what is too old, reconnect, make events, or write
anything but one JSON line per clip on stdout: {"camera", "clip", "age_s", "label"}. `age_s` is the time of the line
minus the capture time of the clip's last picture by the camera's clock (RTCP sender reports; until the first one: by
arrival).
"""

import argparse
import json
import struct
import sys
import threading
import time
from collections import deque
from typing import Any

import av
import numpy as np

from pipeline.arrays import Array
from pipeline.build import make_plan
from pipeline.clip import ClipInfo, DecodedClip
from pipeline.config import load_config
from pipeline.plain import PlainLoop
from pipeline.plan import Plan
from pipeline.run import place, private_directory

NS = 1_000_000_000
CLIP_S, FPS, AUDIO_HZ = 2.0, 8.0, 16_000
FOR_LABELS = (
    *("flow", "log_mel", "signals", "image_embedding", "image_tokens"),
    *("fused_image", "fused_motion", "fused_audio", "labels"),
)


class Clock:
    """When pictures were captured, as Unix time: by sender reports, else by the earliest arrival so far."""

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._from_camera = False

    def packet(self, packet: Any) -> None:
        if packet.pts is None:
            return
        media_s = float(packet.pts * packet.time_base)
        for side in packet.iter_sidedata():
            if "PRFT" in str(side.data_type).upper():
                self._offset_s, self._from_camera = struct.unpack_from("<q", bytes(side))[0] / 1e6 - media_s, True
                return
        if not self._from_camera:
            offset_s = time.time() - media_s
            self._offset_s = offset_s if self._offset_s is None else min(self._offset_s, offset_s)

    def age_s(self, media_s: float) -> float:
        assert self._offset_s is not None, "no packet yet"
        return time.time() - self._offset_s - media_s


class Camera(threading.Thread):
    """Reads, decodes and labels one camera."""

    def __init__(self, number: int, url: str, loop: PlainLoop, lock: threading.Lock, until_s: float) -> None:
        super().__init__(daemon=True, name=url.rpartition("/")[2])
        options = loop.plan.reader_options
        self._number, self._url, self._loop, self._lock, self._until_s = number, url, loop, lock, until_s
        self._short_px = int(options["short_side_px"])
        self._sound = deque[tuple[float, Array]]()
        self._sound_s = max(float(options["audio_context_s"]), CLIP_S)
        self._pictures: list[tuple[float, Array]] = []
        self._previous: tuple[float, Array] | None = None
        self._states: dict[int, bytes] = {}
        self._clock = Clock()
        self._clip = 0

    def run(self) -> None:
        given = {"rtsp_transport": "tcp"}
        with av.open(self._url, options=given, timeout=(20, 20)) as container:
            video = container.streams.video[0]
            sound = next(iter(container.streams.audio), None)
            resampler = av.AudioResampler("flt", "mono", AUDIO_HZ)
            heard_s = float("inf") if sound is None else -1.0
            next_s = -1.0
            for packet in container.demux([stream for stream in (video, sound) if stream]):
                if time.monotonic() > self._until_s:
                    return
                if packet.stream is video:
                    self._clock.packet(packet)
                for frame in packet.decode():
                    if frame.time is None:
                        continue
                    if packet.stream is sound:
                        for piece in resampler.resample(frame):
                            self._sound.append((frame.time, piece.to_ndarray()[0]))
                        heard_s = frame.time
                    elif frame.time >= next_s:
                        next_s = max(next_s, frame.time) + 1 / FPS - 1e-3
                        self._pictures.append((frame.time, self._picture(frame)))
                self._label_complete(heard_s)

    def _picture(self, frame: Any) -> Array:
        height = self._short_px
        width = round(frame.width * height / frame.height)
        picture: Array = frame.reformat(width, height, "rgb24").to_ndarray()
        return picture

    def _label_complete(self, heard_s: float) -> None:
        end_s = (self._clip + 1) * CLIP_S
        if not self._pictures or min(self._pictures[-1][0], heard_s) < end_s:
            return
        inside = [each for each in self._pictures if each[0] < end_s]
        self._pictures = [each for each in self._pictures if each[0] >= end_s]
        if inside:
            self._label(inside, end_s)
            self._previous = inside[-1]
        self._clip += 1

    def _label(self, pictures: list[tuple[float, Array]], end_s: float) -> None:
        clip = self._decoded(pictures, end_s)
        with self._lock:
            (passed,) = self._loop.settle([clip], self._states)
        best = passed.values["labels"][0] if passed.values.get("labels") else None
        line = {
            "camera": self.name,
            "clip": self._clip,
            "age_s": round(self._clock.age_s(pictures[-1][0]), 3),
            "label": best and best["label"] if isinstance(best, dict) else getattr(best, "label", None),
        }
        print(json.dumps(line | ({"failed": passed.failed} if passed.failed else {})), flush=True)

    def _decoded(self, pictures: list[tuple[float, Array]], end_s: float) -> DecodedClip:
        frames = np.stack([picture for _, picture in pictures])
        info = ClipInfo(
            *(self.name, self._number, self._clip, round((end_s - CLIP_S) * NS), round(end_s * NS)),
            width=frames.shape[2],
            height=frames.shape[1],
        )
        arrays = {"frames": frames, "frame_times_ns": np.array([round(at * NS) for at, _ in pictures], np.int64)}
        absent: dict[str, str] = {}
        if self._previous is None:
            absent |= dict.fromkeys(("previous_frame", "previous_time_ns"), "too_short")
        else:
            arrays["previous_time_ns"] = np.array([round(self._previous[0] * NS)], np.int64)
            arrays["previous_frame"] = self._previous[1]
        samples = self._samples(end_s)
        if samples is None:
            absent |= dict.fromkeys(("audio", "audio_mask", "audio_start_ns"), "no_stream")
        else:
            arrays |= {"audio": samples, "audio_mask": np.ones(len(samples), np.uint8)}
            arrays["audio_start_ns"] = np.array([round((end_s - self._sound_s) * NS)], np.int64)
        return DecodedClip(info, arrays, absent)

    def _samples(self, end_s: float) -> Array | None:
        """The sound before `end_s`; None without any. What is older is forgotten."""
        while self._sound and self._sound[0][0] < end_s - self._sound_s - 1:
            self._sound.popleft()
        if not self._sound:
            return None
        length = round(self._sound_s * AUDIO_HZ)
        samples = np.zeros(length, np.float32)
        for start_s, piece in self._sound:
            at = round((start_s - end_s + self._sound_s) * AUDIO_HZ)
            low, high = max(0, at), min(length, at + len(piece))
            if low < high:
                samples[low:high] = piece[low - at : high - at]
        return samples


def plan_of(labels: str, directory: str) -> Plan:
    words = ["labels.words=" + json.dumps(labels)] if labels else []
    return place(make_plan(load_config(None, [*words, "labels.top_k=1"])), directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="+")
    parser.add_argument("--labels", default="")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--tracks", action="store_true")
    options = parser.parse_args()
    with private_directory() as directory:
        plan = plan_of(options.labels, directory)
        with PlainLoop(plan, None if options.tracks else FOR_LABELS) as loop:
            print(json.dumps({"ready": True, "stages": list(loop.stages)}), flush=True)
            until_s, lock = time.monotonic() + options.seconds, threading.Lock()
            cameras = [Camera(number, url, loop, lock, until_s) for number, url in enumerate(options.urls)]
            for camera in cameras:
                camera.start()
            for camera in cameras:
                camera.join(timeout=max(0.0, until_s - time.monotonic()) + 30)
                if camera.is_alive():
                    print(f"{camera.name} did not end", file=sys.stderr)


if __name__ == "__main__":
    main()
