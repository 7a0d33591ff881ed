"""A supervisor that only the page sees: the real bus, a real page process, and cameras that say what a test wants."""

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from live.event import LiveEvent
from live.settings import Camera, Settings
from pipeline.bus import Hub
from pipeline.clip import ClipInfo, LiveFacts
from pipeline.messages import (
    Answer,
    Ask,
    Broken,
    Configured,
    Finished,
    Hello,
    Records,
    StatusUpdate,
    Stop,
    ToWorker,
    Written,
)
from pipeline.nursery import child_environment
from pipeline.result import Label, Track
from tests.conftest import ROOT

WAIT_S = 30.0


class FakeWatch:
    """One page process and what it hears. `answer` is asked for every command of the page."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        answer: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None,
        directory: Path | None = None,
    ) -> None:
        self.run_directory, self.directory = folder / "run", directory or folder / "state"
        for made in (self.run_directory, self.directory / "media"):
            made.mkdir(parents=True, exist_ok=True)
        self.settings = msgspec.structs.replace(settings, directory=str(self.directory))
        self.answer = answer or (lambda command: {"ok": True, "version": self.version + 1})
        self.asked: list[dict[str, Any]] = []
        self.broken: Broken | None = None
        self.shown = 0
        """Records that pages say they have read."""
        self.address = ""
        self.listening = threading.Event()
        self.version = 1
        self.connections: dict[str, str] = {}
        self.is_speaking = True
        self.ready = True
        self.why = "no packet for 10 s"
        self._zero_ns = time.monotonic_ns()
        self._counts: dict[str, int] = {}
        self._outbox: queue.Queue[ToWorker] = queue.Queue()
        self._worker = 0
        self._ended = threading.Event()
        self._hub = Hub(str(self.run_directory))
        self.say_events([])
        for camera in settings.cameras:
            (self.run_directory / "cameras" / camera.name.replace("/", "_")).mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.process = self._start()

    # -- what a test does -----------------------------------------------------------------------------------------

    def wait(self) -> "FakeWatch":
        """Until the page listens."""
        end_s = time.monotonic() + WAIT_S
        while not self.listening.wait(0.05):
            assert self.process.poll() is None, f"the page process ended: {self.broken}"
            assert time.monotonic() < end_s, "the page never listened"
        return self

    def restart(self) -> None:
        """Kill the page process, and start another."""
        self.process.kill()
        self.process.wait(10)
        self.listening.clear()
        self.process = self._start()
        self.wait()

    def close(self) -> None:
        self._outbox.put(Stop())
        try:
            self.process.wait(15)
        finally:
            self.process.kill()
            self.process.wait(5)
            self._ended.set()
            self._thread.join(10)
            self._hub.close()

    def configure(self, settings: Settings) -> None:
        self.version += 1
        self.settings = msgspec.structs.replace(settings, directory=str(self.directory))
        self._outbox.put(self._configured())

    def say(
        self,
        camera: str,
        labels: list[Label],
        tracks: Sequence[Track] | Callable[[float], Sequence[Track]] = (),
        age_s: float = 1.0,
        measures: dict[str, float] | None = None,
        seconds: float = 2.0,
        **more: Any,
    ) -> int:
        """A clip is labelled. Returns its index.

        tracks: with times of boxes from the clip's start; or what makes them from its start on the monotonic clock.
        """
        index = self._counts.get(camera, -1) + 1
        self._counts[camera] = index
        now_ns = time.monotonic_ns()
        end_ns = now_ns - int(age_s * 1e9) - self._zero_ns
        start_ns = end_ns - int(seconds * 1e9)
        wall_ns = time.time_ns() - int((age_s + seconds) * 1e9)
        facts = LiveFacts(wall_ns=wall_ns, captured_ns=now_ns - int(age_s * 1e9), measures=measures or {})
        info = ClipInfo(camera, 0, index, start_ns, end_ns, width=640, height=360, live=facts, labels_version=1)
        found = tracks((self._zero_ns + start_ns) / 1e9) if callable(tracks) else tracks
        moved = [_moved(track, start_ns / 1e9) for track in found]
        parts = {"labels": msgspec.msgpack.encode(labels), "tracks": msgspec.msgpack.encode(moved)}
        self._outbox.put(Records([Finished(info, parts, **more)], {0: {"model": "fake@1", "engine": "none"}}))
        return index

    def send(self, message: ToWorker) -> None:
        self._outbox.put(message)

    def say_events(self, events: list[LiveEvent]) -> None:
        """What the history holds from now on."""
        path = self.directory / "events.json"
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(events))
        new.replace(path)

    def picture(self, camera: str, name: str, shade: int = 0, moved: float = 0.0) -> Path:
        """A JPEG of a camera: `live.jpg`, `clip-3.jpg`."""
        path = self.run_directory / "cameras" / camera / name
        new = path.with_suffix(".new")
        new.write_bytes(jpeg(shade, moved))
        new.replace(path)
        return path

    # -- the supervisor -------------------------------------------------------------------------------------------

    def _start(self) -> "subprocess.Popen[bytes]":
        self._worker += 1
        command = [sys.executable, "-P", "-m", "tests.live.page.page_process", self.run_directory, str(self._worker)]
        return subprocess.Popen(list(map(str, command)), env=child_environment() | {"PYTHONPATH": str(ROOT)}, cwd=ROOT)

    def _run(self) -> None:
        told_s = 0.0
        while not self._ended.is_set():
            self._hub.wait([], 20)
            while (found := self._hub.receive()) is not None:
                self._take(*found)
            while not self._outbox.empty():
                self._hub.send(self._worker, self._outbox.get())
            if self.is_speaking and self.listening.is_set() and time.monotonic() - told_s > 0.2:
                told_s = time.monotonic()
                self._hub.send(self._worker, StatusUpdate(msgspec.json.encode(self.status())))

    def _take(self, worker: int, message: Any) -> None:
        match message:
            case Hello():
                self._hub.send(worker, self._configured())
                self._hub.send(worker, StatusUpdate(msgspec.json.encode(self.status())))
            case Written(count):
                self.shown += count
            case Broken():
                self.broken = message
            case Ask():
                command = msgspec.json.decode(message.body)
                if command["do"] == "listening":
                    self.address = command["address"]
                    self.listening.set()
                    return
                self.asked.append(command)
                answer = self.answer(command)
                if answer is not None:
                    self._hub.send(worker, Answer(message.id, msgspec.json.encode(answer)))

    def _configured(self) -> Configured:
        return Configured(self.version, msgspec.msgpack.encode(self.settings))

    def status(self) -> dict[str, Any]:
        clips = sum(self._counts.values()) + len(self._counts)
        return {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "uptime_s": (time.monotonic_ns() - self._zero_ns) / 1e9,
            "ready": self.ready,
            "canary": {"ok": self.ready, "text": "", "at": datetime.now(UTC).isoformat(timespec="milliseconds")},
            "processes": [{"name": "encode-0", "role": "group", "pid": 17, "ready": True, "deaths": 1}],
            "queues": {"sense": {"ready": 0, "leased": 1}, "label": {"ready": 2, "leased": 3}},
            "slots": {"free": 5, "count": 8},
            "engines": {"image": "onnxruntime-fp32", "audio": "openvino-bf16"},
            "stage_s": {"flow": 12.5, "encode": 40.25},
            "account": {"clips_in": clips, "results": clips, "errors": 0, "drops": 0, "in_flight": 0},
            "version": self.version,
            "cameras": [self._camera(camera) for camera in self.settings.cameras],
        }

    def _camera(self, camera: Camera) -> dict[str, Any]:
        connection = self.connections.get(camera.name, "live")
        return {
            "name": camera.name,
            "connection": connection,
            "since": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "text": "" if connection == "live" else self.why,
            "transport": "tcp",
            "epoch": 0,
            "reconnects": 2,
            "clips": self._counts.get(camera.name, -1) + 1,
            "results": self._counts.get(camera.name, -1) + 1,
            "reused": 0,
            "errors": 0,
            "drops": {"superseded": 3},
            "age_s": {"p50": 1.25, "p99": 2.5, "last": 1.0},
            "events": 4,
            "zones": {name: {"visits": 3, "mean_s": 4.0, "longest_s": 65.0, "inside": 1} for name in camera.zones},
            "lines": {name: {"in": 2, "out": 1} for name in camera.lines},
            "labels_version": 1,
            "width": 640,
            "height": 360,
            "has_video": True,
            "has_audio": True,
            "measures": {"level_dbfs": -30.0},
        }


def event(id: str, camera: str, name: str, ago_s: float = 60.0, **more: Any) -> LiveEvent:
    """An event that began some time ago; closed after 10 s unless `state` says otherwise."""
    start = datetime.now(UTC) - timedelta(seconds=ago_s)
    given = {"kind": "label", "state": "closed", "duration_s": 10.0, "probability": 0.7, "peak": 0.9, "threshold": 0.5}
    given |= more
    if given["state"] == "closed":
        given["end"] = (start + timedelta(seconds=10)).isoformat(timespec="milliseconds")
    return LiveEvent(id=id, camera=camera, name=name, start=start.isoformat(timespec="milliseconds"), **given)


def jpeg(shade: int = 0, moved: float = 0.0, size: tuple[int, int] = (640, 360)) -> bytes:
    """A yard at dusk in the colours of `shade`, and a red square that has moved by a share of the width."""
    width, height = size
    down = np.linspace(0.25, 0.8, height)[:, None, None]
    tint = np.array([[[110, 140, 170]], [[150, 140, 110]], [[120, 160, 120]], [[160, 120, 150]]][shade % 4])
    picture = np.broadcast_to(down * tint, (height, width, 3)).astype(np.uint8).copy()
    cv2.rectangle(picture, (0, height * 2 // 3), (width, height), tuple(int(v) for v in tint[0] * 0.45), -1)
    cv2.rectangle(
        picture, (width // 10, height // 3), (width // 3, height * 2 // 3), tuple(int(v) for v in tint[0] * 0.7), -1
    )
    left = round(moved * (width - 60))
    cv2.rectangle(picture, (left, height // 2), (left + 60, height // 2 + 60), (40, 40, 220), -1)
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes())


def _moved(track: Track, by_s: float) -> Track:
    return msgspec.structs.replace(track, boxes=[(row[0] + by_s, *row[1:]) for row in track.boxes])
