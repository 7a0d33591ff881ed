"""MOTChallenge: ten columns, frames from 1, and a box for every frame in which an object is in sight.

The tools that read it (TrackEval, py-motmetrics) want recordings with ground truth; the columns are checked here.
"""

import csv

from archive.exports.mot import text
from pipeline.result import Track
from tests.archive.exports.made import clip_with, source_with


def test_each_frame_has_a_box() -> None:
    clips = [
        clip_with(0, 0, 2, tracks=[Track(7, [(0.0, 0, 0, 64, 36), (0.2, 10, 5, 84, 46)], "dog", 0.75)]),
        clip_with(1, 2, 4, tracks=[Track(7, [(3.96, 1, 1, 3, 5)]), Track(2, [(0.04, 5, 5, 6, 7)])]),
    ]
    rows = [[float(each) for each in row] for row in csv.reader(text(source_with(clips)).splitlines())]
    assert rows == [
        [1, 7, 0, 0, 64, 36, 0.75, -1, -1, -1],
        [2, 2, 5, 5, 1, 2, -1, -1, -1, -1],
        [2, 7, 2, 1, 66, 37, 0.75, -1, -1, -1],
        [3, 7, 4, 2, 68, 38, 0.75, -1, -1, -1],
        [4, 7, 6, 3, 70, 39, 0.75, -1, -1, -1],
        [5, 7, 8, 4, 72, 40, 0.75, -1, -1, -1],
        [6, 7, 10, 5, 74, 41, 0.75, -1, -1, -1],
        [100, 7, 1, 1, 2, 4, 0.75, -1, -1, -1],
    ]


def test_without_tracks_there_are_no_lines() -> None:
    assert text(source_with([clip_with(0, 0, 2)])) == ""
