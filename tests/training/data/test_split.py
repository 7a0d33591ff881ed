from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.example import Dataset, Example
from training.data.split import base_novel, hold_out

WORDS = tuple(f"word {number}" for number in range(25))


def test_base_and_novel_depend_on_labels_and_seed_but_not_on_the_order_of_labels() -> None:
    base, novel = base_novel(WORDS, seed=3)
    assert (len(base), len(novel)) == (13, 12)
    assert set(base) | set(novel) == set(WORDS)
    turned = base_novel(WORDS[::-1], seed=3)
    assert (set(turned[0]), set(turned[1])) == (set(base), set(novel))
    assert base_novel(WORDS, seed=4)[1] != novel


def test_each_side_has_at_least_one_label() -> None:
    assert [len(side) for side in base_novel(("a", "b"), 0, novel_share=0.01)] == [1, 1]
    assert [len(side) for side in base_novel(("a", "b", "c"), 0, novel_share=1.0)] == [1, 2]


def dataset(groups: list[tuple[str, str]]) -> Dataset:
    """A data set with these labels and groups of examples."""
    examples = tuple(Example(f"{i}.mp4", label, group=group) for i, (label, group) in enumerate(groups))
    return Dataset("made", examples, tuple(sorted({label for label, _ in groups})))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "g1", "g2", "g3", "g4"])), min_size=1, max_size=40),
    st.floats(0.0, 0.6),
    st.integers(0, 5),
)
def test_groups_are_never_divided_and_every_label_keeps_training_examples(
    groups: list[tuple[str, str]], share: float, seed: int
) -> None:
    train, held = hold_out(dataset(groups), share, seed)
    assert sorted([*train, *held]) == list(range(len(groups)))
    sides = [{groups[index][1] for index in side if groups[index][1]} for side in (train, held)]
    assert not sides[0] & sides[1]
    assert {groups[index][0] for index in train} == {label for label, _ in groups}


def test_about_the_share_of_each_label_is_held_out() -> None:
    made = dataset([(label, f"{label}{number // 2}") for label in "abc" for number in range(40)])
    train, held = hold_out(made, 0.25, seed=1)
    assert Counter(made.examples[index].label for index in held) == {"a": 10, "b": 10, "c": 10}
    assert len(train) == 90
    assert hold_out(made, 0.25, seed=1) == (train, held)
    assert hold_out(made, 0.25, seed=2)[1] != held


def test_the_smaller_of_two_groups_of_a_label_is_held_out() -> None:
    made = dataset([("a", "large")] * 9 + [("a", "small")] * 2)
    assert hold_out(made, 0.05, seed=0)[1] == (9, 10)


def test_nothing_is_held_out_for_a_share_of_zero() -> None:
    assert hold_out(dataset([("a", ""), ("a", "")]), 0.0, seed=0) == ((0, 1), ())
