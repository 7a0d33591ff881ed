"""Boxes for words from small random OWL-ViT and OWLv2 models in the real format: ours equal transformers'."""

from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

import percept
from engines.models.owl import read_owl
from pipeline.arrays import Array
from pipeline.stage import Resources, RunSettings
from stages.boxes import box_iou
from stages.detect.detector import Found
from stages.detect.owl import MOST, SHIFT, OwlDetector, best_queries, corners_of, distinct, has_area
from stages.detect.owl_pictures import GREY, padded, pictures_of, resized, seen_size
from stages.detect.own import shifted
from tests.media import make_video
from tests.tiny_models import OWL_SIDE_PX, make_tiny_owl

KINDS = ["owlvit", "owlv2"]
ASKED = ("dog|puppy", "old car", "person")
NAMES = ["dog", "dog", "old car", "person"]
PROMPTS = ["a photo of a dog", "a photo of a puppy", "a photo of a old car", "a photo of a person"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("owls")
    for kind in KINDS:
        make_tiny_owl(folder / kind, kind)
    return folder


def opened(directory: Path, cache: Path, least_score: float = 0.1, engine: str = "torch") -> OwlDetector:
    run = RunSettings(find=ASKED, follow="found", engine=engine, precision="fp32", cache_directory=str(cache))
    detector = OwlDetector(read_owl(directory), least_score, run)
    detector.prepare(lambda line: None)
    detector.open(Resources())
    return detector


def scene(height: int, width: int) -> Array:
    """Edges, gradients and noise: uint8 "H W 3"."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    planes = np.stack([x / width * 255, ((x // 17 + y // 13) % 2) * 255, 127 + 90 * np.sin(x * y / 900)], -1)
    noise = np.random.default_rng(0).normal(0, 12, (height, width, 3))
    return np.clip(planes + noise, 0, 255).astype(np.uint8)


def their_processor(directory: Path) -> Any:
    """Their image processor; that of OWLv2 with grey instead of black around the picture."""
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(directory)
    if directory.name == "owlv2":
        processor.pad = partial(processor.pad, constant_value=GREY)
    return processor


def theirs(directory: Path, frame: Array, pictures: Array | None = None) -> tuple[Array, Array, Array, Any]:
    """Boxes in pixels, scores and queries of all patches, and all outputs, from their processors, model and
    post-processing; pictures: in place of their processor's."""
    from transformers import AutoModelForZeroShotObjectDetection, AutoTokenizer

    processor = their_processor(directory)
    model = AutoModelForZeroShotObjectDetection.from_pretrained(directory).eval()
    texts = AutoTokenizer.from_pretrained(directory)(PROMPTS, padding="max_length", return_tensors="pt")
    seen = processor(frame, return_tensors="pt")["pixel_values"] if pictures is None else torch.from_numpy(pictures)
    with torch.inference_mode():
        given = model(**texts, pixel_values=seen)
    (found,) = processor.post_process_object_detection(given, threshold=-1.0, target_sizes=[frame.shape[:2]])
    return found["boxes"].numpy(), found["scores"].numpy(), found["labels"].numpy(), given


def ours(detector: OwlDetector, frame: Array) -> tuple[Array, Array, Array]:
    """Boxes in pixels, scores and queries of all patches."""
    given = detector.engine.run({"pictures": pictures_of([frame], detector.owl)})
    scores, which = best_queries(given["vectors"][0], given["shifts"][0], detector._open_queries)
    return corners_of(given["boxes"][0], *seen_size(*frame.shape[:2], detector.owl)), scores, which


@pytest.mark.parametrize("size", [(90, 160), (200, 120)])
@pytest.mark.parametrize("kind", KINDS)
def test_all_patches_are_as_with_transformers(folder: Path, kind: str, size: tuple[int, int], tmp_path: Path) -> None:
    frame, detector = scene(*size), opened(folder / kind, tmp_path)
    boxes, scores, which = ours(detector, frame)
    for pictures, most_px, most_score in ((pictures_of([frame], detector.owl), 1e-3, 1e-5), (None, 1.0, 0.03)):
        their_boxes, their_scores, their_labels, _ = theirs(folder / kind, frame, pictures)
        assert len(boxes) == len(their_boxes) == (OWL_SIDE_PX[kind] // 16) ** 2
        np.testing.assert_allclose(boxes, their_boxes, atol=most_px)
        np.testing.assert_allclose(scores, their_scores, atol=most_score)
        assert (which == their_labels).mean() > (0.999 if pictures is not None else 0.95)
    assert len(set(which.tolist())) > 1
    assert np.ptp(scores) > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_found_is_what_transformers_finds_without_doubles(folder: Path, kind: str, tmp_path: Path) -> None:
    frame = scene(90, 160)
    detector = opened(folder / kind, tmp_path, least_score=0.4)
    boxes, scores, labels, _ = theirs(folder / kind, frame, pictures_of([frame], detector.owl))
    names = np.array(NAMES)[labels]
    sure = np.flatnonzero((scores >= 0.4) & inside(boxes, 160, 90))
    kept = greedy(sure, boxes, scores, names)
    assert len(sure) > len(kept) > 3
    (found,) = detector.detect([frame])
    np.testing.assert_allclose(found.boxes, boxes[kept], atol=1e-3)
    np.testing.assert_allclose(found.scores, shifted(scores[kept], SHIFT), atol=1e-5)
    assert found.names == names[kept].tolist()
    assert (found.boxes.dtype, found.scores.dtype) == (np.float32, np.float32)
    assert len(set(found.names)) > 1
    assert detector.name == f"{kind}-torch-fp32@{OWL_SIDE_PX[kind]}"


def inside(boxes: Array, width: int, height: int) -> Array:
    x0, y0, x1, y1 = np.clip(boxes, 0, [width, height, width, height]).T
    return np.minimum(x1 - x0, y1 - y0) >= 1


def greedy(rows: Array, boxes: Array, scores: Array, names: Array) -> Array:
    """Rows, best first, without those that a better one overlaps."""
    kept: list[int] = []
    for row in sorted(rows.tolist(), key=lambda each: -scores[each]):
        overlaps = {other: float(box_iou(boxes[[row]], boxes[[other]])[0, 0]) for other in kept}
        if all(overlap <= (0.5 if names[row] == names[other] else 0.7) for other, overlap in overlaps.items()):
            kept.append(row)
    return np.array(kept)


@pytest.mark.parametrize("kind", KINDS)
def test_words_are_encoded_as_transformers_does_and_once(folder: Path, kind: str, tmp_path: Path) -> None:
    detector = opened(folder / kind, tmp_path)
    embedded = theirs(folder / kind, scene(64, 64))[3].text_embeds[0].numpy()
    np.testing.assert_allclose(detector._open_queries, embedded, atol=1e-5)
    lines: list[str] = []
    detector.prepare(lines.append)
    assert lines == []


@pytest.mark.parametrize(("kind", "size"), [("owlvit", (90, 160)), ("owlv2", (90, 160)), ("owlv2", (300, 200))])
def test_pictures_are_those_of_transformers(folder: Path, kind: str, size: tuple[int, int]) -> None:
    frame, owl = scene(*size), read_owl(folder / kind)
    mine = pictures_of([frame], owl)
    wanted = their_processor(folder / kind)(frame, return_tensors="np")["pixel_values"]
    assert (mine.shape, mine.dtype) == (wanted.shape, np.float32)
    error = np.abs(mine - wanted) * np.array(owl.image.std).reshape(3, 1, 1) * 255
    assert error.max() <= 2.01  # grey levels


def test_a_picture_is_padded_with_grey_below_or_on_the_right() -> None:
    frame = np.full((2, 4, 3), 255, np.uint8)
    assert padded(frame)[..., 0].tolist() == [[1] * 4] * 2 + [[GREY] * 4] * 2
    assert padded(frame.transpose(1, 0, 2))[..., 0].tolist() == [[1, 1, GREY, GREY]] * 4
    assert resized(padded(frame), 8).shape == (8, 8, 3)


def test_scores_of_very_small_and_large_logits_are_probabilities() -> None:
    scores, which = best_queries(np.zeros((3, 2), np.float32), np.array([-1e4, 0, 1e4], np.float32), np.eye(2))
    assert (scores.tolist(), which.tolist()) == ([0, 0.5, 1], [0, 0, 0])


def test_boxes_around_the_picture_alone_are_left_out() -> None:
    corners = np.array([[0, 0, 9, 9], [0, 50, 9, 60], [0, 49.5, 9, 60], [-5, 0, 0.5, 9]], np.float32)
    assert has_area(corners, 100, 50).tolist() == [True, False, False, False]


def test_two_words_for_nearly_one_box_are_one_object_and_other_overlaps_are_two() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 6], [0, 0, 10, 5.5]], np.float32)
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    assert distinct(boxes, scores, np.array([0, 1, 1, 0])).tolist() == [0, 2]
    assert distinct(boxes[:0], scores[:0], np.zeros(0, int)).tolist() == []


