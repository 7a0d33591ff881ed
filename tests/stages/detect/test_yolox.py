"""Boxes from networks with the outputs of YOLOX."""

import itertools
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import ConfigError, ModelError
from pipeline.stage import Resources, RunSettings
from stages.detect.coco import COCO
from stages.detect.yolox import (
    MOST,
    PAD,
    Yolox,
    decoded,
    grid,
    letterboxed,
    names_for,
    names_of,
    shape_of,
    without_doubles,
)
from tests.stages.detect.yolox_file import BOX, CELLS, SIDE, rows_of_one_object, write_yolox


def test_an_output_is_decoded_by_its_cell_and_stride() -> None:
    boxes, scores, classes = decoded(rows_of_one_object(), *grid(SIDE, SIDE), 0.5)
    np.testing.assert_allclose(boxes, [BOX], rtol=1e-5)
    assert (scores.tolist(), classes.tolist()) == ([1.0], [1])


def test_a_score_is_that_of_an_object_times_that_of_its_class() -> None:
    rows = np.zeros((CELLS, 7), np.float32)
    rows[:3, 4], rows[:3, 6] = 0.5, (0.75, 0.5, 0.25)
    boxes, scores, classes = decoded(rows, *grid(SIDE, SIDE), 0.25)
    assert (scores.tolist(), classes.tolist()) == ([0.375, 0.25], [1, 1])
    assert boxes.tolist() == [[-4, -4, 4, 4], [4, -4, 12, 4]]


def test_cells_of_all_strides_are_in_rows() -> None:
    cells, strides = grid(32, 64)
    assert (len(cells), strides[:, 0].tolist()) == (42, [8] * 32 + [16] * 8 + [32] * 2)
    assert cells[[0, 1, 8, 31, 32, 36, 41]].tolist() == [[0, 0], [1, 0], [0, 1], [7, 3], [0, 0], [0, 1], [1, 0]]


def test_a_picture_is_put_into_the_upper_left_corner_as_bgr() -> None:
    frame = np.zeros((50, 200, 3), np.uint8) + np.array([10, 20, 30], np.uint8)
    picture = letterboxed(frame, 64, 96)
    assert (picture.shape, picture.dtype) == ((3, 64, 96), np.float32)
    assert picture[:, :24].reshape(3, -1).T.tolist() == [[30, 20, 10]] * (24 * 96)
    assert (picture[:, 24:] == PAD).all()
    assert (letterboxed(frame[:, :10], 64, 96)[:, 0] != PAD).all(axis=0).sum() == 12  # 10 x 50, as large as fits


def test_a_better_box_of_the_same_class_stands_for_those_that_it_overlaps() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [5, 0, 15, 10]], np.float32)
    scores = np.array([0.6, 0.9, 0.5, 0.7], np.float32)
    assert without_doubles(boxes, scores, np.array([0, 0, 1, 0])).tolist() == [1, 3, 2]
    assert without_doubles(boxes[:0], scores[:0], np.zeros(0, int)).tolist() == []


def test_the_best_boxes_are_kept() -> None:
    corners = np.arange(MOST + 20)[:, None] * np.full((1, 4), 20) + [0, 0, 10, 10]
    kept = without_doubles(corners.astype(np.float32), np.linspace(0.1, 0.9, MOST + 20), np.zeros(MOST + 20, int))
    assert kept.tolist() == list(range(MOST + 19, 19, -1))


def test_names_are_those_of_a_file_or_of_coco_or_none(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("dog\n\n fire truck \n", encoding="utf-8")
    assert names_of(str(file)) == ("dog", "fire truck")
    assert names_of("") == ()
    assert names_for(file, ("dog", "cat"), 2) == ("dog", "cat")
    assert names_for(file, (), 80) == COCO
    assert names_for(file, (), 3) == ()
    assert (len(set(COCO)), COCO[0], COCO[5], COCO[12], COCO[79]) == (
        80,
        "person",
        "bus",
        "parking meter",
        "toothbrush",
    )


def test_names_that_cannot_be_read_or_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"detect\.names: .*names\.txt cannot be read .*No such file.*name per line"):
        names_of(str(tmp_path / "names.txt"))
    (tmp_path / "names.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"names\.txt cannot be read .*decode"):
        names_of(str(tmp_path / "names.txt"))
    with pytest.raises(ConfigError, match=r"detect\.names: 2 names for the 3 classes of .*a\.onnx; expected one per"):
        Yolox(write_yolox(tmp_path / "a.onnx"), ("dog", "cat"), 0.1, RunSettings())


def test_the_shape_is_read_from_the_file(tmp_path: Path) -> None:
    assert shape_of(write_yolox(tmp_path / "a.onnx")) == (SIDE, SIDE, 3)
    assert shape_of(write_yolox(tmp_path / "b.onnx", classes=80, batch="batch")) == (SIDE, SIDE, 80)


@pytest.mark.parametrize(("anchors", "classes"), [(CELLS + 1, 3), (CELLS, 0)])
def test_another_layout_is_refused_with_what_was_found(tmp_path: Path, anchors: int, classes: int) -> None:
    path = write_yolox(tmp_path / "a.onnx", anchors, classes)
    told = rf"a\.onnx: has images B 3 64 64; output B {anchors} {5 + classes}; expected the layout of YOLOX"
    with pytest.raises(ModelError, match=told):
        shape_of(path)


@pytest.fixture
def run(tmp_path: Path) -> RunSettings:
    return RunSettings(cache_directory=str(tmp_path / "cache"), engine="torch", precision="fp32", device="cuda")


def test_boxes_are_in_pixels_of_the_frames(tmp_path: Path, run: RunSettings) -> None:
    resources = Resources()
    detector = Yolox(write_yolox(tmp_path / "tiny.onnx"), ("a", "b", "c"), 0.5, run)
    dark, bright = (np.full((96, 128, 3), value, np.uint8) for value in (0, 255))
    detector.prepare(lambda text: None)
    with pytest.raises(RuntimeError, match="detector is not open"):
        detector.detect([dark])
    detector.open(resources)
    none, one = detector.detect([dark, bright])
    resources.close()
    assert (none.boxes.shape, none.scores.shape, none.names) == ((0, 4), (0,), [])
    np.testing.assert_allclose(one.boxes, 2 * np.array([BOX]), rtol=1e-4)  # 128 x 96 is seen as 64 x 48
    assert one.scores == pytest.approx([1.0])
    assert one.names == ["b"]
    assert detector.name in ("tiny-openvino-fp32@64", "tiny-onnxruntime-fp32@64")  # whatever is asked of the towers
    assert detector.short_side_px == 48


def test_a_real_network_finds_a_bus(shared_data: Path, run: RunSettings) -> None:
    weights = shared_data / "weights" / "yolox_nano.onnx"
    if not weights.is_file():
        pytest.skip(f"no real network: {weights} is missing")
    with av.open(shared_data / "clips" / "street_traffic_with_bus_0fbd01.mp4") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in itertools.islice(container.decode(video=0), 0, 50, 25)]
    resources = Resources()
    detector = Yolox(weights, (), 0.3, run)
    detector.prepare(lambda text: None)
    detector.open(resources)
    found = detector.detect(frames)
    resources.close()
    for each, frame in zip(found, frames, strict=True):
        assert "bus" in each.names
        x0, y0, x1, y1 = each.boxes[each.names.index("bus")]
        assert -20 < x0 < x1 < frame.shape[1] + 20
        assert -20 < y0 < y1 < frame.shape[0] + 20
        assert (x1 - x0) * (y1 - y0) > 0.02 * frame.shape[0] * frame.shape[1]
