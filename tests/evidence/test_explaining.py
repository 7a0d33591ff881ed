"""Explanations of the bundled sample: sums, sentences and pictures tell the same, and what cannot be told is said."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from commands.main import main
from evidence.explaining import Explainer, Explanation, explaining
from evidence.strip import flow_colours, strip, strip_png
from evidence.told import Spot, facts, seen_where, sentences, spots_of
from pipeline.config import load_config
from pipeline.errors import ConfigError, SourceError
from pipeline.result import Track
from tests.conftest import ROOT
from tests.media import make_video

SAMPLE = str(ROOT / "engines" / "bundled" / "sample.mp4")
SETTINGS = ("model.engine=torch", "model.device=cpu", "labels.words=['sheep', 'rain', 'siren']")


@pytest.fixture(scope="module")
def explainer() -> Iterator[Explainer]:
    with explaining(load_config(None, SETTINGS), pixels=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def sheep(explainer: Explainer) -> Explanation:
    return explainer.at(SAMPLE, 4.5)


@pytest.fixture(scope="module")
def rain(explainer: Explainer) -> Explanation:
    return explainer.at(SAMPLE, 4.5, "rain")


def test_the_most_probable_label_is_explained_as_a_run_scores_it(sheep: Explanation) -> None:
    assert (sheep.label.label, sheep.start_s, sheep.end_s) == ("sheep", 4.0, 6.0)
    assert sheep.label.probability == pytest.approx(0.938, abs=2e-3)  # as docs/scores.md computes it by hand


@pytest.mark.parametrize("which", ["sheep", "rain"])
def test_what_each_adds_sums_to_the_answer_and_each_map_to_what_it_adds(
    which: str, request: pytest.FixtureRequest
) -> None:
    why: Explanation = request.getfixturevalue(which)
    odds = np.log(why.label.probability / (1 - why.label.probability))
    assert (why.label.base_log_odds or 0) + sum(why.added.values()) == pytest.approx(odds, abs=1e-6)
    for name, part in why.maps.items():
        assert part.heat.total == pytest.approx(why.added[name], rel=1e-9)
    assert sum(why.shares.values()) == pytest.approx(1.0)


def test_a_sheep_is_seen_and_rain_is_heard(sheep: Explanation, rain: Explanation) -> None:
    assert sheep.shares["image"] > 0.9
    assert rain.shares["audio"] > 0.9
    assert set(sheep.why_not) == {"motion", "audio"}
    assert set(rain.why_not) == {"image", "motion"}


def test_the_numbers_of_the_sentences_are_those_of_the_maps(rain: Explanation) -> None:
    first, second = sentences(rain)
    told = [int(number) / 100 for number in re.findall(r"(\d+) %", first)]
    assert rain.audio is not None
    wanted = [rain.shares["audio"], *(spot.share for spot in spots_of(rain.audio))]
    np.testing.assert_allclose(told, wanted, atol=0.01)
    low_s, high_s = (float(each) for each in re.findall(r"from ([\d.]+) to ([\d.]+) s", first)[0])
    columns = np.arange(rain.audio.heat.values.shape[2]) * rain.audio.column_s + rain.start_s + 1e-6
    inside = (columns >= low_s - 0.005) & (columns < high_s)
    assert rain.audio.heat.values[0][:, inside].sum() / rain.audio.heat.total == pytest.approx(told[1], abs=0.01)
    *parts, total, probability = (float(each.replace("−", "-")) for each in re.findall(r"[+−]?\d+\.\d+", second))
    assert sum(parts) == pytest.approx(total, abs=0.03)
    assert 1 / (1 + np.exp(-total)) == pytest.approx(probability, abs=0.01)
    assert facts(rain)["sentences"] == [first, second]


def test_a_sentence_names_the_track_that_the_evidence_lies_on(sheep: Explanation) -> None:
    """The boxes of track 4 are around ten rows and eight columns of the map's 14 x 14 cells."""
    assert sheep.image is not None
    (width, height), window = sheep.size, sheep.image.window[1]
    left, right = (each / sheep.image.frames.shape[2] * width for each in (window.start, window.stop))
    box = (left, 0.0, left + (right - left) * 8 / 14, height * 10 / 14)
    tracks = [Track(3, [(4.0, 0, 0, 5, 5)]), Track(4, [(4.0 + step / 4, *box) for step in range(8)], "cow")]
    why = replace(sheep, tracks=tracks)
    mass = sheep.image.heat.values[:, :10, :8].sum() / sheep.image.heat.total
    (_, spot) = facts(why)["modalities"]["image"]["spots"]
    assert spot == {"where": "in the box of track 4 (cow)", "share": pytest.approx(mass, abs=1e-5), "track": 4}
    assert f" and {100 * mass:.0f} % of it in the box of track 4 (cow); " in sentences(why)[0]
    drawn, plain = strip(why)[130:300], strip(sheep)[130:300]
    assert 500 < (drawn != plain).any(axis=2).sum() < drawn.shape[0] * drawn.shape[1] / 20, "boxes are outlined"
    assert "track" not in sentences(sheep)[0]


