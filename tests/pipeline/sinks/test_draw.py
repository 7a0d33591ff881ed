"""One clip drawn on pictures: boxes, names, and labels below the picture or in a corner."""

import numpy as np
import pytest

from pipeline.arrays import Array
from pipeline.result import ClipRecord, Crossing, Evidence, Label, Region, Track, Visit, ZoneVisits
from pipeline.sinks.draw import (
    HOLD_S,
    Artist,
    ClipDrawing,
    Place,
    Shapes,
    TrackPath,
    hull,
    track_colour,
    track_paths,
)
from pipeline.sinks.panel import COLOURS
from pipeline.status import VideoOptions
from tests.pipeline.sinks.records import gap, result

WIDTH, HEIGHT = 640, 480
PLACE = Place()


def clip(boxes: list[tuple[float, float, float, float, float]], **probabilities: float) -> ClipRecord:
    """A clip from 2 to 4 s with one track, and labels that are seen and heard."""
    evidence = {"image": Evidence(0.8, 0.2, 0.5), "audio": Evidence(0.4, 0.2, 0.5)}
    labels = [Label(name, p, p, evidence) for name, p in probabilities.items()]
    track = Track(id=1, boxes=boxes, label="a long name for a dog", probability=0.9)
    return ClipRecord(source="a", epoch=0, clip=1, start_s=2.0, end_s=4.0, parts={"labels": labels, "tracks": [track]})


def drawn(record: ClipRecord, time_s: float, panel: str, shade: int = 120) -> Array:
    artist = Artist(WIDTH, HEIGHT, VideoOptions(panel=panel))  # type: ignore[arg-type]
    drawing = ClipDrawing(artist, record, track_paths([record]))
    picture = np.zeros((HEIGHT + artist.strip_px, WIDTH, 3), np.uint8)
    picture[:HEIGHT] = shade
    drawing.draw(picture, time_s, PLACE)
    return picture


def panel_of(picture: Array) -> Array:
    """Where a picture shows bars of a panel, bool "H W"."""
    return np.abs(picture.astype(int) - COLOURS["image"]).max(axis=2) < 16


# -- a clip -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(16, 16), (240, 2), (2, 240), (320, 240), (1920, 1080)])
@pytest.mark.parametrize("panel", ["below", "corner", "off"])
def test_pictures_of_any_size_can_be_drawn_on(width: int, height: int, panel: str) -> None:
    artist = Artist(width, height, VideoOptions(panel=panel))  # type: ignore[arg-type]
    record = result(0, **{"x" * 300: 0.9, "犬": 0.5, "b": 0.0})
    picture = np.zeros((height + artist.strip_px, width, 3), np.uint8)
    ClipDrawing(artist, record, track_paths([record])).draw(picture, 0.1, PLACE)
    assert picture.any() == ((panel, height) != ("off", 2)), "its box is below the two lines"


@pytest.mark.parametrize("time_s", [1.999999, 4.0, 4.000001])
@pytest.mark.parametrize("panel", ["below", "corner"])
def test_pictures_before_and_after_the_clip_stay_plain(panel: str, time_s: float) -> None:
    picture = drawn(clip([(2.0, 10, 10, 60, 60), (4.0, 10, 10, 60, 60)], rain=0.9), time_s, panel)
    assert (picture[:HEIGHT] == 120).all()
    assert not picture[HEIGHT:].any()


@pytest.mark.parametrize("time_s", [2.0, 3.0, 3.999999])
def test_labels_below_the_picture_leave_it_untouched(time_s: float) -> None:
    picture = drawn(clip([], rain=0.9), time_s, "below")
    assert (picture[:HEIGHT] == 120).all()
    assert panel_of(picture[HEIGHT:]).sum() > 100


def test_a_tag_or_box_at_the_lower_edge_is_cut_and_not_drawn_over_the_labels() -> None:
    plain, boxed = (drawn(clip(boxes, rain=0.9), 2.0, "below") for boxes in ([], [(2.0, 10, 470, 300, 900)]))
    assert (plain[HEIGHT:] == boxed[HEIGHT:]).all()
    assert (plain[:HEIGHT] != boxed[:HEIGHT]).any()


def test_no_panel_means_boxes_only() -> None:
    picture = drawn(clip([(2.0, 100, 100, 200, 200)], rain=0.9), 2.0, "off")
    assert picture.shape[0] == HEIGHT
    assert (picture != 120).any()
    assert (picture[300:] == 120).all()