def test_a_box_that_is_left_out_hides_no_other() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 5]], np.float32)
    assert distinct(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([0, 1, 1])).tolist() == [0, 2]


def test_the_best_boxes_are_kept() -> None:
    corners = np.arange(MOST + 20)[:, None] * np.full((1, 4), 20) + [0, 0, 10, 10]
    kept = distinct(corners.astype(np.float32), np.linspace(0.1, 0.9, MOST + 20), np.zeros(MOST + 20, int))
    assert kept.tolist() == list(range(MOST + 19, 19, -1))


def test_nothing_is_found_below_the_least_score(folder: Path, tmp_path: Path) -> None:
    (found,) = opened(folder / "owlvit", tmp_path, least_score=1.0).detect([scene(60, 60)])
    assert (found.boxes.shape, found.scores.shape, found.names) == ((0, 4), (0,), [])


def test_a_detector_that_is_not_open_says_so(folder: Path) -> None:
    detector = OwlDetector(read_owl(folder / "owlvit"), 0.1, RunSettings(find=ASKED))
    with pytest.raises(RuntimeError, match="detector is not open"):
        detector.detect([scene(60, 60)])
    assert (detector.frames_per_clip, detector.short_side_px) == (2, 72)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("kind", KINDS)
def test_engines_are_built_and_pass_their_gate(
    kind: str, engine: str, folder: Path, cache_without_engines: Path
) -> None:
    frames = [scene(90, 160), scene(90, 160)[::-1]]
    built, wanted = (opened(folder / kind, cache_without_engines, engine=each) for each in (engine, "torch"))
    assert built.name == f"{kind}-{engine}-fp32@{OWL_SIDE_PX[kind]}"
    for one, other in zip(built.detect(frames), wanted.detect(frames), strict=True):
        assert_alike(one, other)