def test_pixels_have_the_heat_of_their_frame(sheep: Explanation) -> None:
    seen = sheep.image
    assert seen is not None
    assert seen.pixels is not None
    assert seen.pixels.sum() == pytest.approx(seen.heat.values[seen.best].sum(), rel=1e-3)


def test_the_picture_is_drawn_as_wide_as_always(sheep: Explanation, rain: Explanation) -> None:
    for why in (sheep, rain):
        drawn = strip(why)
        assert drawn.shape[1:] == (1280, 3)
        again = cv2.imdecode(np.frombuffer(strip_png(why), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_array_equal(again, drawn)
    assert len(strip(sheep)) != len(strip(rain))


def test_a_motion_that_is_named_has_a_map(tmp_path: Path) -> None:
    texture = np.random.default_rng(3).integers(30, 220, (40, 200, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)

    def panned(time_s: float, width: int, height: int) -> np.ndarray:
        left = round(time_s * 240)
        return np.ascontiguousarray(texture[:height, left : left + width])

    film = make_video(tmp_path / "pan.mp4", seconds=2.0, picture=panned)
    with explaining(load_config(None, (*SETTINGS[:2], "labels.words=['panning left', 'panning right']"))) as opened:
        why = opened.at(str(film), 1.0)
    assert why.added["motion"] > 0
    assert why.motion is not None
    assert why.motion.heat.total == pytest.approx(why.added["motion"])
    assert strip(why).shape[1] == 1280


def test_a_moment_after_the_end_and_a_label_that_was_not_asked_for_are_refused(explainer: Explainer) -> None:
    with pytest.raises(SourceError, match="has nothing at 99 s; it ends at 16 s"):
        explainer.at(SAMPLE, 99)
    with pytest.raises(ConfigError, match=r"--label dog: not among the labels; expected one of sheep, rain, siren"):
        explainer.at(SAMPLE, 4.5, "dog")


@pytest.mark.parametrize(
    ("hot", "wanted", "share"),
    [
        ((slice(0, 4), slice(8, 12)), "in the upper right", 1),
        ((slice(4, 8), slice(4, 8)), "in the middle", 1),
        ((slice(0, 12), slice(0, 4)), "in the left third", 1),
        ((slice(6, 12), slice(0, 12)), "in the lower third", 2 / 3),
        ((slice(0, 12), slice(0, 12)), "spread over the picture", 1),
    ],
)
def test_a_place_is_named_by_the_smallest_part_that_has_most_of_it(
    hot: tuple[slice, slice], wanted: str, share: float
) -> None:
    values = np.zeros((12, 12))
    values[hot] = 1.0
    assert seen_where(values) == Spot(wanted, pytest.approx(share))


def test_stillness_is_white_and_directions_differ() -> None:
    flow = np.zeros((1, 3, 2), np.float32)
    flow[0, 1], flow[0, 2] = (1, 0), (-1, 0)
    still, right, left = flow_colours(flow, 1.0)[0].astype(int)
    assert np.ptp(still) == 0
    assert np.abs(right - left).max() > 100


def test_the_command_prints_what_it_drew_and_keeps_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "why.png"
    given = ["explain", SAMPLE, "--at", "4.5", "--label", "rain", "--engine", "torch", "-o", str(picture)]
    assert main([*given, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["label"], told["picture"]) == ("rain", str(picture))
    assert sum(each["share"] for each in told["modalities"].values()) == pytest.approx(1.0, abs=1e-5)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(given) == 2
    assert "exists already. Choose another name with -o, or add --overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["-o", ""], "-o: has no name"),
        (["--label", ""], '--label "": names nothing'),
        (["-o", "."], "is a folder; expected a file"),
        (["-o", "why.jpg"], "expected a name that ends in .png"),
        (["--at", "soon"], "'soon' is not a time"),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(
    given: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", SAMPLE, *given]) == 2
    assert message in capsys.readouterr().err
