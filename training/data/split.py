"""Who is trained on and who is held out: labels into base and novel, examples into training and held-out."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from training.data.example import Dataset


def base_novel(labels: Iterable[str], seed: int, novel_share: float = 0.5) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Base and novel labels, each in the given order; which are which depends on the seed and the words alone.

    Of two labels or more, each side gets at least one.
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
    """Indices of training and of held-out examples: about `share` of each label held out, whole groups at a time.

    A label keeps at least one group for training; one with a single group is not held out.
    """
    groups = _groups(dataset)
    wanted = Counter(example.label for example in dataset.examples)
    left = Counter(label for labels in groups.values() for label in set(labels))
    held: Counter[str] = Counter()
    taken: set[str] = set()
    first = set(groups) if share > 0 else set()
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    # first what brings every label nearer to its share, then the smallest group of each label that has none
    for group in (*order, *sorted(order, key=lambda group: len(groups[group]))):
        counts = Counter(groups[group])
        targets = {label: share * wanted[label] for label in counts}
        fits = _nearer(counts, held, targets) if group in first else not any(held[label] for label in counts)
        first.discard(group)
        if fits and group not in taken and all(left[label] > 1 for label in counts):
            taken.add(group)
            held.update(counts)
            left.subtract(counts.keys())
    names = [_group_of(dataset, index) for index in range(len(dataset.examples))]
    train = tuple(index for index, name in enumerate(names) if name not in taken)
    return train, tuple(index for index, name in enumerate(names) if name in taken)


def _nearer(counts: Counter[str], held: Counter[str], targets: dict[str, float]) -> bool:
    """Whether the held-out part of every label comes nearer to its target."""
    return all(
        abs(held[label] + count - targets[label]) < abs(held[label] - targets[label]) for label, count in counts.items()
    )


def _groups(dataset: Dataset) -> dict[str, Sequence[str]]:
    """The labels of each group's examples."""
    found: dict[str, list[str]] = defaultdict(list)
    for index, example in enumerate(dataset.examples):
        found[_group_of(dataset, index)].append(example.label)
    return dict(found)


def _group_of(dataset: Dataset, index: int) -> str:
    example = dataset.examples[index]
    return f"group {example.group}" if example.group else f"alone {index:08}"
