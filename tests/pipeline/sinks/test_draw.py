"""Labels, evidence and tracks drawn on pictures."""

import numpy as np
import pytest

from pipeline.result import ClipRecord, Evidence, Label, Track
from pipeline.sinks.draw import COLOURS, Artist, Place, Text, TrackPath, plain, track_colour, track_paths
from tests.pipeline.sinks.records import failed, gap, result


def pixels_of(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((picture == colour).all(axis=2).sum())


def with_evidence(**probabilities: float) -> ClipRecord:
    """A result with one label, and evidence of these modalities."""
    evidence = {name: Evidence(p, 0.2, 0.5) for name, p in probabilities.items()}
    return ClipRecord(
        source="a", epoch=0, clip=0, start_s=0.0, end_s=2.0,
        parts={"labels": [Label("rain", 0.9, 1.0, evidence)]},
    )  # fmt: skip


# -- the panel --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(16, 16), (240, 2), (2, 240), (320, 240), (1920, 1080)])
def test_pictures_of_any_size_can_be_drawn_on(width: int, height: int) -> None:
    artist = Artist(width, height)
    record = result(0, **{"x" * 300: 0.9, "犬": 0.5, "b": 0.0})
    panel = artist.panel(record)
    picture = np.zeros((height, width, 3), np.uint8)
    assert panel is not None
    panel.blend(picture)
    artist.tracks(picture, track_paths([record]), 0.1)
    assert picture.any()


def test_the_bar_of_a_modality_is_as_long_as_its_probability() -> None:
    half, full = (Artist(640, 480).panel(with_evidence(audio=p)) for p in (0.5, 1.0))
    assert half is not None
    assert full is not None
    legend = Artist(640, 480).panel(with_evidence(audio=0.0))
    assert legend is not None
    dot = pixels_of(legend.picture, COLOURS["audio"])
    bars = [pixels_of(panel.picture, COLOURS["audio"]) - dot for panel in (half, full)]
    assert bars[0] > 100
    assert bars[0] * 2 == pytest.approx(bars[1], rel=0.02)


def test_only_modalities_with_evidence_have_bars() -> None:
    panel = Artist(640, 480).panel(with_evidence(image=1.0))
    assert panel is not None
    assert pixels_of(panel.picture, COLOURS["image"])
    assert not pixels_of(panel.picture, COLOURS["audio"])


def test_more_labels_make_a_higher_panel_up_to_the_limit() -> None:
    artist = Artist(640, 480, max_labels=3)
    heights = []
    for count in (1, 2, 3, 9):
        panel = artist.panel(result(0, **{f"label {number}": 0.9 for number in range(count)}))
        assert panel is not None
        heights.append(panel.picture.shape[0])
    assert heights[0] < heights[1] < heights[2] == heights[3]


def test_an_error_shows_its_text_and_a_gap_nothing() -> None:
    artist = Artist(640, 480)
    error = artist.panel(failed(0))
    assert error is not None
    assert (error.picture.max(axis=2) > 100).any()
    assert artist.panel(gap(0, 2)) is None
    assert artist.panel(result(0)) is None


def test_a_panel_covers_only_its_own_place() -> None:
    panel = Artist(640, 480).panel(result(0, rain=0.9))
    assert panel is not None
    height, width = panel.picture.shape[:2]
    picture = np.full((480, 640, 3), 200, np.uint8)
    panel.blend(picture)
    inside = np.zeros((480, 640), bool)
    inside[panel.y : panel.y + height, panel.x : panel.x + width] = True
    assert (picture[~inside] == 200).all()
    assert (picture[inside] != 200).any(axis=1).mean() > 0.9


def test_text_is_shortened_to_its_width() -> None:
    text = Text(20)
    long = "a label with many words " * 9
    for width in (60, 200):
        fitted = text.fit(long, width)
        assert fitted.endswith("…")
        assert text.width(fitted) <= width
    assert text.fit("rain\n  on a roof", 500) == "rain on a roof"


def test_text_without_a_typeface_is_ascii() -> None:
    assert plain("Ärger 犬…") == "Arger ?..."


# -- tracks -----------------------------------------------------------------------------------------------------------


def test_a_track_moves_evenly_between_its_boxes() -> None:
    boxes = [(0.0, 0.0, 0.0, 10.0, 10.0), (1.0, 10.0, 0.0, 20.0, 10.0), (5.0, 50.0, 0.0, 60.0, 10.0)]
    path = TrackPath(1, "", boxes)
    assert path.at(0.5) == (5.0, 0.0, 15.0, 10.0)
    assert path.at(1.2) == (10.0, 0.0, 20.0, 10.0), "it stays for a moment after its last box"
    assert path.at(3.0) is None, "boxes four seconds apart are not joined"
    assert path.at(-1.0) is None


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
