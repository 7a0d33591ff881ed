"""Boxes as in COCO: every number that refers to something finds it, also as pycocotools reads it."""

import json
from pathlib import Path

from pycocotools.coco import COCO

from archive.exports.coco import text
from pipeline.result import Track
from tests.archive.exports.made import EVIL, clip_with, source_with

CLIPS = [
    clip_with(
        *(0, 0, 2),
        tracks=[
            Track(7, [(0.4, 0, 0, 64, 36), (0.8, 600, 300, 700, 400)], "dog", 0.9),
            Track(8, [(0.4, 10, 10, 20, 30)]),
        ],
    ),
    clip_with(1, 2, 4, tracks=[Track(9, [(2.4, 1, 2, 3, 5)], EVIL, 0.5)]),
]


def test_every_box_has_its_picture_and_its_name() -> None:
    content = json.loads(text(source_with(CLIPS)))
    images = {each["id"]: each for each in content["images"]}
    names = {each["id"]: each["name"] for each in content["categories"]}
    found = [
        (images[each["image_id"]]["file_name"], names[each["category_id"]], each["track_id"], each["bbox"])
        for each in content["annotations"]
    ]
    assert found == [
        ("videos/talk.mp4/000011.jpg", "dog", 7, [0, 0, 64, 36]),
        ("videos/talk.mp4/000011.jpg", "object", 8, [10, 10, 10, 20]),
        ("videos/talk.mp4/000021.jpg", "dog", 7, [600, 300, 40, 60]),
        ("videos/talk.mp4/000061.jpg", EVIL, 9, [1, 2, 2, 3]),
    ]
    assert [each["area"] for each in content["annotations"]] == [64 * 36, 200, 2400, 6]
    assert [each.get("score") for each in content["annotations"]] == [0.9, None, 0.9, 0.5]
    assert {(each["width"], each["height"]) for each in content["images"]} == {(640, 360)}
    for kind in ("images", "annotations", "categories"):
        ids = [each["id"] for each in content[kind]]
        assert ids == list(range(1, len(ids) + 1))


def test_pycocotools_finds_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text(source_with(CLIPS)), encoding="utf-8")
    coco = COCO(str(tmp_path / "a.json"))
    (dog,) = coco.getCatIds(catNms=["dog"])
    images = coco.loadImgs(coco.getImgIds(catIds=[dog]))
    assert sorted(each["frame_id"] for each in images) == [10, 20]
    boxes = [each["bbox"] for each in coco.loadAnns(coco.getAnnIds(catIds=[dog]))]
    assert boxes == [[0, 0, 64, 36], [600, 300, 40, 60]]
    assert len(coco.anns) == 4


def test_tracks_with_less_probable_names_are_left_out() -> None:
    content = json.loads(text(source_with(CLIPS, least_probability=0.6)))
    assert {each["track_id"] for each in content["annotations"]} == {7}
    assert len(content["images"]) == 2
