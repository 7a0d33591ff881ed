"""Boxes around squares that move over a textured scene, with the camera at rest and panning; and of a network."""

from typing import Any

import numpy as np
import pytest

from pipeline.arrays import Array, check_array
from pipeline.clip import Absent, Clip, ClipInfo
from pipeline.stage import Budget, Resources, RunSettings
from stages.boxes import BoxKind, box_cover
from stages.colours import NAMES
from stages.detect.detector import Found
from stages.detect.regions import RegionOptions, moving_regions
from stages.detect.stage import Detect, diverse_boxes, flow_between, paced
from stages.flow import Flow, grey_at
from tests.stages.detect.fake_detector import FakeDetector, found
from tests.stages.test_flow import texture

SECOND = 1_000_000_000
SIDE = 36


def scene(count: int = 17, pan_px: float = 0.0, speed_px: float = 5.0, start_px: int = 20) -> tuple[Array, Array]:
    """Frames "T 224 300 3" of a texture with a square of another texture that moves right; its boxes "T 4"."""
    wide, thing = texture(224, 1000), texture(SIDE, SIDE, seed=5) // 2 + np.uint8(100)
    frames, boxes = [], []
    for i in range(count):
        left = 300 + round(pan_px * i)
        frame = wide[:, left : left + 300].copy()
        x, y = start_px + round(speed_px * i), 90
        frame[y : y + SIDE, x : x + SIDE] = thing
        frames.append(frame)
        boxes.append((x, y, x + SIDE, y + SIDE))
    return np.stack(frames), np.array(boxes, float)


def clip_of(frames: Array, width: int = 0, height: int = 0, rate_hz: int = 8, **more: Any) -> Clip:
    times = (np.arange(len(frames)) + 1) * SECOND // rate_hz
    arrays: dict[str, Any] = {"frames": frames, "frame_times_ns": times, **more}
    info = ClipInfo("a.mp4", 0, 0, 0, 2 * SECOND, width=width, height=height)
    arrays["flow"] = Flow(Flow.Options(), RunSettings(), Budget()).process(Clip(info, arrays))["flow"]
    return Clip(info, arrays)


def detect(clip: Clip, **settings: Any) -> Any:
    stage = Detect(Detect.Options(detector="none"), RunSettings(modalities=("motion",), **settings), Budget())
    outputs = stage.process(clip)
    assert set(outputs) == set(stage.gives())
    count = check_array("boxes", outputs["boxes"], "N 6", "float32")["N"]
    assert check_array("box_times_ns", outputs["box_times_ns"], "N", "int64")["N"] == count
    return outputs


def iou(a: Array, b: Array) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = np.prod(np.clip(high - low, 0, None))
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


@pytest.mark.parametrize(("pan_px", "least"), [(0.0, 16), (6.0, 13)])
def test_a_moving_square_is_boxed_with_the_camera_at_rest_and_panning(pan_px: float, least: int) -> None:
    frames, truth = scene(pan_px=pan_px)
    boxes = detect(clip_of(frames))["boxes"]
    best = [max((iou(row[1:5], truth[i]) for row in boxes if row[0] == i), default=0.0) for i in range(1, 17)]
    assert sum(overlap > 0.5 for overlap in best) >= least, np.round(best, 2)
    assert len(boxes) <= 22


def test_the_place_an_object_left_is_not_part_of_its_box_under_a_panning_camera() -> None:
    frames, truth = scene(count=17, pan_px=6.0, speed_px=14.0)
    boxes = detect(clip_of(frames))["boxes"]
    best = [max((row for row in boxes if row[0] == i), key=lambda row: iou(row[1:5], truth[i])) for i in range(1, 16)]
    assert np.median([row[3] - row[1] for row in best]) < 1.25 * SIDE  # including it: 36 + 14 + 6 px


