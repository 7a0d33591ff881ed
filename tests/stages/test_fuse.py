"""The outputs of the fuse stage: fused embeddings, or the frozen ones if the head changes nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engines.networks.fusion import MovFusion
from pipeline.arrays import check_array
from pipeline.clip import Absent, Clip, ClipInfo
from pipeline.errors import ModelError
from pipeline.stage import Budget, Resources, RunSettings
from stages.encode import pool
from stages.fuse import Fuse
from tests.fusion_heads import add_head, make_head
from tests.tiny_models import write_mov_like

FUSED = {"fused_image", "fused_motion", "fused_audio"}
DIMS = {"image": 16, "motion": 16, "audio": 16}


@pytest.fixture(scope="module")
def clip_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty directory: the models only name it, their towers are never opened."""
    return tmp_path_factory.mktemp("tiny-clip")


@pytest.fixture(scope="module")
def head() -> MovFusion:
    return make_head(0.5, **DIMS)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, clip_model: Path, head: MovFusion) -> Path:
    return add_head(write_mov_like(tmp_path_factory.mktemp("trained"), clip_model), head)


def clip_of(seed: int = 0, absent: Mapping[str, str] | None = None, **counts: int) -> Clip:
    """A clip with this many tokens per modality, and their embeddings."""
    arrays: dict[str, Any] = {}
    for number, (name, count) in enumerate(counts.items()):
        tokens = np.random.default_rng([seed, number]).normal(0, 0.3, (count, 16)).astype(np.float32)
        arrays |= {f"{name}_tokens": tokens, f"{name}_embedding": pool(tokens)}
    return Clip(ClipInfo("a.mp4", 0, seed, 0, 2_000_000_000), arrays, dict(absent or {}))


def opened(model: Path, **settings: Any) -> Fuse:
    run = RunSettings(model=str(model), engine="torch", **settings)
    stage = Fuse(Fuse.Options(), run, Budget())
    stage.prepare(lambda text: None)
    stage.open(Resources())
    return stage


def wanted(head: MovFusion, clip: Clip) -> dict[str, Any]:
    given = {name: torch.from_numpy(clip[f"{name}_tokens"])[None] for name in DIMS if f"{name}_tokens" in clip.arrays}
    return {f"fused_{name}": each[0].numpy() for name, each in head(**given).items()}


def test_the_stage_returns_the_outputs_of_the_head(trained: Path, head: MovFusion) -> None:
    stage, clip = opened(trained), clip_of(image=8, motion=5, audio=3)
    outputs = stage.process(clip)
    assert set(outputs) == set(stage.gives()) == FUSED
    for name, each in wanted(head, clip).items():
        check_array(name, outputs[name], "16", "float32")
        np.testing.assert_allclose(outputs[name], each, atol=1e-6)
        assert float(outputs[name] @ clip[name.replace("fused_", "") + "_embedding"]) < 0.999
    assert stage.describe() == {"fusion": "picture with motion by torch-fp32 and audio by torch-fp32"}


def test_clips_fused_together_get_the_same_outputs_as_alone(trained: Path, head: MovFusion) -> None:
    stage = opened(trained)
    clips = [
        clip_of(0, image=8, motion=5, audio=3),
        clip_of(1, {"audio_tokens": "no_stream"}, image=8, motion=5),
        clip_of(2, image=8, motion=5, audio=1),
        clip_of(3, {"image_tokens": "no_stream"}, audio=3),
        clip_of(4, image=8, motion=5, audio=3),
        clip_of(5, {"motion_tokens": "too_short"}, image=1, audio=3),
    ]
    batches: list[int] = []
    for engine in stage._engines.values():

        def recorded(feeds: Any, ask: Any = engine.run) -> Any:
            batches.append(len(feeds["image"]))
            return ask(feeds)

        engine.run = recorded  # type: ignore[method-assign]
    together = stage.process_many(clips)
    assert batches == [4, 2, 1, 1]  # motion: four clips with equal counts; sound: 8 and 3 tokens, 8 and 1, 1 and 3
    for clip, outputs in zip(clips, together, strict=True):
        for name, each in stage.process(clip).items():
            if isinstance(each, Absent):
                assert outputs[name] == each
            else:
                np.testing.assert_allclose(outputs[name], each, atol=1e-6)
                np.testing.assert_allclose(outputs[name], wanted(head, clip)[name], atol=1e-6)


