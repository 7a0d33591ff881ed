import pytest

from pipeline.errors import ConfigError
from tests.training.train import made_up
from training.data.example import Dataset, Example
from training.train.curves import ticks
from training.train.order import Order
from training.train.split import divide, sided, warnings


def dataset(groups: int = 5, each: int = 2, labels: tuple[str, ...] = ("a", "b", "c", "d")) -> Dataset:
    examples = [
        Example(f"{label}/{group}-{k}.mp4", label, group=f"{label}{group}")
        for label in labels
        for group in range(groups)
        for k in range(each)
    ]
    return Dataset(name="clips", examples=tuple(examples), labels=labels)


def test_novel_labels_and_held_out_groups_are_never_trained_on() -> None:
    found = divide(dataset(), made_up.plan(novel_share=0.25))
    assert len(found.novel) == 1
    assert {example.label for example in found.train} == set(found.base)
    assert {example.label for example in found.held_novel} == set(found.novel)
    trained = {example.group for example in found.train}
    assert trained.isdisjoint(example.group for example in found.held_out)
    assert len(found.train) + len(found.held_out) == 40


def test_the_seed_decides_which_labels_are_novel() -> None:
    chosen = {divide(dataset(), made_up.plan(seed=seed)).novel for seed in range(8)}
    assert len(chosen) > 1
    assert divide(dataset(), made_up.plan(seed=3)) == divide(dataset(), made_up.plan(seed=3))


def test_without_novel_labels_all_are_trained_on() -> None:
    found = divide(dataset(), made_up.plan(novel_share=0.0))
    assert found.base == ("a", "b", "c", "d")
    assert found.held_novel == ()


def test_a_novel_clip_is_skipped_if_its_group_is_trained_on() -> None:
    examples = dataset().examples
    shared = [Example(f"x{k}.mp4", "e", group=f"a{k}") for k in range(5)]
    plan = made_up.plan(seed=next(s for s in range(50) if "e" in _novel(examples, shared, s)))
    found = divide(Dataset("clips", (*examples, *shared), ("a", "b", "c", "d", "e")), plan)
    trained = {example.group for example in found.train}
    assert all(example.group not in trained for example in found.held_novel)


def _novel(examples: tuple[Example, ...], shared: list[Example], seed: int) -> tuple[str, ...]:
    return divide(Dataset("clips", (*examples, *shared), ("a", "b", "c", "d", "e")), made_up.plan(seed=seed)).novel


def test_few_clips_are_told_per_label_in_all_and_for_measuring() -> None:
    found = divide(dataset(), made_up.plan(novel_share=0.25))
    each, total, *measured = warnings(found, "head")
    assert each.startswith(f"few clips to train on: {found.base[0]} (8)")
    assert "about 10 of each label" in each
    assert "percept adapt" in each
    assert total.startswith(f"few clips to train on: {len(found.train)} in all; --what head needs about 200")
    assert [text.split(",")[0] for text in measured] == [
        f"few clips to measure on: {len(found.held_base)} of base labels",
        f"few clips to measure on: {len(found.held_novel)} of novel labels",
    ]
    many = divide(dataset(groups=150), made_up.plan(novel_share=0.0))
    assert warnings(many, "motion") == ()


def test_too_few_clips_are_reported_by_label() -> None:
    few = Dataset("clips", (*dataset().examples, Example("e.mp4", "e")), ("a", "b", "c", "d", "e"))
    with pytest.raises(ConfigError, match=r"clips: too few clips to train on: e \(1\); expected at least 2"):
        divide(few, made_up.plan(novel_share=0.0))


def test_a_single_label_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"clips: 1 label \(a\); expected at least 2"):
        divide(dataset(labels=("a",)), made_up.plan())


def test_labels_with_synonyms_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"synonyms cannot be trained on: car\|automobile"):
        divide(dataset(labels=("a", "car|automobile")), made_up.plan())


def test_two_labels_are_too_few_for_novel_ones() -> None:
    with pytest.raises(ConfigError, match=r"only . of 2 labels would be trained on.*--base-novel 0"):
        divide(dataset(labels=("a", "b")), made_up.plan())


def test_a_label_with_one_group_is_trained_on_but_reported_as_not_measured() -> None:
    lone = tuple(Example(f"e{k}.mp4", "e", group="one") for k in range(4))
    found = divide(
        Dataset("clips", (*dataset().examples, *lone), ("a", "b", "c", "d", "e")), made_up.plan(novel_share=0.0)
    )
    assert found.notes == ("not measured, because all clips are of one group: e",)


def test_a_single_group_cannot_be_held_out() -> None:
    examples = tuple(Example(f"{label}{k}.mp4", label, group="one") for label in "ab" for k in range(4))
    with pytest.raises(ConfigError, match="expected clips of at least two groups"):
        divide(Dataset("clips", examples, ("a", "b")), made_up.plan(novel_share=0.0))


def test_labels_that_mirroring_makes_wrong_are_found() -> None:
    labels = ("panning left", "bright light", "turning anti-clockwise", "right turn", "copyright")
    assert sided(labels) == ["panning left", "turning anti-clockwise", "right turn"]


def test_every_epoch_has_each_item_once_and_any_step_can_be_first() -> None:
    order = Order(items=10, batch=4, seed=1)
    seen = [row for step in range(5) for row in order.rows(step).tolist()]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]
    assert Order(items=10, batch=4, seed=1).rows(3).tolist() == seen[12:16]


@pytest.mark.parametrize(("low", "high"), [(0.0, 100.0), (0.43, 1.47), (0.0, 7.0), (-0.002, 0.001)])
def test_ticks_are_round_and_about_five(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 3 <= len(found) <= 8
    assert low - 1e-9 <= found[0]
    assert found[-1] <= high + 1e-9


def test_labels_without_clips_are_neither_base_nor_novel() -> None:
    more = Dataset("clips", dataset().examples, ("a", "b", "c", "d", "without"))
    assert divide(more, made_up.plan()) == divide(dataset(), made_up.plan())
