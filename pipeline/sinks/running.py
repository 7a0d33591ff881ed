"""An event that may still change: its label's clips so far, and the near-synonyms that were merged into it."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pipeline.status import Alternative, EventRecord

LEAST_OVERLAP = 0.5
"""Share of the shorter of two events that must be in both for them to be one."""


@dataclass
class Running:
    """An event of one label. Media times are in seconds, of the clock of `epoch`."""

    label: str
    epoch: int
    start_s: float
    end_s: float
    start_wall: str = ""
    total: float = 0.0
    """Sum over the clips."""
    peak: float = 0.0
    clips: int = 0
    lasts: bool = True
    """Whether the label was probable in the last clip. If not, the event may go on after a short gap."""
    alternatives: dict[str, float] = field(default_factory=dict)
    """Mean probability of each near-synonym, over its clips; of several stretches the largest."""

    @property
    def order(self) -> tuple[int, float, str]:
        return self.epoch, self.start_s, self.label

    @property
    def labels(self) -> list[str]:
        return [self.label, *self.alternatives]

    @property
    def mean(self) -> float:
        return self.total / self.clips

    def add(self, probability: float, end_s: float) -> None:
        """Add a clip."""
        self.end_s = end_s
        self.total += probability
        self.peak = max(self.peak, probability)
        self.clips += 1
        self.lasts = True

    def overlaps(self, other: "Running") -> bool:
        """Whether enough of the shorter one is in both. Once false, it stays false while the events grow."""
        both_s = min(self.end_s, other.end_s) - max(self.start_s, other.start_s)
        shorter_s = min(self.end_s - self.start_s, other.end_s - other.start_s)
        return self.epoch == other.epoch and 0 < both_s >= LEAST_OVERLAP * shorter_s

    def outweighs(self, other: "Running") -> bool:
        return (-self.total, self.label) <= (-other.total, other.label)

    def with_alternative(self, other: "Running") -> "Running":
        """Both as one event, named by the label with the larger sum of probabilities, from the first start to the
        last end."""
        main, less = (self, other) if self.outweighs(other) else (other, self)
        first = self if self.order <= other.order else other
        means = dict(less.alternatives)
        for label, mean in (main.alternatives | {less.label: less.mean}).items():
            means[label] = max(mean, means.get(label, 0.0))
        return replace(
            main,
            start_s=first.start_s,
            start_wall=first.start_wall,
            end_s=max(self.end_s, other.end_s),
            alternatives={label: mean for label, mean in means.items() if label != main.label},
        )

    def record(self, source: str) -> EventRecord:
        length_s = self.end_s - self.start_s
        return EventRecord(
            source=source,
            event=self.label,
            start_s=self.start_s,
            end_s=self.end_s,
            start_wall=self.start_wall,
            end_wall=_later(self.start_wall, length_s) if self.start_wall else "",
            probability=round(self.mean, 4),
            peak=round(self.peak, 4),
            clips=self.clips,
            alternatives=tuple(
                Alternative(label=label, probability=round(probability, 4))
                for label, probability in sorted(self.alternatives.items(), key=lambda item: (-item[1], item[0]))
            ),
            epoch=self.epoch,
        )


def _later(wall: str, seconds: float) -> str:
    return (datetime.fromisoformat(wall) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