def assert_alike(one: Found, other: Found) -> None:
    assert len(one.boxes) == len(other.boxes) > 3
    np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-3)
    assert one.names == other.names


@pytest.mark.slow
def test_a_run_tells_what_its_words_name(folder: Path, tmp_path: Path) -> None:
    """With the kind that pads its pictures; what both find in a frame is compared with transformers above."""
    kind = "owlv2"
    video = make_video(tmp_path / "a.mp4", size=(160, 120), picture=nearly_still)
    asked: Any = {"detector": folder / kind, "find": "dog|puppy, old car, person", "engine": "torch"}
    results = list(percept.run(video, **asked, modalities="image,motion", settings={"detect.motion": False}))
    assert [result.error for result in results] == [None, None]
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    found = opened(folder / kind, tmp_path).detect(frames[::5])
    for result in results:
        assert len(result.tracks) > 3
        assert {track.kind for track in result.tracks} == {"network"}
        near = [distance_px(np.array(track.boxes)[:, 1:], found, track.label) for track in result.tracks]
        assert np.mean(np.array(near) < 3.0) >= 0.8


def distance_px(boxes: Array, found: list[Found], name: str | None) -> float:
    """From a track's boxes to the nearest one of that name that a detector has found in any frame, in the median."""
    mine = np.concatenate([each.boxes[[one == name for one in each.names]] for each in found])
    inside = np.clip(mine, 0, [160, 120, 160, 120])
    return float(np.median(np.abs(boxes[:, None] - inside).max(axis=2).min(axis=1)))


def nearly_still(time_s: float, width: int, height: int) -> Array:
    """A scene in which something small moves: without any motion at all, flow would be that of a cut."""
    picture = scene(height, width)
    left = round(time_s * 12)
    picture[4:12, left : left + 8] = 200
    return picture
