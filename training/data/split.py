"""Divides labels into base and novel, and examples into training and held-out."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from training.data.example import Dataset


def base_novel(labels: Iterable[str], seed: int, novel_share: float = 0.5) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Base and novel labels, each in the given order. The division depends only on the seed and the set of labels.

    With two or more labels, each side has at least one.
    """
    given = tuple(dict.fromkeys(labels))
    shuffled = sorted(given)
    random.Random(seed).shuffle(shuffled)
    count = round(len(given) * novel_share)
    if len(given) > 1:
        count = min(max(count, 1), len(given) - 1)
    novel = set(shuffled[:count])
    return tuple(word for word in given if word not in novel), tuple(word for word in given if word in novel)


def hold_out(dataset: Dataset, share: float, seed: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Indices of training and of held-out examples. About `share` of each label is held out, in whole groups.

    Each label keeps at least one group for training, so a label with a single group is not held out.
    """
    groups = _groups(dataset)
    draw = _Draw(groups, share)
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    if share > 0:
        for group in order:
            draw.take(group, draw.comes_nearer(group))
        # labels of which every group is larger than the share
        for group in sorted(order, key=lambda name: len(groups[name])):
            draw.take(group, draw.has_none_of(group))
    names = [_group_of(dataset, index) for index in range(len(dataset.examples))]
    train = tuple(index for index, name in enumerate(names) if name not in draw.taken)
    return train, tuple(index for index, name in enumerate(names) if name in draw.taken)


class _Draw:
    """The groups that are held out so far. groups: the labels of each group's examples."""

    def __init__(self, groups: Mapping[str, Sequence[str]], share: float) -> None:
        self.taken: set[str] = set()
        self._counts = {group: Counter(labels) for group, labels in groups.items()}
        self._held: Counter[str] = Counter()
        self._left = Counter(label for counts in self._counts.values() for label in counts)
        total = Counter(label for labels in groups.values() for label in labels)
        self._wanted = {label: share * count for label, count in total.items()}

    def take(self, group: str, wanted: bool) -> None:
        """Hold the group out if it is wanted and every label keeps a group for training."""
        counts = self._counts[group]
        if wanted and group not in self.taken and all(self._left[label] > 1 for label in counts):
            self.taken.add(group)
            self._held.update(counts)
            self._left.subtract(counts.keys())

    def comes_nearer(self, group: str) -> bool:
        """Whether holding it out brings each of its labels nearer to the wanted count."""
        return all(
            abs(self._held[label] + count - self._wanted[label]) < abs(self._held[label] - self._wanted[label])
            for label, count in self._counts[group].items()
        )

    def has_none_of(self, group: str) -> bool:
        return not any(self._held[label] for label in self._counts[group])


def _groups(dataset: Dataset) -> dict[str, Sequence[str]]:
    """The labels of each group's examples."""
    found: dict[str, list[str]] = defaultdict(list)
    for index, example in enumerate(dataset.examples):
        found[_group_of(dataset, index)].append(example.label)
    return dict(found)


def _group_of(dataset: Dataset, index: int) -> str:
    example = dataset.examples[index]
    return f"group {example.group}" if example.group else f"alone {index:08}"
