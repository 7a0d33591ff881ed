"""Tokens, embeddings and the reasons why one is absent; towers that are the same network run once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.arrays import check_array
from pipeline.clip import Absent, Clip, ClipInfo
from pipeline.stage import Budget, Resources, RunSettings
from stages.encode import Encode, pool, tower_input
from stages.fuse import Fuse
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


def test_every_name_is_settled_within_its_room(directory: Path, streams: dict[str, Any]) -> None:
    stage = opened(directory / "mov-like")
    outputs = stage.process(clip_of(streams))
    assert set(outputs) == set(stage.gives())
    for modality, count in (("image", 8), ("motion", 8), ("audio", 3)):
        tokens, embedding = outputs[f"{modality}_tokens"], outputs[f"{modality}_embedding"]
        assert check_array("tokens", tokens, "N 16", "float32") == {"N": count}
        assert tokens.nbytes <= stage.gives()[f"{modality}_tokens"].max_bytes
        check_array("embedding", embedding, "16", "float32")
        assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
    assert set(outputs["signals"]) == {"image", "motion", "audio"}
    assert stage.describe() == {"engine": "torch-fp32", "model": "mov-like@1"}


def test_towers_of_the_same_network_run_in_one_call(directory: Path, streams: dict[str, Any]) -> None:
    stage = opened(directory / "mov-like")
    engine = stage._engines["image"]
    assert stage._engines == {"image": engine, "motion": engine, "audio": engine}
    batches: list[int] = []
    ask = engine.run
    engine.run = lambda feeds: batches.append(len(feeds["pictures"])) or ask(feeds)  # type: ignore[func-returns-value,method-assign]
    together = stage.process(clip_of(streams))
    assert batches == [19]
    for modality in ("image", "motion", "audio"):
        alone = ask({"pictures": tower_input(stage._towers[modality], clip_of(streams))})["tokens"]
        np.testing.assert_allclose(together[f"{modality}_tokens"], alone, atol=1e-5)


def test_two_stages_of_a_worker_share_the_loaded_network(directory: Path) -> None:
    resources = Resources()
    first, second = opened(directory / "mov-like", resources), opened(directory / "mov-like", resources)
    assert first._engines["image"] is second._engines["image"]


def test_a_tower_that_the_model_lacks_and_one_not_asked_for_say_so(directory: Path, streams: dict[str, Any]) -> None:
    stage = opened(directory / "tiny-clip", modalities=("image", "motion"))
    outputs = stage.process(clip_of(streams))
    assert outputs["motion_embedding"] == outputs["motion_tokens"] == Absent("no_tower")
    assert outputs["audio_embedding"] == Absent("not_asked")
    assert outputs["image_embedding"].shape == (16,)
    assert outputs["signals"]["motion"]["energy"] > 0


def test_a_missing_stream_keeps_its_reason(directory: Path, streams: dict[str, Any]) -> None:
    stage = opened(directory / "mov-like")
    sound_only = {name: streams[name] for name in ("log_mel", "audio", "audio_mask", "audio_start_ns")}
    outputs = stage.process(clip_of(sound_only, {"frames": "no_stream", "flow": "too_short"}))
    assert outputs["image_embedding"] == Absent("no_stream")
    assert outputs["motion_tokens"] == Absent("too_short")
    assert outputs["audio_embedding"].shape == (16,)
    assert set(outputs["signals"]) == {"audio"}


def test_a_clip_of_which_nothing_is_left_is_absent_all_over(directory: Path) -> None:
    stage = opened(directory / "mov-like")
    gone = dict.fromkeys(("frames", "flow", "log_mel", "audio"), "gap")
    outputs = stage.process(clip_of({}, gone))
    assert outputs["signals"] == {}
    assert {repr(value) for name, value in outputs.items() if name != "signals"} == {repr(Absent("gap"))}


def test_few_frames_are_enough(directory: Path, streams: dict[str, Any]) -> None:
    stage = opened(directory / "mov-like")
    outputs = stage.process(clip_of({"frames": streams["frames"][:1]}, {"flow": "too_short", "log_mel": "no_stream"}))
    assert outputs["image_tokens"].shape == (1, 16)


def test_it_asks_for_the_largest_picture_a_tower_takes(directory: Path) -> None:
    run = RunSettings(model=str(directory / "mov-like"))
    assert Encode(Encode.Options(), run, Budget()).demand().short_side_px == 32
    sound_only = RunSettings(model="percept-mini", modalities=("audio",))
    assert Encode(Encode.Options(), sound_only, Budget()).demand().short_side_px == 0


def test_the_bundled_model_runs_without_transformers(pytestconfig: pytest.Config) -> None:
    import subprocess
    import sys

    assert pytestconfig.cache is not None
    cache = str(pytestconfig.cache.mkdir("percept"))  # kept between test runs: building takes seconds
    code = """
import sys, numpy as np
from pipeline.clip import Clip, ClipInfo
from pipeline.stage import Budget, Resources, RunSettings
from stages.encode import Encode
from stages.spectrogram import Spectrogram
run = RunSettings(cache_directory=sys.argv[2])
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


def test_pooling_nothing_but_zeros_gives_zeros() -> None:
    np.testing.assert_array_equal(pool(np.zeros((2, 3), np.float32)), [0, 0, 0])


def test_no_model_has_a_fusion_head_yet(streams: dict[str, Any]) -> None:
    stage = Fuse(Fuse.Options(), RunSettings(), Budget())
    assert stage.process(clip_of(streams)) == {"embedding": Absent("no_tower")}
    assert set(stage.gives()) == {"embedding"}
