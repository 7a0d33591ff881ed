"""HOTA, MOTA and IDF1 on tracks small enough to count by hand, and on one sequence whose figures are published."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.track_metrics import Frames, Tally
from benchmarks.tracking import check_of_metrics, kept_frames, ours, read_detections, sequences

BOX = np.array([0.0, 0.0, 10.0, 20.0])


def score(truth: Frames, tracked: Frames) -> dict[str, float]:
    tally = Tally()
    tally.add(truth, tracked, range(1, 11))
    return tally.metrics()


def one(id: int, frames: range, shift_px: float = 0.0) -> dict[int, dict[int, np.ndarray]]:
    return {frame: {id: BOX + shift_px} for frame in frames}


def test_perfect_tracks_have_100_percent_of_everything() -> None:
    figures = score(one(7, range(1, 11)), one(3, range(1, 11)))
    assert figures == {"HOTA": 100, "MOTA": 100, "IDF1": 100, "IDs": 0, "FP": 0, "FN": 0, "Frag": 0}


def test_a_change_of_identity_halves_the_association() -> None:
    figures = score(one(1, range(1, 11)), one(1, range(1, 6)) | one(2, range(6, 11)))
    assert figures == {"HOTA": round(100 * 0.5**0.5, 2), "MOTA": 90, "IDF1": 50, "IDs": 1, "FP": 0, "FN": 0, "Frag": 0}


def test_a_gap_is_missed_boxes_and_a_fragment() -> None:
    figures = score(one(1, range(1, 11)), one(1, range(1, 5)) | one(1, range(7, 11)))
    assert {name: figures[name] for name in ("MOTA", "IDs", "FP", "FN", "Frag")} == {
        "MOTA": 80, "IDs": 0, "FP": 0, "FN": 2, "Frag": 1
    }  # fmt: skip


def test_boxes_with_less_than_half_overlap_are_false_and_their_objects_missed() -> None:
    figures = score(one(1, range(1, 11)), one(1, range(1, 11), shift_px=5))
    assert (figures["FP"], figures["FN"], figures["MOTA"], figures["IDF1"]) == (10, 10, -100, 0)
    assert 0 < figures["HOTA"] < 50


def test_figures_of_a_published_tracker_output_are_those_of_other_programs(shared_data: Path) -> None:
    figures = check_of_metrics(shared_data / "tracking")
    assert figures == pytest.approx(
        {"HOTA": 39.785, "MOTA": 56.40, "IDF1": 64.46, "IDs": 7, "FP": 45, "FN": 452, "Frag": 6}, abs=0.006
    )


def test_tracks_of_cars_do_not_get_worse(shared_data: Path) -> None:
    tally = Tally()
    for sequence in sequences(shared_data / "tracking", "^0011-Car"):
        frames = kept_frames(sequence, 0, 0, 0).tolist()
        times_s = [(frame - 1) / sequence.rate_hz for frame in frames]
        made = ours(times_s, [sequence.found.get(frame, np.zeros((0, 5))) for frame in frames], sequence.rate_hz)
        tracked = {frame: {int(row[0]): row[1:] for row in rows} for frame, rows in zip(frames, made, strict=True)}
        tally.add(sequence.truth, tracked, frames)
    figures = tally.metrics()
    assert figures["HOTA"] > 67
    assert figures["MOTA"] > 69
    assert figures["IDs"] < 25


def test_scores_that_are_log_odds_become_probabilities(shared_data: Path) -> None:
    found = read_detections(shared_data / "tracking" / "kitti" / "0000-Car" / "det.txt")
    scores = np.concatenate([boxes[:, 4] for boxes in found.values()])
    assert 0 < scores.min() < scores.max() < 1