@pytest.mark.parametrize("seed", range(12))
def test_a_panel_in_a_corner_is_never_over_a_box_or_its_tag(seed: int) -> None:
    """A box wanders through the picture; its name is drawn above it, and nothing of both is ever under the panel."""
    random = np.random.default_rng(seed)
    places = random.uniform((0, 0), (WIDTH - 150, HEIGHT - 120), (5, 2))
    boxes = [(2.0 + 0.4 * i, x, y, x + 150, y + 120) for i, (x, y) in enumerate(places.tolist())]
    record = clip(boxes, **{"rain": 0.9, "dog barking": 0.8, "wind blowing": 0.7})
    paths = track_paths([record])
    artist = Artist(WIDTH, HEIGHT, VideoOptions(panel="corner"))
    panel = artist.corner(record, paths, PLACE, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    if panel is None:
        return
    under = np.zeros((HEIGHT, WIDTH), bool)
    height, width = panel.picture.shape[:2]
    under[panel.y : panel.y + height, panel.x : panel.x + width] = True
    for time_s in np.arange(2.0, 4.0, 0.02):
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        artist.tracks(picture, paths, float(time_s), PLACE)
        assert not picture[under].any(), time_s


def test_a_panel_is_left_out_if_boxes_are_in_every_corner() -> None:
    whole = [(2.0, 0.0, 0.0, 640.0, 480.0), (3.5, 0.0, 0.0, 640.0, 480.0)]
    boxes, bare = clip(whole, rain=0.9), clip(whole)
    assert (drawn(boxes, 2.1, "corner") == drawn(bare, 2.1, "corner")).all()


def test_a_gap_is_plain() -> None:
    assert not drawn(gap(2.0, 4.0), 3.0, "below", shade=0).any()


# -- tracks -----------------------------------------------------------------------------------------------------------


def test_a_track_moves_from_box_to_box_during_a_clip() -> None:
    first, second, third = (0.0, 0.0, 0.0, 10.0, 10.0), (0.9, 90.0, 0.0, 100.0, 10.0), (3.0, 500.0, 0.0, 510.0, 10.0)
    path = TrackPath(1, "", [first, second, third])
    assert path.moves(0.0, 0.5) == [(first[1:], first[1:]), (first[1:], second[1:])]
    assert path.moves(0.9 + HOLD_S / 2, 2.0) == [(second[1:], second[1:])]
    assert path.moves(1.5, 2.5) == []
    assert hull([(3, 4, 5, 6), (1, 5, 4, 9)]) == (1, 4, 5, 9)


def test_a_track_moves_evenly_between_its_boxes() -> None:
    boxes = [(0.0, 0.0, 0.0, 10.0, 10.0), (1.0, 10.0, 0.0, 20.0, 10.0), (5.0, 50.0, 0.0, 60.0, 10.0)]
    path = TrackPath(1, "", boxes)
    assert path.at(0.5) == (5.0, 0.0, 15.0, 10.0)
    assert path.at(1.2) == (10.0, 0.0, 20.0, 10.0), "it stays for a moment after its last box"
    assert path.at(3.0) is None, "boxes four seconds apart are not joined"
    assert path.at(-1.0) is None


def test_the_last_box_stays_for_a_step_and_never_past_its_clip() -> None:
    boxes = [(0.75, 0.0, 0.0, 10.0, 10.0), (0.875, 0.0, 0.0, 10.0, 10.0)]
    path = TrackPath(1, "", boxes, until_s=0.95)
    assert path.at(0.94) == boxes[1][1:]
    assert path.at(0.96) is None, "the next clip may be another scene"
    path.until_s = 2.0
    assert path.at(0.99) == boxes[1][1:]
    assert path.at(1.01) is None, "a step later it would have been seen again"


def test_where_a_track_was_not_seen_only_corners_are_drawn() -> None:
    track = Track(
        id=1, boxes=[(2.0, 100, 100, 300, 300), (2.5, 100, 100, 300, 300), (3.0, 100, 100, 300, 300)], filled=[1]
    )
    record = ClipRecord(source="a", epoch=0, clip=1, start_s=2.0, end_s=4.0, parts={"tracks": [track]})
    (path,) = track_paths([record])
    assert [path.is_filled(time_s) for time_s in (2.2, 2.7, 3.1)] == [True, True, False]
    pictures = [drawn(record, time_s, "off", shade=0) for time_s in (2.2, 3.1)]
    assert [bool(picture[200, 300].any()) for picture in pictures] == [False, True], "the middle of a side"
    assert all(picture[105, 300].any() for picture in pictures), "a corner"


def test_tags_of_a_crowd_do_not_cover_each_other() -> None:
    paths = [TrackPath(n, "a person 90%", [(0.0, 100.0 + 60 * n, 200.0, 150.0 + 60 * n, 300.0)]) for n in (1, 2, 3, 4)]
    artist, picture = Artist(WIDTH, HEIGHT), np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    artist.tracks(picture, paths, 0.1)
    tags = [tag for _, tag in artist.tags([(path, PLACE.of(path.boxes[0][1:])) for path in paths])]
    canvas = np.zeros((HEIGHT, WIDTH), int)
    for x0, y0, x1, y1 in tags:
        canvas[y0:y1, x0:x1] += 1
    assert canvas.max() == 1
    for path, (x0, y0, _, _) in zip(paths, tags, strict=True):
        assert picture[y0 + 1, x0 + 1].tolist() == list(track_colour(path.id))


def test_zones_and_lines_are_drawn_with_what_they_counted() -> None:
    zone = ZoneVisits("yard", 1, 0, [Visit(1, 2.0, 3.0, 1.0)])
    record = ClipRecord(
        source="a", epoch=0, clip=1, start_s=2.0, end_s=4.0, width=WIDTH, height=HEIGHT,
        parts={"zones": [zone], "crossings": [Crossing("gate", 1, 2.5, "in")]},
    )  # fmt: skip
    shapes = Shapes({"yard": ((0.1, 0.5), (0.4, 0.5), (0.4, 0.9))}, {"gate": ((0.5, 0.1), (0.5, 0.9))})
    shapes.after(record)
    shown = shapes.after(record)
    assert [shape.text for shape in shown] == ["yard  1 now, 2 in all", "gate  2 in, 0 out"]
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    ClipDrawing(Artist(WIDTH, HEIGHT, VideoOptions(panel="off")), record, [], shown).draw(picture, 3.0, PLACE)
    assert picture[300, 320].min() > 200, "on the line"
    assert picture[300, 256].min() > 200, "on the right side of the zone"
    assert not picture[300, 500].any()


def test_the_tracks_of_two_clips_are_joined_by_their_id() -> None:
    def record(clip: int, x: float) -> ClipRecord:
        track = Track(id=4, boxes=[(clip * 2.0, x, 0, x + 1, 1)], label="dog", probability=0.5)
        return ClipRecord(
            source="a", epoch=0, clip=clip, start_s=clip * 2.0, end_s=clip * 2.0 + 2, parts={"tracks": [track]}
        )

    paths = track_paths([record(0, 0.0), record(1, 8.0)])
    assert [(path.id, path.label, len(path.boxes)) for path in paths] == [(4, "dog 50%", 2)]


def test_a_box_that_two_clips_share_is_drawn_once() -> None:
    path = track_paths([result(0), result(0)])[0]
    assert path.boxes == (result(0).tracks or [])[0].boxes


@pytest.mark.parametrize(("label", "probability"), [(None, None), ("dog", 0.1), ("dog", None)])
def test_a_track_without_a_probable_label_keeps_its_earlier_one(label: str | None, probability: float | None) -> None:
    def record(start_s: float, label: str | None, probability: float | None) -> ClipRecord:
        track = Track(id=4, boxes=[(start_s, 0.0, 0.0, 1.0, 1.0)], label=label, probability=probability)
        return ClipRecord(source="a", epoch=0, clip=0, start_s=0.0, end_s=2.0, parts={"tracks": [track]})

    assert track_paths([record(0.0, label, probability)])[0].label == ""
    assert track_paths([record(0.0, "cat", 0.9), record(1.0, label, probability)])[0].label == "cat 90%"


def test_boxes_are_scaled_and_drawn_in_the_colour_of_their_track() -> None:
    picture = np.zeros((480, 640, 3), np.uint8)
    place = Place(scale=(4.0, 2.0), offset=(-200.0, 0.0))
    Artist(640, 480).tracks(picture, [TrackPath(3, "", [(0.0, 100.0, 100.0, 150.0, 150.0)])], 0.1, place)
    red, green, blue = track_colour(3)
    for x, y in ((200, 250), (400, 250), (300, 300)):
        assert np.abs(picture[y, x].astype(int) - (red, green, blue)).max() < 40
    assert not picture[250, 300].any(), "the inside stays as it was"
    assert not picture[320:].any()


def test_neighbouring_tracks_differ_in_colour() -> None:
    assert sum(abs(a - b) for a, b in zip(track_colour(1), track_colour(2), strict=True)) > 150


def test_regions_are_outlined_as_long_as_their_clip_lasts() -> None:
    record = clip([])
    record.parts["regions"] = [Region("dog", 3.0, (100, 50, 300, 250), 0.2, 0.9)]
    assert (drawn(record, 2.5, "off")[150, [100, 300]] == 255).all()
    assert (drawn(record, 4.5, "off") == 120).all()
