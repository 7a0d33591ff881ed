"""Tracks as `Detections` of supervision. Where it is not installed, a stand-in takes what it would be given."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import percept
from pipeline.result import ClipRecord, Track

RECORDS = [
    ClipRecord(source="a", epoch=0, clip=0, start_s=0.0, end_s=2.0, parts={}),
    ClipRecord(
        source="a",
        epoch=0,
        clip=1,
        start_s=2.0,
        end_s=4.0,
        parts={
            "tracks": [
                Track(5, [(2.0, 1, 2, 3, 4), (2.5, 2, 2, 4, 4)], "dog", 0.75, filled=[1]),
                Track(7, [(2.5, 9, 9, 19, 29)]),
            ]
        },
    ),
]


def check() -> None:
    found = list(percept.to_supervision(RECORDS))
    assert [time_s for time_s, _ in found] == [2.0, 2.5]
    detections = found[1][1]
    assert np.array_equal(detections.xyxy, [[2, 2, 4, 4], [9, 9, 19, 29]])
    assert detections.tracker_id.tolist() == [5, 7]
    assert detections.confidence.tolist() == [0.75, 0.0]
    assert detections.class_id.tolist() == [0, 1]
    assert detections.data["class_name"].tolist() == ["dog", ""]
    assert detections.data["filled"].tolist() == [True, False]


def test_each_picture_has_detections(monkeypatch: pytest.MonkeyPatch) -> None:
    def detections(**fields: Any) -> SimpleNamespace:
        return SimpleNamespace(**fields)

    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=detections))
    check()


def test_supervision_takes_them() -> None:
    pytest.importorskip("supervision")
    check()


def test_without_supervision_the_error_has_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ImportError, match="pip install supervision"):
        next(iter(percept.to_supervision(RECORDS)))
