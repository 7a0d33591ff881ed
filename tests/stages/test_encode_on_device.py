"""Encoding with an engine on a device: pictures are made there, and slots are free once the outputs are returned.

The device is the CPU here; the engine is changed so that it accepts tensors.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engines.devices.device import Uploader
from pipeline.clip import Clip, ClipInfo
from pipeline.stage import Budget, Resources, RunSettings
from stages.encode import Encode
from tests.tiny_models import make_tiny_clip, write_mov_like

SECOND = 1_000_000_000


class Recorder(Uploader):
    """Records the order of events."""

    def __init__(self, device: str, events: list[str]) -> None:
        super().__init__(device)
        self.events = events

    def upload(self, array: Any, rows: Any = None) -> torch.Tensor:
        self.events.append("upload")
        return super().upload(array, rows)

    def wait_copied(self) -> None:
        self.events.append("wait")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "mov-like").mkdir()
    write_mov_like(folder / "mov-like", make_tiny_clip(folder / "tiny-clip"))
    return folder / "mov-like"


def clip_of(seed: int, size: tuple[int, int] = (40, 57)) -> Clip:
    random = np.random.default_rng(seed)
    arrays = {
        "frames": random.integers(0, 256, (16, *size, 3), np.uint8),
        "flow": random.normal(0, 1, (15, *size, 2)).astype(np.float16),
        "log_mel": random.normal(-3, 2, (3, 96, 64)).astype(np.float32),
        "boxes": np.array([[2, 0, 0, 10, 10, 1], [5, 6, 2, 30, 38, 1]], np.float32),
        "box_crops": np.array([1]),
    }
    for array in arrays.values():
        array.flags.writeable = False
    return Clip(ClipInfo("a.mp4", 0, seed, 0, 2 * SECOND), arrays, {})


def opened(model: Path) -> Encode:
    stage = Encode(Encode.Options(), RunSettings(model=str(model), engine="torch", precision="fp32", device="cpu"),
                   Budget(short_side_px=32))  # fmt: skip
    stage.open(Resources())
    return stage


def on_device(stage: Encode, events: list[str]) -> Encode:
    """Treat the engine as if it ran elsewhere: its inputs go through an uploader and arrive as tensors."""
    (engine,) = set(stage._engines.values())
    ask = engine.run

    def run(feeds: Mapping[str, Any]) -> dict[str, Any]:
        assert all(isinstance(feed, torch.Tensor) for feed in feeds.values())
        events.append("run")
        return ask({name: feed.numpy() for name, feed in feeds.items()})

    engine.run = run  # type: ignore[method-assign]
    stage._uploaders = {"cpu": Recorder("cpu", events)}
    return stage


def test_vectors_equal_those_of_the_cpu_path(model: Path) -> None:
    clips = [clip_of(0), clip_of(1, (57, 40)), clip_of(2, (32, 32))]
    events: list[str] = []
    wanted = opened(model).process_many(clips)
    got = on_device(opened(model), events).process_many(clips)
    assert events == ["upload"] * 12 + ["run", "wait"], "one call for all; slots are free only after the copies"
    for ours, theirs in zip(got, wanted, strict=True):
        assert ours.keys() == theirs.keys()
        for modality in ("image", "motion", "audio"):
            name = f"{modality}_embedding"
            assert float(ours[name] @ theirs[name]) >= 0.9995
        crops, others = ours["box_embeddings"].astype(np.float32), theirs["box_embeddings"].astype(np.float32)
        assert (crops * others).sum(axis=1).min() >= 0.9995


def test_without_a_device_nothing_is_uploaded(model: Path) -> None:
    assert opened(model)._uploaders == {}


def test_the_copies_are_awaited_even_if_a_clip_fails(model: Path) -> None:
    events: list[str] = []
    stage = on_device(opened(model), events)
    (engine,) = set(stage._engines.values())

    def fail(feeds: Mapping[str, Any]) -> dict[str, Any]:
        raise RuntimeError("the GPU is gone")

    engine.run = fail  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="gone"):
        stage.process_many([clip_of(0)])
    assert events == ["upload"] * 4 + ["wait"]
