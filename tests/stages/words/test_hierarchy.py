"""A parent's share is the sum of its leaves', and the category never contradicts the best label."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.words.hierarchy import Hierarchy, hierarchy_of
from stages.words.word import words_of

ANIMALS = ("animal > dog", "animal > bird > owl", "animal > bird > heron", "rain", "vehicle > car")


def category(labels: tuple[str, ...], share: list[float]) -> dict[str, Any] | None:
    words = words_of(labels)
    made = hierarchy_of(words)
    assert made is not None
    return made.category(tuple(word.name for word in words), np.array(share))


@pytest.mark.parametrize(
    ("share", "path"),
    [
        ([0.7, 0.1, 0.1, 0.1, 0.0], ["animal", "dog"]),
        ([0.1, 0.4, 0.3, 0.1, 0.1], ["animal", "bird"]),
        ([0.3, 0.3, 0.2, 0.1, 0.1], ["animal"]),
        ([0.0, 0.0, 0.1, 0.1, 0.8], ["vehicle", "car"]),
        ([0.1, 0.1, 0.0, 0.8, 0.0], ["rain"]),
        ([0.2, 0.2, 0.15, 0.45, 0.0], None),  # animals have 0.55, and the best label is not an animal
        ([0.31, 0.0, 0.3, 0.39, 0.0], None),  # animals have 0.61, but the best label is rain
    ],
)
def test_the_category_is_the_deepest_node_with_enough_share(share: list[float], path: list[str] | None) -> None:
    found = category(ANIMALS, share)
    assert (found and found["path"]) == path
    if found:
        assert found["label"] == found["path"][-1]


def test_flat_labels_have_no_hierarchy() -> None:
    assert hierarchy_of(words_of(("dog", "cat|kitten"))) is None


def test_a_hierarchy_survives_writing_and_reading() -> None:
    made = hierarchy_of(words_of(ANIMALS))
    assert made is not None
    assert Hierarchy.from_json(made.to_json()) == made


paths = st.lists(st.sampled_from("abc"), max_size=3).map(lambda above: [f"node {name}" for name in above])


@st.composite
def clips(draw: st.DrawFn) -> tuple[tuple[str, ...], np.ndarray]:
    """Labels with random parents, and shares that sum to 1."""
    count = draw(st.integers(1, 12))
    labels = tuple(" > ".join([*draw(paths), f"leaf {index}"]) for index in range(count))
    raw = np.array(draw(st.lists(st.floats(0, 20), min_size=count, max_size=count)))
    share = np.exp(raw - raw.max())
    return labels, share / share.sum()


@given(clips(), st.randoms())
def test_sums_and_category_are_right_for_any_tree_and_shares(
    clip: tuple[tuple[str, ...], np.ndarray], random: Any
) -> None:
    labels, share = clip
    words = words_of(labels)
    names = tuple(word.name for word in words)
    made = hierarchy_of(words)
    if made is None:
        return
    sums = made.sums(share)
    for node, name in enumerate(made.nodes):
        path = made.path(node)
        below = sum(s for s, word in zip(share, words, strict=True) if [*word.above, word.name][: len(path)] == path)
        assert sums[node] == pytest.approx(below, abs=1e-9), name
    found = made.category(names, share)
    best = min((word for s, word in zip(share, words, strict=True) if s == share.max()), key=lambda word: word.name)
    way = [*best.above, best.name]
    if found is None:
        assert (
            sum(share[i] for i, word in enumerate(words) if word.above[:1] == best.above[:1]) <= 0.6 + 1e-8
            or not best.above
        )
    else:
        assert found["share"] >= 0.6  # to six digits
        assert found["path"] == way[: len(found["path"])]
        deeper = way[: len(found["path"]) + 1]
        if len(deeper) > len(found["path"]):
            assert (
                sum(
                    s for s, word in zip(share, words, strict=True) if [*word.above, word.name][: len(deeper)] == deeper
                )
                <= 0.6 + 1e-8
            )
    order = list(range(len(labels)))
    random.shuffle(order)
    again = hierarchy_of(words_of([labels[i] for i in order]))
    assert again is not None
    assert again.category(tuple(names[i] for i in order), share[order]) == found