def test_velocity_is_relative_to_the_scene_not_the_picture() -> None:
    clip = clip_of(scene(count=9, pan_px=8.0)[0])
    grey = [grey_at(frame, 224) for frame in clip["frames"]]
    found, _ = moving_regions(clip["flow"], grey, clip["frame_times_ns"], RegionOptions())
    largest = [max(regions, key=lambda r: r.area).velocity for regions in found if regions]
    across, down = np.median(largest, axis=0)
    assert across > 0.3  # in the picture it moves by 5 px a frame, 0.18 short sides per second; the scene by -0.29
    assert abs(down) < 0.1


def test_nothing_is_found_in_a_still_scene_or_under_a_panning_camera() -> None:
    wide = texture(224, 600)
    still = np.stack([wide[:, :300]] * 9)
    still = still + np.random.default_rng(0).integers(0, 3, still.shape, np.uint8)
    assert len(detect(clip_of(still))["boxes"]) == 0
    pan = np.stack([wide[:, 8 * i : 8 * i + 300] for i in range(9)])
    assert len(detect(clip_of(pan))["boxes"]) == 0


def test_boxes_are_in_pixels_of_the_source() -> None:
    frames, _ = scene()
    small, large = detect(clip_of(frames))["boxes"], detect(clip_of(frames, width=1200, height=896))["boxes"]
    assert np.allclose(small[:, 1:5] * 4, large[:, 1:5], rtol=1e-5)


def test_box_times_are_those_of_their_frames() -> None:
    clip = clip_of(scene()[0])
    outputs = detect(clip)
    indices = outputs["boxes"][:, 0].astype(int)
    assert np.array_equal(outputs["box_times_ns"], clip["frame_times_ns"][indices])


def test_with_a_previous_frame_the_first_frame_has_boxes_too() -> None:
    frames, truth = scene()
    more = {"previous_frame": frames[0], "previous_time_ns": np.zeros(1, np.int64)}
    boxes = detect(clip_of(frames[1:], **more))["boxes"]
    first = boxes[boxes[:, 0] == 0]
    assert max(iou(row[1:5], truth[1]) for row in first) > 0.5


def test_a_high_frame_rate_finds_the_same_boxes_at_no_more_cost() -> None:
    frames, truth = scene(count=49, speed_px=1.6)
    boxes = detect(clip_of(frames, rate_hz=24))["boxes"]
    indices = np.unique(boxes[:, 0]).astype(int)
    assert indices.tolist() == list(range(3, 49, 3))
    best = [max(iou(row[1:5], truth[i]) for row in boxes if row[0] == i) for i in indices]
    assert sum(overlap > 0.5 for overlap in best) >= 14, np.round(best, 2)


def test_frames_are_paced_and_flow_is_averaged_over_skipped_frames() -> None:
    times = np.array([0, 40, 80, 120, 160, 400]) * 1_000_000
    assert paced(times, 0.09) == [0, 3, 5]
    assert paced(times[:2], 0.09) == [0, 1]
    flow = np.ones((5, 2, 2, 2), np.float16) * np.array([1, 2, 3, 10, 20], np.float16)[:, None, None, None]
    assert flow_between(flow, times, [0, 3, 5])[:, 0, 0, 0].tolist() == pytest.approx([2, 10 / 7 + 120 / 7])
    flow[1] = 0
    assert flow_between(flow, times, [0, 3, 5])[:, 0, 0, 0].tolist() == pytest.approx([0, 10 / 7 + 120 / 7])


def test_a_scene_cut_has_no_boxes() -> None:
    one, two = texture(224, 300, seed=1), texture(224, 300, seed=2)
    clip = clip_of(np.stack([one] * 4 + [two] * 4))
    assert len(detect(clip)["boxes"]) == 0


def test_boxes_per_frame_are_bounded_and_best_first() -> None:
    random = np.random.default_rng(0)
    frames = [texture(224, 300)]
    for _ in range(8):
        frame = frames[0].copy()
        for x, y in random.integers(0, 200, (80, 2)):
            frame[y : y + 8, x : x + 8] = random.integers(0, 256, 3)
        frames.append(frame)
    boxes = detect(clip_of(np.stack(frames)))["boxes"]
    assert np.bincount(boxes[:, 0].astype(int)).max(initial=0) <= 32
    assert ((boxes[:, 5] >= 0) & (boxes[:, 5] <= 1)).all()
    for index in np.unique(boxes[:, 0]):
        scores = boxes[boxes[:, 0] == index, 5]
        assert (np.diff(scores) <= 0).all()


