"""The labels of a clip as a strip below the picture, or as a panel for a corner."""

from typing import Any

import numpy as np
import pytest

from pipeline.arrays import Array
from pipeline.result import ClipRecord, Evidence, Label, clock_text
from pipeline.sinks.lettering import GREY, WHITE
from pipeline.sinks.panel import COLOURS, MOST_HEIGHT, PanelArtist
from pipeline.status import VideoOptions
from tests.pipeline.sinks.records import failed, gap, result

SIZES = [(320, 240), (640, 360), (1280, 720), (1080, 1920), (1920, 1080), (400, 1000), (1920, 400), (294, 240)]


def artist(width: int = 640, height: int = 480, **options: Any) -> PanelArtist:
    return PanelArtist(width, height, VideoOptions(**options))


def pixels_of(picture: Array, colour: tuple[int, int, int]) -> int:
    return int((picture == colour).all(axis=2).sum())


def strip(maker: PanelArtist, record: ClipRecord) -> Array:
    made = maker.strip(record)
    assert made is not None
    return made


def with_evidence(**probabilities: float) -> ClipRecord:
    """A result with one label, and evidence of these modalities."""
    evidence = {name: Evidence(p, 0.2, 0.5) for name, p in probabilities.items()}
    return ClipRecord(
        source="a", epoch=0, clip=0, start_s=0.0, end_s=2.0, parts={"labels": [Label("rain", 0.9, 1.0, evidence)]}
    )


def columns_of(picture: Array) -> list[int]:
    """Where cells begin: the columns at which bars do."""
    bars = (picture == tuple(part // 5 + 24 for part in COLOURS["audio"])).all(axis=2)
    bars |= (picture == COLOURS["audio"]).all(axis=2)
    used = bars[: picture.shape[0] // 2].any(axis=0)
    return np.flatnonzero(used & ~np.roll(used, 1)).tolist()


# -- the strip --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_strip_has_one_even_height_for_all_clips_and_leaves_most_room_to_the_picture(width: int, height: int) -> None:
    maker = artist(width, height)
    clips = [result(0, rain=0.9), result(1, **{f"label {n}": 0.9 for n in range(9)}), failed(2), result(3)]
    assert {strip(maker, clip).shape for clip in clips} == {(maker.strip_px, width, 3)}
    assert maker.strip_px % 2 == 0
    assert maker.strip_px <= MOST_HEIGHT * height + 2


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_text_follows_the_size_of_the_picture(width: int, height: int) -> None:
    maker = artist(width, height)
    assert 12 <= maker.text.size_px <= 28
    assert maker.text.size_px <= max(12, min(width, height) / 20)
    assert maker.text.width("typing on a keyboard") < width * 0.7


def test_a_larger_picture_has_larger_text_and_no_higher_share_of_strip() -> None:
    small, large = artist(640, 360), artist(1920, 1080)
    assert small.text.size_px < large.text.size_px
    assert large.strip_px / 1080 < small.strip_px / 360


def test_labels_are_beside_each_other_as_far_as_the_picture_is_wide() -> None:
    record = result(0, **{f"label {n}": 0.9 for n in range(5)})
    assert len(columns_of(strip(artist(1280, 720), record))) == 5
    assert len(columns_of(strip(artist(400, 1000), record))) == 2


def test_labels_under_the_least_probability_are_left_out() -> None:
    record = result(0, rain=0.9, dog=0.31, cat=0.29)
    bars = pixels_of(strip(artist(), result(0, rain=0.9, dog=0.31)), COLOURS["audio"])
    assert pixels_of(strip(artist(), record), COLOURS["audio"]) == bars
    assert pixels_of(strip(artist(least_probability=0.1), record), COLOURS["audio"]) > bars
    assert pixels_of(strip(artist(max_labels=1), record), COLOURS["audio"]) < bars


def test_a_strip_without_labels_says_why_in_grey() -> None:
    empty, error = strip(artist(), result(0, rain=0.1)), strip(artist(), failed(0))
    for picture in (empty, error):
        assert pixels_of(picture, GREY) > 20
        assert not pixels_of(picture, WHITE)
    assert (empty != error).any()
    assert artist().strip(gap(0, 2)) is None


def test_the_bar_of_a_modality_is_as_long_as_its_probability() -> None:
    none, half, full = (pixels_of(strip(artist(), with_evidence(audio=p)), COLOURS["audio"]) for p in (0.0, 0.5, 1.0))
    assert half - none > 100
    assert (half - none) * 2 == pytest.approx(full - none, rel=0.02)


def test_only_modalities_with_evidence_have_bars_and_a_legend() -> None:
    picture = strip(artist(), with_evidence(image=1.0))
    assert pixels_of(picture, COLOURS["image"])
    assert not pixels_of(picture, COLOURS["audio"])


@pytest.mark.parametrize("options", [{"panel": "corner"}, {"panel": "off"}, {"max_labels": 0}])
def test_without_a_strip_the_picture_does_not_grow(options: dict[str, Any]) -> None:
    assert artist(**options).strip_px == 0


@pytest.mark.parametrize(
    ("time_s", "text"),
    [(0, "0:00"), (4.0, "0:04"), (3.5, "0:03.5"), (59.96, "1:00"), (754.25, "12:34.2"), (3723, "1:02:03")],
)
def test_times_are_clock_times(time_s: float, text: str) -> None:
    assert clock_text(time_s) == text


# -- panels for a corner ----------------------------------------------------------------------------------------------


def test_panels_become_smaller_label_by_label_and_then_lose_their_legend() -> None:
    panels = list(artist(640, 480).corners(result(0, rain=0.9, dog=0.8, cat=0.7, cow=0.2)))
    areas = [panel.picture.shape[0] * panel.picture.shape[1] for panel in panels]
    assert len(panels) == 6
    assert areas[:3] == sorted(areas[:3], reverse=True)
    assert areas[3:] == sorted(areas[3:], reverse=True)
    assert areas[5] < areas[2]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_panel_covers_a_small_part_of_the_picture(width: int, height: int) -> None:
    record = result(0, **{"x" * 300: 0.9}, **{f"label {n}": 0.9 for n in range(9)})
    for panel in artist(width, height).corners(record):
        assert panel.picture.shape[0] <= MOST_HEIGHT * height
        assert panel.picture.shape[1] <= 0.9 * width
        assert panel.picture.shape[:2] == panel.opacity.shape[:2]


def test_an_error_has_a_panel_and_a_gap_or_a_clip_without_labels_none() -> None:
    (error,) = artist().corners(failed(0))
    assert pixels_of(error.picture, GREY) > 20
    assert list(artist().corners(gap(0, 2))) == list(artist().corners(result(0, rain=0.1))) == []


def test_a_panel_is_blended_into_its_own_place_only() -> None:
    panel = next(artist().corners(result(0, rain=0.9)))
    height, width = panel.picture.shape[:2]
    picture = np.full((480, 640, 3), 200, np.uint8)
    panel.blend(picture)
    inside = np.zeros((480, 640), bool)
    inside[:height, :width] = True
    assert (picture[~inside] == 200).all()
    assert (picture[inside] != 200).any(axis=1).mean() > 0.9
    assert picture[height - 1, width - 1, 0] == pytest.approx(200 * 0.3 + panel.picture[-1, -1, 0] * 0.7, abs=2)
