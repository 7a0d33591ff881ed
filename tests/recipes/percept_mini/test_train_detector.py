"""The recipe of the detector: views of photos, which cells a box gets, losses that fall, and what a score means."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from PIL import Image

from pipeline.arrays import Array
from recipes.percept_mini import detector_data
from recipes.percept_mini.detector_data import SIDE_PX, Piece, views
from recipes.percept_mini.detector_figures import Answer, Truth
from recipes.percept_mini.train_detector import (
    MEASURES,
    Boxes,
    DetectorTrainee,
    boxes_of,
    cells_of,
    certainty_of,
    overlap,
    plan_of,
)
from training.train.loop import Training


def piece(width: int, height: int, *boxes: tuple[float, ...]) -> Piece:
    picture = Image.new("RGB", (width, height), (10, 200, 30))
    for box in boxes:
        picture.paste((250, 20, 20), tuple(round(side) for side in box))  # type: ignore[arg-type]
    return Piece(picture, np.array(boxes, np.float32).reshape(-1, 4), np.arange(len(boxes)))


def is_red(pixels: Array) -> Array:
    return (pixels[..., 0].astype(int) > pixels[..., 1].astype(int) + 60) & (pixels[..., 0] > 90)


def test_the_first_view_shows_the_whole_photo_and_the_same_number_always_gives_the_same() -> None:
    photo = piece(640, 480, (64.0, 96.0, 192.0, 240.0))
    first = next(views([photo], 0, 5))
    assert first.pixels.shape == (SIDE_PX, SIDE_PX, 3)
    assert np.allclose(first.boxes, [[32, 48, 96, 120]])
    assert (first.pixels[241:] == detector_data.GREY).all()
    for one, other in zip(views([photo], 0, 5), views([photo], 0, 5), strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert np.array_equal(one.boxes, other.boxes)


def test_boxes_move_with_what_they_are_around_in_parts_mirrors_and_collages() -> None:
    photos = [piece(300, 200, (120.0, 60.0, 200.0, 140.0)), piece(200, 300, (50.0, 100.0, 150.0, 220.0))]
    seen = 0
    for number in range(2):
        for view in views(photos, number, 12):
            for box in view.boxes.round().astype(int):
                inside = is_red(view.pixels[box[1] : box[3], box[0] : box[2]])
                seen += 1
                assert inside.mean() > 0.7, "the box is red"
    assert seen > 20


def written(folder: Path, split: str, views_: int = 6) -> None:
    """Random features, and a box or two in each view."""
    random = np.random.default_rng(5)
    shapes = {"fine": (112, 20, 20), "coarse": (320, 10, 10), "tokens": (384, 10, 10)}
    for name, shape in shapes.items():
        np.save(folder / f"{split}-{name}.npy", random.normal(0, 0.3, (views_, *shape)).astype(np.float16))
    boxes = [[[20.0, 30.0, 160.0, 200.0], [200.0, 200.0, 216.0, 214.0]][: 1 + view % 2] for view in range(views_)]
    rows = [list(range(len(each))) for each in boxes]
    np.save(folder / f"{split}-looks.npy", random.normal(size=(2, 384)).astype(np.float16))
    known = {"names": ["person", "dog (crowd)" if split == "x" else "tvmonitor"], "rows": rows, "boxes": boxes}
    (folder / f"{split}.json").write_text(json.dumps(known))


@pytest.fixture
def trainee(tmp_path: Path) -> DetectorTrainee:
    for split in ("train", "check"):
        written(tmp_path, split)
    torch.manual_seed(0)
    return DetectorTrainee(Boxes(tmp_path, "train"), Boxes(tmp_path, "check"))


def test_losses_fall_and_a_training_gives_a_head(trainee: DetectorTrainee, tmp_path: Path) -> None:
    losses = list[float]()
    (tmp_path / "run").mkdir()
    plan = replace(plan_of(12, 6), every_steps=12, warm_up_share=0.0)
    Training(trainee, plan, tmp_path / "run", "cpu", MEASURES).run(
        lambda row: losses.append(row["loss"]) if "loss" in row else None
    )
    assert min(losses[-3:]) < 0.8 * losses[0]


def test_every_box_gets_a_cell_also_a_small_one(trainee: DetectorTrainee) -> None:
    centres, _ = cells_of()
    boxes = boxes_of(centres, torch.full((1, len(centres), 4), 8.0))
    target, (rows, cells), owners, numbers = trainee._assigned([1], boxes, torch.full((1, len(centres)), 0.1))
    assert set(numbers.tolist()) == {0, 1}
    assert (rows == 0).all()
    assert (target[0, cells] >= 0.2).all()
    assert (target > 0).sum() == len(cells) == len(owners)
    small = cells[numbers == 1]
    assert ((centres[small] - torch.tensor([208.0, 207.0])).abs() < 16).all()


def test_boxes_around_crowds_are_left_out(tmp_path: Path) -> None:
    written(tmp_path, "x")
    boxes = Boxes(tmp_path, "x")
    assert [len(each) for each in boxes.boxes] == [1] * 6
    assert boxes.rows == [[0]] * 6


def test_overlap_is_that_of_the_boxes_and_giou_tells_how_far_apart_they_are() -> None:
    a = torch.tensor([[0.0, 0, 10, 10]])
    iou, giou = overlap(a, torch.tensor([[5.0, 0, 15, 10], [20, 0, 30, 10], [40, 0, 50, 10]]))
    assert iou.tolist() == pytest.approx([1 / 3, 0, 0])
    assert giou.tolist() == pytest.approx([1 / 3, -1 / 3, -0.6])


def test_certainty_makes_scores_the_share_of_boxes_that_are_right() -> None:
    random = np.random.default_rng(1)
    truths, answers = [], []
    for _ in range(400):
        scores = random.uniform(0.05, 0.95, 2).astype(np.float32)
        right = random.random(2) < scores**3
        boxes = np.array([[0, 0, 10, 10], [50, 50, 60, 60]], np.float32)
        truths.append(Truth(boxes[right], ["dog"] * int(right.sum())))
        answers.append(Answer(boxes, scores, np.array([[0.9, 0.1]] * 2)))
    slope, shift = certainty_of(truths, answers, ["dog", "cat"], {"dog"}).tolist()
    odds = slope * np.log(0.8 / 0.2) + shift
    assert 1 / (1 + np.exp(-odds)) == pytest.approx(0.8**3, abs=0.08)
