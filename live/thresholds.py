"""The thresholds of a camera's labels: their own, the camera's, or those that a budget of false alarms sets."""

from collections.abc import Mapping

from live.budget import Budget, Threshold
from live.settings import Camera
from live.targets import Target
from pipeline.result import Label

TEXTS = {
    "past": "threshold from the camera's past",
    "estimate": "threshold estimated from little of the camera's past",
}
"""What an event says of its threshold."""


class Thresholds:
    """past: what was learned before, from `pack`; b"" for nothing.

    Raises: msgspec.DecodeError, ValueError: it is no such past.
    """

    def __init__(self, camera: Camera, targets: Mapping[str, Target], past: bytes = b"") -> None:
        self._camera, self._targets, self._past = camera, targets, past
        hold_s = {name: target.hold_s for name, target in targets.items() if target.threshold is None}
        self._budget: Budget | None = None
        if camera.false_alarms_per_day is not None and hold_s:
            self._budget = Budget(camera.false_alarms_per_day, camera.threshold, hold_s)
            if past:
                self._budget.learn(past)

    def of(self, label: str) -> Threshold:
        own = self._targets[label].threshold
        if own is not None:
            return Threshold(own, "label")
        return self._budget.threshold(label) if self._budget else Threshold(self._camera.threshold, "camera")

    def all(self) -> dict[str, Threshold]:
        return {name: self.of(name) for name in self._targets}

    def text(self, label: str) -> str:
        """What an event says of its threshold; "" if it was set by hand."""
        return TEXTS.get(self.of(label).basis, "")

    def add(self, labels: Mapping[str, Label], seconds: float) -> None:
        """Learn from a result."""
        if self._budget:
            self._budget.add({name: label.probability for name, label in labels.items()}, seconds)

    def interrupt(self, seconds: float) -> None:
        """Nothing is probable for so long: a gap, or too long without a result."""
        if self._budget:
            self._budget.interrupt(seconds)

    def pack(self) -> bytes:
        """What was learned. Without a budget it is kept for when there is one again."""
        return self._budget.pack() if self._budget else self._past