def test_pictures_of_one_pixel_work() -> None:
    assert len(detect(clip_of(np.zeros((3, 1, 1, 3), np.uint8)))["boxes"]) == 0


def encoding(modality: str = "image", **options: Any) -> Detect:
    return Detect(Detect.Options(detector="none", **options), RunSettings(modalities=(modality,)), Budget())


def test_a_bounded_number_of_boxes_is_chosen_for_encoding() -> None:
    outputs = encoding(crops_per_clip=3).process(clip_of(scene()[0]))
    crops = outputs["box_crops"]
    assert check_array("box_crops", crops, "C", "int64") == {"C": 3}
    assert (np.diff(crops) > 0).all()
    assert crops.max() < len(outputs["boxes"])


def test_when_nothing_moves_the_arrays_are_empty_but_not_absent() -> None:
    outputs = encoding().process(clip_of(np.stack([texture(224, 300)] * 5)))
    assert (outputs["boxes"].shape, outputs["box_crops"].shape) == ((0, 6), (0,))


@pytest.mark.parametrize(("modality", "crops"), [("motion", 8), ("image", 0)])
def test_crops_that_are_not_asked_for_are_absent_with_that_reason(modality: str, crops: int) -> None:
    outputs = encoding(modality, crops_per_clip=crops).process(clip_of(scene()[0][:4]))
    assert outputs["box_crops"] == Absent("not_asked")
    assert len(outputs["boxes"])


def test_chosen_boxes_are_spread_over_objects_and_time() -> None:
    shares = np.array([[0.1, 0.1, 0.2, 0.2]] * 8 + [[0.7, 0.7, 0.8, 0.8]] * 8)
    boxes = np.array([[i % 8, 0, 0, 1, 1, 0.9 if i < 8 else 0.7] for i in range(16)])
    chosen = diverse_boxes(boxes, shares, 4)
    assert sum(i < 8 for i in chosen) == 2
    assert diverse_boxes(boxes, shares, 0) == []
    assert diverse_boxes(boxes[:2], shares[:2], 5) == [0, 1]


def seeing(
    monkeypatch: pytest.MonkeyPatch, frames: Array, truth: list[Found], count: int = 0, **options: Any
) -> Detect:
    fake = FakeDetector(frames, truth, count)
    stage = Detect(Detect.Options(**options), RunSettings(modalities=("motion",)), Budget())
    with monkeypatch.context() as patch:
        patch.setattr("stages.detect.stage.make_detector", lambda *given: fake)
        stage.open(Resources())
    assert fake.is_open
    return stage


TREE = (220.0, 20.0, 280.0, 80.0)
"""Where the square never is."""


def test_what_moves_inside_a_box_of_the_network_has_no_box_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, truth = scene(count=9)
    sure = [found((*box, 0.9)) for box in truth]
    outputs = seeing(monkeypatch, frames, sure).process(clip_of(frames))
    is_motion = outputs["box_kinds"] == BoxKind.MOTION
    assert (~is_motion).sum() == 9
    for row in outputs["boxes"][is_motion]:
        assert box_cover(row[None, 1:5], truth[int(row[0])][None]) <= 0.5
    for other in ([found((*box, 0.2)) for box in truth], [found((*TREE, 0.9))] * 9):  # unsure, or elsewhere
        kinds = seeing(monkeypatch, frames, other).process(clip_of(frames))["box_kinds"]
        assert (kinds == BoxKind.MOTION).sum() >= is_motion.sum() + 7
    kinds = seeing(monkeypatch, frames, other, motion=False).process(clip_of(frames))["box_kinds"]
    assert kinds.tolist() == [BoxKind.NETWORK] * 9


