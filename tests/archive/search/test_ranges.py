"""Neighbouring clips that fit become one hit."""

from pathlib import Path

import numpy as np

from archive.search.ranges import Range, merged
from archive.search.rows import Rows
from archive.search.scan import Scan
from archive.search.vectors import VectorQuery
from tests.archive.search.archives import SIZE, opened, write_source


def scored(scores: list[float]) -> np.ndarray:
    """Vectors whose cosine with the first axis is each score; None as zeros."""
    scores_ = np.array(scores)
    vectors = np.zeros((len(scores), SIZE), np.float64)
    vectors[:, 0], vectors[:, 1] = scores_, np.sqrt(1 - scores_**2)
    return vectors.astype(np.float16)


def ranges(rows: Rows, top: int) -> list[tuple[int, int, int]]:
    scan = Scan(rows, VectorQuery({"image": np.eye(SIZE)[0]}))
    return [(each.row, each.first, each.stop) for each in merged(rows, scan, top)]


def test_neighbours_join_the_best_clip_while_they_are_nearer_to_it_than_to_the_mean(tmp_path: Path) -> None:
    low = [0.05] * 60
    write_source(tmp_path, "a.mp4", {"image": scored([0.7, 0.9, 0.6, 0.2, 0.8, *low])})
    write_source(tmp_path, "b.mp4", {"image": scored([0.75, 0.1, *low])})
    rows = opened(tmp_path, "image")
    assert ranges(rows, 3) == [(1, 0, 3), (4, 4, 5), (65, 65, 66)]


def test_what_is_usual_does_not_depend_on_which_clips_are_asked_for(tmp_path: Path) -> None:
    write_source(tmp_path, "a.mp4", {"image": scored([0.7, 0.9, 0.6])})
    write_source(tmp_path, "b.mp4", {"image": scored([0.05] * 60)})
    rows = opened(tmp_path, "image")
    allowed = np.arange(len(rows)) < 3
    found = merged(rows, Scan(rows, VectorQuery({"image": np.eye(SIZE)[0]}), allowed), 3)
    assert [(each.row, each.first, each.stop) for each in found] == [(1, 0, 3)]


def test_a_range_ends_at_the_end_of_its_source_and_at_a_hole(tmp_path: Path) -> None:
    many = scored([0.9, 0.91, 0.9])
    hole = scored([0.8, 0.8, 0.8])
    hole[1] = 0
    write_source(tmp_path, "a.mp4", {"image": many})
    write_source(tmp_path, "b.mp4", {"image": many})
    write_source(tmp_path, "c.mp4", {"image": hole})
    write_source(tmp_path, "d.mp4", {"image": scored([0.0] * 100)})
    assert ranges(opened(tmp_path, "image"), 4) == [(1, 0, 3), (4, 3, 6), (6, 6, 7), (8, 8, 9)]


def test_the_list_is_filled_although_one_source_has_most_of_the_best_clips(tmp_path: Path) -> None:
    write_source(tmp_path, "a.mp4", {"image": scored([0.9] * 2000)})
    for place in range(4):
        write_source(tmp_path, f"b{place}.mp4", {"image": scored([0.5 - 0.1 * place])})
    found = ranges(opened(tmp_path, "image"), 5)
    assert found[0] == (0, 0, 2000)
    assert [row for row, _, _ in found[1:]] == [2000, 2001, 2002, 2003]


def test_no_hits_are_asked_for(tmp_path: Path) -> None:
    write_source(tmp_path, "a.mp4", {"image": scored([0.5])})
    rows = opened(tmp_path, "image")
    assert merged(rows, Scan(rows, VectorQuery({"image": np.eye(SIZE)[0]})), 0) == list[Range]()
