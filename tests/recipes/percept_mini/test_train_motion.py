"""Synthetic clips move as their words describe, in the product's optical flow; training can be resumed."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from engines.networks.motion import load_motion
from recipes.percept_mini.motion_data import Maker, load, make
from recipes.percept_mini.motion_pictures import Film
from recipes.percept_mini.motion_scenes import KINDS, Camera, Grid, Scene, Thing
from recipes.percept_mini.motion_truth import truth
from recipes.percept_mini.motion_words import (
    BACKWARDS,
    BUNDLED,
    MIRRORED,
    TOWER_WORDS,
    TURNED,
    UPSIDE_DOWN,
    WORDS,
    exchanged,
    word_lines,
)
from recipes.percept_mini.train_motion import MotionPlan, augmented, fit, loss_of

EASY = Grid((0.4,), (8,), 0.0, 0.0, (80, 90))


@pytest.fixture(scope="module")
def maker() -> Maker:
    """A maker with two "photos" whose texture suits optical flow."""
    random = np.random.default_rng(0)
    photos = []
    for _ in range(2):
        coarse, fine = (random.integers(0, 256, size).astype(np.uint8) for size in ((28, 40), (112, 160)))
        coarse, fine = (cv2.resize(part, (320, 224), interpolation=cv2.INTER_CUBIC) for part in (coarse, fine))
        photos.append(cv2.addWeighted(coarse, 0.6, fine, 0.4, 0))
    return Maker(photos, EASY, 0)


def motion(maker: Maker, kind: str, number: int = 0) -> Any:
    """Flow "T 2 S S" of a clip of this kind, in short sides per second."""
    pictures, right, _ = maker.clip(KINDS.index(kind) + number * len(KINDS))
    assert right[WORDS.index(kind)] == 1
    return (pictures[:, :2] / 127.5 - 1) * 2.0


@pytest.mark.parametrize(
    ("kind", "axis", "sign"),
    [("panning left", 0, 1), ("panning right", 0, -1), ("panning up", 1, 1), ("panning down", 1, -1)],
)
def test_a_panning_camera_moves_everything_the_other_way(maker: Maker, kind: str, axis: int, sign: int) -> None:
    mean = motion(maker, kind).mean((0, 2, 3))
    assert mean[axis] * sign == pytest.approx(0.4, abs=0.15)
    assert abs(mean[1 - axis]) < 0.15


def test_zooming_in_moves_everything_outwards_and_zooming_out_inwards(maker: Maker) -> None:
    for kind, sign in (("zooming in", 1), ("zooming out", -1)):
        flow = motion(maker, kind).mean(0)
        outwards = flow[0, :, -8:].mean() - flow[0, :, :8].mean() + flow[1, -8:].mean() - flow[1, :8].mean()
        assert outwards * sign > 0.2


@pytest.mark.parametrize("velocity", [(-0.4, 0.0), (0.0, 0.4)])
def test_a_thing_has_its_velocity_relative_to_the_background(maker: Maker, velocity: tuple[float, float]) -> None:
    scene = Scene("something moving", 1.0, 8.0, 4 / 3, Camera((0.2, 0.0)), (Thing(0.6, (0.0, 0.0), velocity),))
    film = Film(scene, maker._photos[0], [maker._photos[1]], EASY, np.random.default_rng(4))
    (flow,) = maker._pair(film, 4).astype(np.float32)
    height, width = flow.shape[:2]
    behind = np.median(flow[:, : width // 8], axis=(0, 1))
    thing = np.median(flow[height // 2 - 9 : height // 2 + 9, width // 2 - 9 : width // 2 + 9], axis=(0, 1))
    np.testing.assert_allclose(behind, (0.2, 0.0), atol=0.06)
    np.testing.assert_allclose(thing - behind, velocity, atol=0.1)


def test_a_still_clip_has_no_motion_and_clips_are_deterministic(maker: Maker) -> None:
    assert np.abs(motion(maker, "still")).mean() < 0.05
    for part, again in zip(maker.clip(3), maker.clip(3), strict=True):
        np.testing.assert_array_equal(part, again)


def truth_by_word(scene: Scene) -> dict[str, int]:
    return dict(zip(WORDS, truth(scene).tolist(), strict=True))


def test_the_words_of_a_scene() -> None:
    slow_pan = truth_by_word(Scene("panning left", 2.0, 8.0, 1.0, Camera((0.1, 0.0))))
    assert {word for word, value in slow_pan.items() if value == 1} == {"panning left", "slow"}
    middling = truth_by_word(Scene("panning left", 2.0, 8.0, 1.0, Camera((0.4, 0.0))))
    assert (middling["slow"], middling["fast"]) == (-1, -1)
    followed = truth_by_word(
        Scene("something moving left", 2.0, 8.0, 1.0, Camera((1.0, 0.0)), (Thing(0.3, (0, 0), (-1.0, 0.0)),))
    )
    assert {word for word, value in followed.items() if value == 1} == {"something moving left", "panning left", "fast"}
    swaying = truth_by_word(Scene("swaying", 2.0, 8.0, 1.0, things=(Thing(0.3, (0, 0), sway=(0.1, 0.0, 1.0)),)))
    assert 1 not in swaying.values(), "no word describes swaying"
    assert truth_by_word(Scene("still", 2.0, 8.0, 1.0, Camera(shake=0.02)))["still"] == 1


def test_every_word_has_other_phrasings() -> None:
    assert len(TOWER_WORDS) == len(set(TOWER_WORDS)) == len(load_motion(BUNDLED).concepts)
    assert set(TOWER_WORDS) <= set(WORDS)
    assert all(len(names) >= 3 for names in word_lines())


@pytest.mark.parametrize("pairs", [MIRRORED, UPSIDE_DOWN, TURNED, BACKWARDS])
def test_mirroring_twice_restores_the_words(pairs: dict[str, str]) -> None:
    mapped = exchanged(pairs)
    assert [mapped[index] for index in mapped] == list(range(len(WORDS)))
    assert mapped != list(range(len(WORDS)))


def test_a_changed_clip_gets_the_changed_word() -> None:
    pictures, right = torch.zeros(1, 8, 3, 56, 56), torch.zeros(1, len(WORDS), dtype=torch.int8)
    pictures[:, :, 0] = 0.5
    right[0, WORDS.index("panning left")] = 1
    where = {"panning left": (0.5, 0), "panning right": (-0.5, 0), "panning up": (0, 0.5), "panning down": (0, -0.5)}
    met = set()
    for seed in range(30):
        seen, word = augmented(pictures, right, torch.Generator().manual_seed(seed))
        name = WORDS[int(word[0].argmax())]
        assert tuple(seen[0, -1, :2, 0, 0].tolist()) in (where[name], (0, 0)), "the last picture may be a gap"
        met.add(name)
    assert met == set(where)


def test_undecided_words_do_not_contribute_to_the_loss() -> None:
    right = torch.tensor([[1, 0, -1]])
    losses = [loss_of(torch.tensor([[2.0, -1.0, unknown]]), right) for unknown in (-9.0, 9.0)]
    assert losses[0] == losses[1]
    assert loss_of(torch.tensor([[2.0, 1.0, 0.0]]), right) > losses[0]


def test_clips_are_made_once(maker: Maker, tmp_path: Path) -> None:
    make(tmp_path, "train", maker, 3)
    (path,) = tmp_path.glob("*")
    changed = path.stat().st_mtime_ns
    make(tmp_path, "train", maker, 3)
    assert path.stat().st_mtime_ns == changed
    pictures, right, speeds = load(tmp_path, "train")
    assert (pictures.shape, right.shape, speeds.shape) == ((3, 8, 3, 56, 56), (3, len(WORDS)), (3,))
    with pytest.raises(FileNotFoundError, match="no test clips"):
        load(tmp_path, "test")


def test_interrupted_training_resumes_with_the_same_result(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    pictures, right = (
        random.integers(0, 256, (6, 8, 3, 56, 56), np.uint8),
        random.integers(-1, 2, (6, len(WORDS)), np.int8),
    )
    right[:2] = [[1], [0]]
    clips = pictures, right, np.zeros(6)
    plan = MotionPlan(steps=2, batch=4, steps_per_round=1)

    class Stopped(Exception):
        pass

    def stop_after(steps: int) -> Any:
        import recipes.percept_mini.train_motion as module

        class Log:
            lines = 0

            def info(self, message: str, *values: Any) -> None:
                self.lines += message.startswith("step")
                if self.lines > steps:
                    raise Stopped

        return module, Log()

    fit(clips, clips, tmp_path / "whole", plan)
    module, log = stop_after(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "log", log)
        with pytest.raises(Stopped):
            fit(clips, clips, tmp_path / "halves", plan)
    assert torch.load(tmp_path / "halves" / "checkpoint.pt", weights_only=True)["step"] == 1
    fit(clips, clips, tmp_path / "halves", plan)
    whole, halves = (
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["network"] for name in ("whole", "halves")
    )
    for name, tensor in whole.items():
        torch.testing.assert_close(halves[name], tensor)