def test_kinds_names_and_vectors_line_up_with_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, _ = scene(count=9)
    vector = np.array([[0.6, 0.8]], np.float32)
    trees = [found((*TREE, 0.9), names=["tree"], vectors=vector)] * 9
    stage = seeing(monkeypatch, frames, trees)
    outputs = stage.process(clip_of(frames, width=600, height=448))
    assert set(outputs) == set(stage.gives())
    boxes, kinds = outputs["boxes"], outputs["box_kinds"]
    assert check_array("box_kinds", kinds, "N", "uint8") == {"N": len(boxes)}
    assert check_array("box_vectors", outputs["box_vectors"], "N D", "float16") == {"N": len(boxes), "D": 2}
    is_tree = np.isclose(boxes[:, 1:5], 2 * np.array(TREE)).all(axis=1)
    assert is_tree.sum() == 9
    assert (~is_tree).sum() >= 7
    assert kinds.tolist() == np.where(is_tree, BoxKind.NETWORK, BoxKind.MOTION).tolist()
    assert outputs["box_names"] == ["tree" if tree else "" for tree in is_tree]
    np.testing.assert_allclose(outputs["box_vectors"], is_tree[:, None] * vector, atol=1e-3)
    assert (np.diff(boxes[:, 0]) >= 0).all()
    firsts = np.unique(boxes[:, 0], return_index=True)[1]
    assert is_tree[firsts].all()  # the network's come first in each frame
    assert outputs["detect_times_ns"].tolist() == clip_of(frames)["frame_times_ns"].tolist()


def test_colours_are_measured_in_two_frames_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, _ = scene(count=9)
    frames[:, 20:80, 220:280] = (200, 20, 30)
    trees = [found((*TREE, 0.9), names=["tree"])] * 9
    outputs = seeing(monkeypatch, frames, trees, colours=True).process(clip_of(frames, width=600, height=448))
    colours = outputs["box_colours"]
    measured = colours.any(axis=1)
    assert measured.sum() == 2
    assert (outputs["box_kinds"][measured] == BoxKind.NETWORK).all()
    assert (colours[measured].argmax(axis=1) == NAMES.index("red")).all()
    assert seeing(monkeypatch, frames, trees).process(clip_of(frames))["box_colours"] == Absent("not_asked")


def test_without_flow_boxes_of_the_network_are_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, truth = scene(count=8)
    whole = clip_of(frames)
    clip = Clip(whole.info, {name: whole[name] for name in ("frames", "frame_times_ns")}, {"flow": "not_asked"})
    outputs = seeing(monkeypatch, frames, [found((*box, 0.9)) for box in truth], count=2).process(clip)
    np.testing.assert_allclose(outputs["boxes"], [(i, *truth[i], 0.9) for i in (2, 6)], rtol=1e-5)
    assert outputs["box_kinds"].tolist() == [BoxKind.NETWORK] * 2
    assert outputs["box_names"] == ["", ""]
    assert outputs["box_vectors"] == Absent("not_asked")
    times = clip["frame_times_ns"][[2, 6]].tolist()
    assert (outputs["box_times_ns"].tolist(), outputs["detect_times_ns"].tolist()) == (times, times)
    assert encoding().process(clip) == dict.fromkeys(encoding().gives(), Absent("not_asked"))


def test_frames_are_as_large_as_the_network_wants_and_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, _ = scene(count=2)
    stage = seeing(monkeypatch, frames, [found()] * 2)
    assert (stage.demand().short_side_px, stage.describe()) == (300, {"detector": "fake"})
    assert (encoding().demand().short_side_px, encoding().describe()) == (224, {})


def test_the_motion_of_the_scene_is_told_for_every_pair_of_frames_that_was_compared() -> None:
    found = detect(clip_of(scene(pan_px=6.0)[0]))
    spans, rates = found["scene_spans_ns"], found["scene_rates"]
    assert len(spans) == len(rates) == 16
    assert np.array_equal(spans[1:, 0], spans[:-1, 1])
    per_frame_px = rates[:, 0, 2] * 224 * (spans[:, 1] - spans[:, 0]) / 1e9
    assert np.median(per_frame_px) == pytest.approx(-6.0, abs=0.7)
    assert np.abs(np.median(rates[:, 1, 2])) < 0.05
