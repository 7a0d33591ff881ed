"""Tokens, embeddings and the reasons for absent ones; towers with the same network run once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engines.models.model import TowerSpec
from pipeline.arrays import check_array
from pipeline.clip import Absent, Clip, ClipInfo
from pipeline.errors import ConfigError
from pipeline.machine import cache_directory
from pipeline.stage import Budget, Resources, RunSettings
from stages.encode import Encode, box_input, pool
from stages.tower_inputs import tower_input, tower_rows
from tests.tiny_models import make_tiny_clip, write_mov_like

SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "mov-like").mkdir()
    write_mov_like(folder / "mov-like", make_tiny_clip(folder / "tiny-clip"))
    return folder


@pytest.fixture(scope="module")
def streams() -> dict[str, Any]:
    random = np.random.default_rng(0)
    made = {
        "frames": random.integers(0, 256, (16, 32, 57, 3), np.uint8),
        "frame_times_ns": np.arange(16) * SECOND // 8,
        "flow": random.normal(0, 1, (15, 32, 57, 2)).astype(np.float16),
        "log_mel": random.normal(-3, 2, (3, 96, 64)).astype(np.float32),
        "audio": random.normal(0, 0.1, 32_000).astype(np.float32),
        "audio_start_ns": np.zeros(1, np.int64),
        "audio_mask": np.ones(32_000, np.uint8),
    }
    for array in made.values():
        array.flags.writeable = False
    return made


def clip_of(arrays: dict[str, Any], absent: dict[str, str] | None = None) -> Clip:
    return Clip(ClipInfo("a.mp4", 0, 0, 0, 2 * SECOND), arrays, absent or {})


def opened(model: Path, resources: Resources | None = None, **settings: Any) -> Encode:
    run = RunSettings(model=str(model), engine="torch", **settings)
    stage = Encode(Encode.Options(), run, Budget(short_side_px=32))
    stage.open(resources or Resources())
    return stage


def test_every_output_is_settled_within_its_size_limit(directory: Path, streams: dict[str, Any]) -> None:
    stage = opened(directory / "mov-like")
    outputs = stage.process(clip_of(streams))
    assert set(outputs) == set(stage.gives())
    for modality, count in (("image", 8), ("motion", 8), ("audio", 3)):
        tokens, embedding = outputs[f"{modality}_tokens"], outputs[f"{modality}_embedding"]
        assert check_array("tokens", tokens, "N 16", "float32") == {"N": count}
        assert tokens.nbytes <= stage.gives()[f"{modality}_tokens"].max_bytes
        check_array("embedding", embedding, "16", "float32")
        assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
    assert stage.describe() == {
        "engine": "torch-fp32",
        "model": "mov-like@1",
        "towers": "image torch-fp32, motion torch-fp32, audio torch-fp32",
    }


def test_towers_of_the_same_network_run_in_one_call(directory: Path, streams: dict[str, Any]) -> None:
    stage = opened(directory / "mov-like")
    engine = stage._engines["image"]
    assert stage._engines == {"image": engine, "motion": engine, "audio": engine}
    ask = engine.run
    batches = record_batches(stage)
    together = stage.process(clip_of(streams))
    assert batches == [19]
    for modality in ("image", "motion", "audio"):
        alone = ask({"pictures": tower_input(stage._towers[modality], clip_of(streams))})["tokens"]
        np.testing.assert_allclose(together[f"{modality}_tokens"], alone, atol=1e-5)


@pytest.mark.parametrize(("seconds", "pictures"), [(0.3, 1), (1.0, 2), (2.0, 4), (2.04, 4), (2.4, 5), (10.0, 8)])
def test_a_short_clip_needs_fewer_pictures(seconds: float, pictures: int) -> None:
    tower = TowerSpec(network="clip_vision", directory="", space="", pictures_per_s=2.0)
    rows = tower_rows(tower, np.zeros((40, 1)), seconds)
    assert rows is not None
    assert len(rows) == pictures


def test_frames_that_look_alike_are_encoded_once(directory: Path, streams: dict[str, Any]) -> None:
    frames = streams["frames"].copy()
    frames[1:12] = frames[0]
    stage = opened(directory / "mov-like", modalities=("image",))
    batches = record_batches(stage)
    tokens = stage.process(clip_of(streams | {"frames": frames}))["image_tokens"]
    assert batches == [3]
    one, other, last = (
        stage.process(clip_of(streams | {"frames": frames[[i]]}))["image_tokens"][0] for i in (1, 13, 15)
    )
    np.testing.assert_allclose(tokens, [one] * 6 + [other, last], atol=1e-5)


def record_batches(stage: Encode) -> list[int]:
    """The number of pictures in each later call of the image engine."""
    batches: list[int] = []
    engine = stage._engines["image"]
    ask = engine.run
    engine.run = lambda feeds: batches.append(len(feeds["pictures"])) or ask(feeds)  # type: ignore[func-returns-value,method-assign]
    return batches


def assert_same(together: Mapping[str, Any], alone: Mapping[str, Any]) -> None:
    assert set(together) == set(alone)
    for name, value in alone.items():
        if isinstance(value, np.ndarray):
            assert (together[name].shape, together[name].dtype) == (value.shape, value.dtype)
            np.testing.assert_allclose(together[name], value, atol=1e-3 if value.dtype == np.float16 else 1e-5)
        else:
            assert together[name] == value


def test_clips_encoded_together_get_the_same_outputs_as_alone(directory: Path, streams: dict[str, Any]) -> None:
    stage = opened(directory / "mov-like")
    boxes = np.array([[0, 4, 4, 20, 20, 1], [3, 8, 8, 30, 30, 1]], np.float32)
    clips = [
        clip_of(streams | {"boxes": boxes, "box_crops": np.array([1])}),
        clip_of({"log_mel": streams["log_mel"][:1]}, {"frames": "no_stream", "flow": "too_short"}),
        clip_of({}, dict.fromkeys(("frames", "flow", "log_mel", "audio"), "gap")),
        clip_of({"frames": streams["frames"][3:5]}, {"boxes": "failed", "box_crops": "failed"}),
    ]
    alone = [stage.process(clip) for clip in clips]
    batches = record_batches(stage)
    together = stage.process_many(clips)
    assert batches == [8 + 8 + 3 + 1 + 1 + 2], "one call for all clips, modalities and boxes"
    for mine, reference in zip(together, alone, strict=True):
        assert_same(mine, reference)
    assert [outputs["box_embeddings"] for outputs in together[1:]] == [
        Absent("no_stream"), Absent("gap"), Absent("failed")
    ]  # fmt: skip


def test_clips_without_any_stream_need_no_engine(directory: Path) -> None:
    stage = opened(directory / "mov-like")
    batches = record_batches(stage)
    gone = clip_of({}, dict.fromkeys(("frames", "flow", "log_mel", "audio"), "gap"))
    assert [outputs["image_embedding"] for outputs in stage.process_many([gone, gone])] == [Absent("gap")] * 2
    assert stage.process_many([]) == []
    assert batches == []


def test_the_crop_of_a_box_shows_the_content_of_the_box(directory: Path, streams: dict[str, Any]) -> None:
    """Boxes are in pixels of the source, which is twice as large as the frames here."""
    stage = opened(directory / "mov-like")
    frames = np.array(streams["frames"])
    frames[5, 10:20, 30:40] = (255, 0, 0)
    info = ClipInfo("a.mp4", 0, 0, 0, 2 * SECOND, width=114, height=64)
    boxes = np.array([[2, 0, 0, 10, 10, 1], [5, 62, 22, 78, 38, 1]], np.float32)
    clip = Clip(info, streams | {"frames": frames, "boxes": boxes, "box_crops": np.array([1])})
    tower = stage._towers["image"]
    picture = box_input(tower, clip)
    assert picture.shape == (1, 3, 32, 32)
    red = (1 - np.array(tower.mean)) / np.array(tower.std)
    assert picture[0, 0].mean() == pytest.approx(red[0], abs=1e-3)
    vectors = stage.process(clip)["box_embeddings"]
    assert check_array("box_embeddings", vectors, "1 16", "float16") == {}
    assert np.linalg.norm(vectors.astype(np.float32)) == pytest.approx(1, abs=1e-2)


def test_without_chosen_boxes_the_embeddings_are_empty_but_not_absent(directory: Path, streams: dict[str, Any]) -> None:
    none = {"boxes": np.zeros((0, 6), np.float32), "box_crops": np.zeros(0, np.int64)}
    outputs = opened(directory / "mov-like").process(clip_of(streams | none))
    assert outputs["box_embeddings"].shape == (0, 16)


@pytest.mark.parametrize(
    ("settings", "given", "reason"),
    [
        ({"modalities": ("motion",)}, {}, "not_asked"),
        ({}, {"box_crops": "not_asked"}, "not_asked"),
        ({}, {"boxes": "failed", "box_crops": "failed"}, "failed"),
        ({}, {}, "not_asked"),
    ],
)
def test_boxes_that_are_not_encoded_have_a_reason(
    directory: Path, streams: dict[str, Any], settings: dict[str, Any], given: dict[str, str], reason: str
) -> None:
    outputs = opened(directory / "mov-like", **settings).process(clip_of(streams, given))
    assert outputs["box_embeddings"] == Absent(reason)


def test_two_stages_of_a_worker_share_the_loaded_network(directory: Path) -> None:
    resources = Resources()
    first, second = opened(directory / "mov-like", resources), opened(directory / "mov-like", resources)
    assert first._engines["image"] is second._engines["image"]


def test_a_missing_tower_and_one_not_asked_for_have_different_reasons(directory: Path, streams: dict[str, Any]) -> None:
    stage = opened(directory / "tiny-clip", modalities=("image", "motion"))
    outputs = stage.process(clip_of(streams))
    assert outputs["motion_embedding"] == outputs["motion_tokens"] == Absent("no_tower")
    assert outputs["audio_embedding"] == Absent("not_asked")
    assert outputs["image_embedding"].shape == (16,)


def test_key_frames_are_the_reason_that_motion_is_absent(directory: Path, streams: dict[str, Any]) -> None:
    outputs = opened(directory / "mov-like", modalities=("image", "audio"), key_frames=True).process(clip_of(streams))
    assert outputs["motion_embedding"] == Absent("key_frames")


def test_a_missing_stream_keeps_its_reason(directory: Path, streams: dict[str, Any]) -> None:
    stage = opened(directory / "mov-like")
    sound_only = {name: streams[name] for name in ("log_mel", "audio", "audio_mask", "audio_start_ns")}
    outputs = stage.process(clip_of(sound_only, {"frames": "no_stream", "flow": "too_short"}))
    assert outputs["image_embedding"] == Absent("no_stream")
    assert outputs["motion_tokens"] == Absent("too_short")
    assert outputs["audio_embedding"].shape == (16,)


def test_a_clip_without_any_stream_has_only_absent_outputs(directory: Path) -> None:
    stage = opened(directory / "mov-like")
    gone = dict.fromkeys(("frames", "flow", "log_mel", "audio"), "gap")
    outputs = stage.process(clip_of({}, gone))
    assert {repr(value) for value in outputs.values()} == {repr(Absent("gap"))}


def test_one_frame_is_enough(directory: Path, streams: dict[str, Any]) -> None:
    stage = opened(directory / "mov-like")
    outputs = stage.process(clip_of({"frames": streams["frames"][:1]}, {"flow": "too_short", "log_mel": "no_stream"}))
    assert outputs["image_tokens"].shape == (1, 16)


def test_it_demands_the_largest_picture_size_of_its_towers(directory: Path) -> None:
    run = RunSettings(model=str(directory / "mov-like"))
    assert Encode(Encode.Options(), run, Budget()).demand().short_side_px == 32
    sound_only = RunSettings(model="percept-mini", modalities=("audio",))
    assert Encode(Encode.Options(), sound_only, Budget()).demand().short_side_px == 0


def test_the_bundled_model_runs_without_transformers() -> None:
    import subprocess
    import sys

    cache = str(cache_directory())  # whose exports are there already
    code = """
