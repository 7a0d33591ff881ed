"""Tracks are joined over clips, named by what most of them say, and end where nothing was seen."""

from archive.exports.boxes import UNNAMED, join_tracks
from pipeline.result import Track
from tests.archive.exports.made import clip_with

SIZE = (640, 360)


def frame(time_s: float) -> int:
    return round(time_s * 10)


def test_a_track_goes_on_in_the_next_clip_and_pauses_where_it_was_out_of_sight() -> None:
    clips = [
        clip_with(0, 0, 2, tracks=[Track(5, [(1.0, 0, 0, 10, 10), (1.5, 5, 0, 15, 10)], "dog", 0.4)]),
        clip_with(1, 2, 4, tracks=[Track(5, [(2.0, 10, 0, 20, 10), (3.5, 50, 0, 60, 10)], "cat", 0.5)]),
        clip_with(2, 4, 6, tracks=[Track(5, [(4.0, 60, 0, 70, 10)], "dog", 0.2), Track(2, [(4.0, 1, 1, 2, 2)])]),
    ]
    other, path = join_tracks(clips, frame, SIZE)
    assert (path.id, path.label, round(path.probability, 6)) == (5, "dog", 0.3)
    assert [[at for at, _ in stretch] for stretch in path.stretches] == [[10, 15, 20], [35, 40]]
    assert (other.id, other.label, other.probability) == (2, UNNAMED, -1.0)


def test_boxes_between_two_are_on_the_way_from_one_to_the_other() -> None:
    clips = [clip_with(0, 0, 4, tracks=[Track(1, [(0.0, 0, 0, 10, 20), (0.4, 8, 4, 18, 40), (3.0, 0, 0, 10, 10)])])]
    (path,) = join_tracks(clips, frame, SIZE)
    assert list(path.every_frame()) == [
        (0, (0, 0, 10, 20)),
        (1, (2, 1, 12, 25)),
        (2, (4, 2, 14, 30)),
        (3, (6, 3, 16, 35)),
        (4, (8, 4, 18, 40)),
        (30, (0, 0, 10, 10)),
    ]


def test_boxes_are_cut_at_the_picture_and_scaled_to_its_stored_size() -> None:
    boxes = [(0.0, -10, 300, 64, 400), (0.1, 700, 0, 800, 10), (0.2, float("nan"), 0, 5, 5), (0.3, 9, 9, 9, 30)]
    (path,) = join_tracks([clip_with(0, 0, 2, tracks=[Track(1, boxes)])], frame, (320, 360))
    assert path.stretches == (((0, (0.0, 300.0, 32.0, 360.0)),),)


def test_where_the_picture_changes_its_size_boxes_follow() -> None:
    clips = [
        clip_with(0, 0, 2, tracks=[Track(1, [(0.0, 0, 0, 320, 180)])]),
        clip_with(1, 2, 4, tracks=[Track(1, [(2.0, 0, 0, 160, 90)])], size=(320, 180)),
    ]
    (path,) = join_tracks(clips, frame, SIZE)
    assert [box for stretch in path.stretches for _, box in stretch] == [(0, 0, 320, 180), (0, 0, 320, 180)]


def test_without_pictures_there_are_no_boxes() -> None:
    assert join_tracks([clip_with(0, 0, 2, tracks=[Track(1, [(0.0, 0, 0, 9, 9)])], size=(0, 0))], frame, (0, 0)) == []
