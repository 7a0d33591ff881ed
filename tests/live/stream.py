"""A stream of records of cameras whose events each test can compute, and sinks to write them to."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from live.settings import Camera, Keep, Settings
from live.sink import WatchSink
from pipeline.result import ClipRecord, Evidence, Label
from pipeline.status import OutputSpec

BEGIN = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
CLIP_S = 2.0


def camera(name: str = "door", **more: Any) -> Camera:
    return Camera(name=name, **({"labels": ("dog barking", "siren")} | more))


def settings(*cameras: Camera, **more: Any) -> Settings:
    """Nothing of the stream is too old for them."""
    return Settings(cameras=cameras or (camera(),), **({"keep": Keep(days=36500.0)} | more))


def record(clip: int, name: str = "door", epoch: int = 0, **probabilities: float) -> ClipRecord:
    """The result of a clip: `dog=0.9` for "dog barking", `siren=0.8`."""
    values = {"dog barking": probabilities.get("dog", 0.01), "siren": probabilities.get("siren", 0.01)}
    labels = [
        Label(label, value, value / 2, {"audio": Evidence(value, 0.2, 1.0)})
        for label, value in sorted(values.items(), key=lambda item: -item[1])
    ]
    return ClipRecord(
        source=name,
        epoch=epoch,
        clip=clip,
        start_s=clip * CLIP_S,
        end_s=(clip + 1) * CLIP_S,
        wall_time=(BEGIN + timedelta(seconds=clip * CLIP_S)).isoformat(timespec="milliseconds"),
        parts={"labels": labels},
        labels_version=1,
        clock="camera",
        age_s=0.5,
    )


def stream(clips: int, *names: str) -> list[ClipRecord]:
    """Every 20 clips of a camera, a dog barks in clips 5 to 7; of 50, a siren sounds in clips 30 and 31."""
    return [
        record(clip, name, dog=0.9 if clip % 20 in (5, 6, 7) else 0.01, siren=0.8 if clip % 50 in (30, 31) else 0.01)
        for clip in range(clips)
        for name in names or ("door",)
    ]


def make_sink(directory: Path, of: Settings | None = None, run: str = "first", **more: Any) -> WatchSink:
    options = {
        "settings": msgspec.to_builtins(of or settings()),
        "directory": str(directory / "state"),
        "run_directory": str(directory / "run"),
        "run": run,
    }
    return WatchSink(OutputSpec(kind="watch", path=str(directory / "state"), options=options | more))


def picture(directory: Path, name: str, clip: int, content: bytes = b"jpeg") -> Path:
    """The picture of a clip, where a camera puts it."""
    path = directory / "run" / "cameras" / name / f"clip-{clip}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