import sys, numpy as np
from pipeline.clip import Clip, ClipInfo
from pipeline.stage import Budget, Resources, RunSettings
from stages.encode import Encode
from stages.spectrogram import Spectrogram
run = RunSettings(cache_directory=sys.argv[2], engine="onnxruntime")
encode, spectrogram = (stage(stage.Options(), run, Budget()) for stage in (Encode, Spectrogram))
if sys.argv[1] == "prepare":
    encode.prepare(print)
else:
    encode.open(Resources()); spectrogram.open(Resources())
    arrays = {"frames": np.zeros((16, 224, 300, 3), np.uint8), "audio": np.zeros(32000, np.float32),
              "audio_mask": np.ones(32000, np.uint8), "audio_start_ns": np.zeros(1, np.int64)}
    info = ClipInfo("a", 0, 0, 0, 2_000_000_000)
    arrays["log_mel"] = spectrogram.process(Clip(info, arrays))["log_mel"]
    outputs = encode.process(Clip(info, arrays))
    print(encode.describe()["engine"], outputs["image_embedding"].shape, outputs["audio_embedding"].shape,
          "transformers" in sys.modules)
"""
    for step in ("prepare", "open"):
        command = [sys.executable, "-c", code, step, cache]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "onnxruntime-fp32 (384,) (384,) False"


def test_pooling_only_zeros_returns_zeros() -> None:
    np.testing.assert_array_equal(pool(np.zeros((2, 3), np.float32)), [0, 0, 0])


def with_features(model: Path, **settings: Any) -> Encode:
    stage = Encode(Encode.Options(features=True), RunSettings(model=str(model), engine="torch", **settings), Budget())
    stage.check()
    stage.open(Resources())
    return stage


def test_features_are_the_mean_of_what_the_tower_has_before_its_projection(
    directory: Path, streams: dict[str, Any]
) -> None:
    from engines.networks.transformers_towers import load_clip_vision

    stage, tower = with_features(directory / "mov-like"), load_clip_vision(directory / "tiny-clip")
    batches = record_batches(stage)
    outputs, plain = stage.process(clip_of(streams)), opened(directory / "mov-like").process(clip_of(streams))
    assert batches == [19], "no second pass of the network"
    assert set(outputs) == set(stage.gives()) == set(plain) | {f"{name}_features" for name in stage._towers}
    for name, each in stage._towers.items():
        pictures = torch.from_numpy(tower_input(each, clip_of(streams)))
        with torch.inference_mode():
            wanted = tower.vision(pixel_values=pictures).pooler_output.mean(0).numpy()
        check_array("features", outputs[f"{name}_features"], "32", "float32")
        np.testing.assert_allclose(outputs[f"{name}_features"], wanted, atol=1e-5)
        np.testing.assert_allclose(outputs[f"{name}_embedding"], plain[f"{name}_embedding"], atol=1e-5)


def test_features_of_clips_together_are_those_of_each_and_boxes_have_none(
    directory: Path, streams: dict[str, Any]
) -> None:
    stage = with_features(directory / "mov-like")
    boxes = {"boxes": np.array([[0, 4, 4, 20, 20, 1]], np.float32), "box_crops": np.array([0])}
    clips = [
        clip_of(streams | boxes),
        clip_of({"log_mel": streams["log_mel"][:1]}, {"frames": "no_stream", "flow": "too_short"}),
    ]
    for mine, alone in zip(stage.process_many(clips), [stage.process(clip) for clip in clips], strict=True):
        assert_same(mine, alone)
    outputs = stage.process(clips[1])
    assert (outputs["image_features"], outputs["motion_features"]) == (Absent("no_stream"), Absent("too_short"))
    assert outputs["audio_features"].shape == (32,)


def test_features_of_networks_in_int8_are_refused(directory: Path) -> None:
    with pytest.raises(ConfigError, match="--features: networks quantised to int8 give no features"):
        with_features(directory / "mov-like", precision="int8")
