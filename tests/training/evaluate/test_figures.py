import numpy as np
import pytest

from tests.training.evaluate.made_up import answered, many
from training.evaluate.figures import by_label, by_side, by_view, main_view, mean_per_label, together


def test_each_view_is_measured_on_the_examples_that_have_it() -> None:
    answers = [
        answered(9, 1, image=1, pooled=1),
        answered(9, 2, image=3, audio=2, pooled=3),
        answered(9, 2, audio=2, pooled=2),
    ]
    found = {view.view: view for view in by_view(answers, seed=0)}
    assert [(name, of.count, of.top1.hits) for name, of in found.items()] == [
        ("image", 2, 1),
        ("audio", 2, 2),
        ("pooled", 3, 2),
    ]
    assert found["image"].top5.hits == 2
    assert found["image"].cosine_top1 is not None
    assert main_view(answers) == "pooled"
    assert main_view([answered(9, 1, pooled=1, fused=1)]) == "fused"


def test_the_mean_over_labels_gives_every_label_the_same_weight() -> None:
    table = np.array([(0, 1)] * 9 + [(1, 0)])
    assert mean_per_label(table) == 0.5
    view = by_view(many(2, [0] * 9 + [1], [0] * 10), seed=0)[0]
    assert (view.top1.share, view.mean_per_label.value) == (0.9, 0.5)
    assert view.mean_per_label.low <= 0.5 <= view.mean_per_label.high


def test_answers_that_are_all_right_have_the_wilson_interval() -> None:
    view = by_view(many(3, [0, 1, 2], [0, 1, 2]), seed=0)[0]
    assert (view.mean_per_label.value, view.mean_per_label.high) == (1.0, 1.0)
    assert view.mean_per_label.low == view.top1.low < 0.5


def test_base_and_novel_have_a_harmonic_mean() -> None:
    answers = many(4, [0, 0, 0, 0, 2, 2], [0, 0, 0, 1, 2, 1])
    sides = by_side(answers, [False, False, True, True], seed=0)
    image = next(side for side in sides if side.view == "image")
    assert (image.base_among_all.share, image.novel_among_all.share) == (0.75, 0.5)
    assert image.harmonic_mean_among_all.value == pytest.approx(0.6)
    assert by_side(answers, [False] * 4, seed=0) == []


def test_sides_that_are_all_right_have_an_interval_from_their_wilson_bounds() -> None:
    answers = many(4, [0, 0, 2, 2, 2, 2, 2], [0, 0, 2, 2, 2, 2, 2])
    found = by_side(answers, [False, False, True, True], seed=0)[0]
    mean = found.harmonic_mean
    assert (mean.value, mean.high) == (1.0, 1.0)
    assert found.base.low < mean.low < found.novel.low


def test_modality_confusion_counts_examples_that_pooling_makes_wrong() -> None:
    answers = [
        answered(5, 1, image=1, audio=2, pooled=2),  # the picture is right but overruled
        answered(5, 1, image=1, audio=2, pooled=1),
        answered(5, 1, image=3, audio=2, pooled=1),  # right only together
        answered(5, 1, image=3, pooled=3),  # a single modality does not count
    ]
    found = {of.modality: of for of in together(answers, "pooled")}
    assert {name: (of.lost.hits, of.gained.hits, of.count) for name, of in found.items()} == {
        "image": (1, 1, 3),
        "audio": (0, 2, 3),
        "any": (1, 1, 3),
    }


def test_labels_are_listed_worst_first_with_what_they_are_mistaken_for() -> None:
    answers = many(3, [0, 0, 0, 1, 2], [1, 1, 2, 1, 2])
    found = by_label(answers, ("cat", "dog", "cow"), "pooled", {"cat": "novel"})
    assert [of.label for of in found] == ["cat", "cow", "dog"]
    assert found[0].taken_for == (("dog", 2), ("cow", 1))
    assert (found[0].side, found[0].count, found[0].top1.hits) == ("novel", 3, 0)
