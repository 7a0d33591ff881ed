"""Sums and best moments of all sources of an archive, for its report."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from archive.report_source import Told
from pipeline.status import EventOptions

LEAST = EventOptions().enter
"""A label counts in clips in which it is at least this probable."""
LEAST_SHOWN = 0.3
MOST_LABELS = 300
"""Labels in the histogram."""
MOMENTS = 60
PICTURE_BYTES = 900_000
"""Of all moments together."""
KEPT, KEPT_OF_ALL = 8, 2000
"""Moments of one label that are kept, and of all labels together, while files are read."""


@dataclass
class Sums:
    """How long each label was found, and in how many sources."""

    seconds: dict[str, float] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)

    def add(self, told: Told) -> None:
        tree, least = told.tree, round(LEAST * 1000)
        clips, labels = tree["clips"], tree["labels"]
        found: dict[int, int] = {}
        ends = [*clips["first"][1:], len(labels["word"])]
        for clip, (first, last) in enumerate(zip(clips["first"], ends, strict=True)):
            for place in range(first, last):
                if labels["probability"][place] >= least:
                    word = labels["word"][place]
                    found[word] = found.get(word, 0) + clips["end"][clip] - clips["start"][clip]
        for word, duration in found.items():
            label = tree["words"][word]
            self.seconds[label] = self.seconds.get(label, 0.0) + duration / 1000
            self.sources[label] = self.sources.get(label, 0) + 1

    def histogram(self) -> dict[str, Any]:
        ranked = sorted(self.seconds, key=lambda label: (-self.seconds[label], label))
        rows = [[label, round(self.seconds[label], 1), self.sources[label]] for label in ranked[:MOST_LABELS]]
        return {"rows": rows, "total": len(ranked), "least": round(LEAST * 1000)}


class Highlights:
    """The best moments of each label, at most one of a source."""

    def __init__(self, labels: int) -> None:
        self._kept = max(1, min(KEPT, KEPT_OF_ALL // max(1, labels)))
        self._of: dict[str, list[tuple[float, list[Any]]]] = {}

    def wanted(self, told: Told) -> dict[str, tuple[float, int]]:
        """The labels, with probability and row, of which a picture would be kept."""
        return {
            label: (probability, row)
            for label, (probability, row) in told.best_of_labels().items()
            if probability >= LEAST_SHOWN and self._is_better(label, probability)
        }

    def add(self, told: Told, wanted: Mapping[str, tuple[float, int]], pictures: Mapping[int, str], url: str) -> None:
        """url: of the source in its player."""
        for label, (probability, row) in wanted.items():
            if row not in pictures:
                continue
            start_s = told.start_s(row)
            link = {"url": f"{url}&t={start_s:.1f}", "name": told.name}
            moment = [round(start_s * 1000), label, round(probability * 1000), pictures[row], link]
            kept = self._of.setdefault(label, [])
            kept.append((probability, moment))
            kept.sort(key=lambda each: -each[0])
            del kept[self._kept :]

    def best(self, labels: Iterable[str]) -> list[list[Any]]:
        """The best of each label, then the second best, until there are enough; in order of these labels."""
        order = list(labels) + sorted(set(self._of) - set(labels))
        chosen: list[tuple[int, int, list[Any]]] = []
        left, seen = PICTURE_BYTES, set[str]()
        for rank in range(self._kept):
            for place, label in enumerate(order):
                kept = self._of.get(label, [])
                if rank >= len(kept) or len(chosen) >= MOMENTS:
                    continue
                _, _, _, uri, link = kept[rank][1]
                if link["url"] in seen or len(uri) > left:  # a clip with two labels is shown once
                    continue
                seen.add(link["url"])
                left -= len(uri)
                chosen.append((place, rank, kept[rank][1]))
        return [moment for _, _, moment in sorted(chosen, key=lambda each: each[:2])]

    def _is_better(self, label: str, probability: float) -> bool:
        kept = self._of.get(label, [])
        return len(kept) < self._kept or probability > kept[-1][0]