def test_without_the_other_modalities_the_embedding_is_the_same_to_the_bit(trained: Path) -> None:
    stage = opened(trained)
    clip = clip_of(absent={"motion_tokens": "too_short", "audio_tokens": "no_stream"}, image=8)
    outputs = stage.process(clip)
    assert np.array_equal(outputs["fused_image"], clip["image_embedding"])
    assert (outputs["fused_motion"], outputs["fused_audio"]) == (Absent("too_short"), Absent("no_stream"))


def test_without_a_picture_nothing_is_fused(trained: Path) -> None:
    outputs = opened(trained).process(clip_of(absent={"image_tokens": "no_stream"}, motion=5, audio=3))
    assert outputs == dict.fromkeys(FUSED, Absent("no_stream"))
    blind = opened(trained, modalities=("motion", "audio"))
    assert blind._engines == {}
    assert blind.process(clip_of(absent={"image_tokens": "not_asked"}, motion=5))["fused_motion"] == Absent("not_asked")


def test_a_modality_that_is_not_asked_for_is_not_used(trained: Path, head: MovFusion) -> None:
    stage = opened(trained, modalities=("image", "audio"))
    assert list(stage._engines) == ["audio"]
    clip = clip_of(absent={"motion_tokens": "not_asked"}, image=8, audio=3)
    outputs = stage.process(clip)
    assert outputs["fused_motion"] == Absent("not_asked")
    np.testing.assert_allclose(outputs["fused_image"], wanted(head, clip)["fused_image"], atol=1e-6)


def test_a_model_without_a_head_fuses_nothing(tmp_path: Path, clip_model: Path) -> None:
    stage = opened(write_mov_like(tmp_path, clip_model))
    assert stage.process(clip_of(image=8, motion=5)) == dict.fromkeys(FUSED, Absent("no_tower"))
    assert stage.describe() == {}


def test_an_untrained_head_needs_no_engine_and_changes_no_bit(tmp_path: Path, clip_model: Path) -> None:
    stage = opened(add_head(write_mov_like(tmp_path, clip_model), make_head(0.0, **DIMS)))
    clip = clip_of(image=8, motion=5, audio=3)
    outputs = stage.process(clip)
    assert stage._engines == {}
    assert stage.describe() == {"fusion": "changes nothing"}
    for name in DIMS:
        assert np.array_equal(outputs[f"fused_{name}"], clip[f"{name}_embedding"])


def test_a_silent_sound_changes_no_bit(trained: Path) -> None:
    stage, clip = opened(trained), clip_of(image=4, audio=3)

    def fused(loudness_dbfs: float) -> Any:
        signals = {"signals": {"audio": {"loudness_dbfs": loudness_dbfs}}}
        return stage.process(Clip(clip.info, {**clip.arrays, **signals}, clip.absent))["fused_image"]

    assert np.array_equal(fused(-90.0), clip["image_embedding"])
    loud, low = fused(-20.0), fused(-60.0)
    assert 0 < np.abs(low - clip["image_embedding"]).max() < np.abs(loud - clip["image_embedding"]).max()


def test_a_modality_that_the_head_lacks_is_absent(tmp_path: Path, clip_model: Path) -> None:
    stage = opened(add_head(write_mov_like(tmp_path, clip_model), make_head(0.5, image=16, audio=16)))
    outputs = stage.process(clip_of(image=8, motion=5, audio=3))
    assert outputs["fused_motion"] == Absent("no_tower")
    assert not isinstance(outputs["fused_audio"], Absent)


def test_a_side_with_a_closed_gate_is_the_same_to_the_bit(tmp_path: Path, clip_model: Path) -> None:
    head = make_head(0.5, **DIMS)
    head.exchange("audio").other.gate.zero_()
    stage = opened(add_head(write_mov_like(tmp_path, clip_model), head))
    clip = clip_of(image=8, motion=5, audio=3)
    outputs = stage.process(clip)
    assert np.array_equal(outputs["fused_audio"], clip["audio_embedding"])
    assert not np.array_equal(outputs["fused_image"], clip["image_embedding"])


def test_more_tokens_than_the_head_has_positions_for_are_thinned_out(trained: Path) -> None:
    clip = clip_of(image=100, motion=5)
    outputs = opened(trained).process(clip)
    assert np.isfinite(outputs["fused_image"]).all()
    assert not np.array_equal(outputs["fused_image"], clip["image_embedding"])


def test_a_head_for_other_towers_is_refused(tmp_path: Path, clip_model: Path) -> None:
    model = add_head(write_mov_like(tmp_path, clip_model), make_head(0.5, image=16, audio=12))
    with pytest.raises(ModelError, match="expects audio tokens of length 12, but mov-like@1 has 16"):
        opened(model)
