import numpy as np
import pytest

from training.captions.retrieval import Retrieval
from training.intervals import wilson


def test_an_item_is_found_by_its_nearest_caption_and_a_caption_by_its_item() -> None:
    retrieval = Retrieval([[0, 1], [2], [3]], 4)
    near = np.array([[0.1, 0.9, 0.2, 0.3], [0.4, 0.1, 0.3, 0.0], [0.5, 0.0, 0.1, 0.8]])
    hits = retrieval.hits(near)
    assert hits["caption_1"].tolist() == [True, False, True]
    assert hits["item_1"].tolist() == [False, True, True, True]
    assert set(hits) == {"caption_1", "item_1"}, "the first 10 of 4 cannot be missed"


def test_the_first_ten_are_counted_among_the_others() -> None:
    count = 15
    near = np.tile(np.arange(count, dtype=float), (count, 1))  # all items are nearest to the last caption
    retrieval = Retrieval([[number] for number in range(count)], count)
    hits = retrieval.hits(near)
    assert hits["caption_1"].sum() == 1
    assert hits["caption_10"].sum() == 10
    assert retrieval.percent(near)["caption_10"] == pytest.approx(100 * 10 / 15)


def test_equally_near_ones_and_no_numbers_find_nothing() -> None:
    retrieval = Retrieval([[0], [1], [2]], 3)
    for near in (np.ones((3, 3)), np.full((3, 3), np.nan)):
        assert not any(hits.any() for hits in retrieval.hits(near).values())


def test_a_caption_that_items_share_is_found_by_any_of_them() -> None:
    retrieval = Retrieval([[0], [0], [1]], 2)
    hits = retrieval.hits(np.array([[0.9, 0.1], [0.2, 0.4], [0.3, 0.5]]))
    assert hits["caption_1"].tolist() == [True, False, True]
    assert hits["item_1"].tolist() == [True, True]


def test_intervals_of_captions_are_as_wide_as_those_of_their_items() -> None:
    captions = [[5 * item + number for number in range(5)] for item in range(20)]
    near = np.zeros((20, 100))
    for item, own in enumerate(captions[:10]):
        near[item, own] = 1.0
    figures = Retrieval(captions, 100).figures(near)
    share = figures["item_1"]
    assert (share.hits, share.count, share.share) == (50, 100, 0.5)
    of_items = wilson(10, 20)
    assert (share.low, share.high) == pytest.approx((of_items.low, of_items.high))
    assert figures["caption_1"] == of_items
