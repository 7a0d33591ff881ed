"""A budget of events per day sets thresholds from a camera's own past."""

from collections.abc import Iterator

import numpy as np
import pytest

from live.budget import DAY_S, LEAST_S, NEVER, Budget
from live.moments import Moments
from live.settings import Camera, Watched
from tests.live.records import camera, clip

CLIP_S = 30.0
A_DAY = int(DAY_S / CLIP_S)


def noise(labels: int, clips: int, seed: int = 0, level: float = -3.0) -> Iterator[np.ndarray]:
    """Probabilities "N" of clips that are like the one before: log-odds are an AR(1) process."""
    rng = np.random.default_rng(seed)
    state = np.zeros(labels)
    for _ in range(clips):
        state = 0.8 * state + 0.6 * rng.standard_normal(labels)
        yield 1 / (1 + np.exp(-(level + 1.2 * state)))


class Plain:
    """Events at a threshold, counted apart from `Budget`."""

    def __init__(self, hold_s: float) -> None:
        self.hold_s, self.lasts, self.away_s, self.events = hold_s, False, np.inf, 0

    def add(self, probability: float, threshold: float) -> None:
        if probability >= (0.6 * threshold if self.lasts else threshold):
            self.events += self.away_s > self.hold_s
            self.lasts, self.away_s = True, 0.0
        else:
            self.lasts, self.away_s = False, self.away_s + CLIP_S


@pytest.mark.parametrize("per_day", [1.0, 10.0])
def test_labels_give_no_more_events_a_day_than_the_budget(per_day: float) -> None:
    names, days = [f"label {i}" for i in range(30)], 3
    budget = Budget(per_day, 0.5, dict.fromkeys(names, 45.0))
    events = {name: Plain(45.0) for name in names}
    before = 0
    for index, found in enumerate(noise(len(names), A_DAY * (days + 1), seed=int(per_day))):
        if index == int(1.1 * A_DAY):
            before = sum(each.events for each in events.values())
            assert {budget.threshold(name).basis for name in names} == {"past"}
        for name, probability in zip(names, found, strict=True):
            events[name].add(probability, budget.threshold(name).value)
        budget.add(dict(zip(names, found, strict=True)), CLIP_S)
    rate = (sum(each.events for each in events.values()) - before) / len(names) / (days - 0.1)
    assert 0.3 * per_day < rate <= per_day


def test_a_threshold_rests_on_the_cameras_own_until_there_is_some_past_and_says_so() -> None:
    budget, bases = Budget(1.0, 0.5, {"dog": 4.0}), []
    for index, found in enumerate(noise(1, int(1.1 * A_DAY))):
        now = budget.threshold("dog")
        if index * CLIP_S < LEAST_S:
            assert (now.value, now.basis) == (0.5, "camera")
        assert now.basis == "past" or now.value >= 0.5
        bases.append(now.basis)
        budget.add({"dog": found[0]}, CLIP_S)
    assert list(dict.fromkeys(bases)) == ["camera", "estimate", "past"]
    assert bases.index("past") * CLIP_S == pytest.approx(DAY_S, rel=0.06)


def test_an_estimate_from_a_few_hours_keeps_the_budget_too() -> None:
    names = [f"label {i}" for i in range(30)]
    budget = Budget(4.0, 0.2, dict.fromkeys(names, 45.0))
    events = {name: Plain(45.0) for name in names}
    for index, found in enumerate(noise(len(names), int(2.25 * A_DAY), seed=5)):
        if index == A_DAY // 4:
            thresholds = [budget.threshold(name) for name in names]
            assert {each.basis for each in thresholds} == {"estimate"}
        if index < A_DAY // 4:
            budget.add(dict(zip(names, found, strict=True)), CLIP_S)
            continue
        for name, probability, threshold in zip(names, found, thresholds, strict=True):
            events[name].add(probability, threshold.value)
    rate = sum(each.events for each in events.values()) / len(names) / 2
    assert 0.2 < rate <= 4.0


def test_events_are_counted_with_their_hysteresis() -> None:
    budget = Budget(10.0, 0.5, {"dog": 0.0})
    for index in range(int(1.1 * A_DAY)):
        budget.add({"dog": (0.9, 0.6)[index % 2]}, CLIP_S)  # one long event at 0.9, since 0.6 is above 0.54
    assert budget.threshold("dog").value == pytest.approx(0.2)


def test_a_label_that_is_always_sure_has_no_threshold_that_keeps_the_budget() -> None:
    budget = Budget(1.0, 0.5, {"dog": 0.0})
    for index in range(int(1.1 * A_DAY)):
        budget.add({"dog": 0.999999 * (index % 2)}, CLIP_S)
    assert budget.threshold("dog").value == NEVER


def test_what_was_learned_goes_on_in_another_process_and_a_new_label_begins_with_nothing() -> None:
    first = Budget(1.0, 0.5, {"dog": 4.0, "cat": 4.0})
    for found in noise(2, int(1.1 * A_DAY)):
        first.add({"dog": found[0], "cat": found[1]}, CLIP_S)
    second = Budget(1.0, 0.5, {"cat": 4.0, "cow": 4.0})
    second.learn(first.pack())
    assert second.threshold("cat") == first.threshold("cat")
    assert second.threshold("cow").basis == "camera"
    assert len(first.pack()) < 2 * 600


def test_memory_does_not_grow_with_the_past() -> None:
    budget = Budget(1.0, 0.5, {"dog": 4.0})
    sizes = []
    for index, found in enumerate(noise(1, A_DAY)):
        budget.add({"dog": found[0]}, CLIP_S)
        if index in (10, A_DAY - 1):
            sizes.append(len(budget.pack()))
    assert sizes[0] == sizes[1]


def test_events_of_a_camera_keep_the_budget_through_a_restart() -> None:
    watched: Camera = camera("dog", false_alarms_per_day=10.0, hold_s=45.0)
    moments, opened = Moments(watched), []
    for index, found in enumerate(noise(1, 3 * A_DAY, seed=3)):
        if index % 1000 == 999:
            restarted = Moments(watched)
            restarted.restore(moments.state())
            moments = restarted
        for event in moments.add(clip(index, seconds=CLIP_S, dog=float(found[0]))):
            if event.state == "open" and index > 1.1 * A_DAY:
                opened.append(event)
    assert 4 <= len(opened) <= 32
    assert {event.text for event in opened} == {"threshold from the camera's past"}
    assert all(event.peak >= event.threshold for event in opened)


def test_a_labels_own_threshold_is_not_touched() -> None:
    moments = Moments(camera(Watched(label="dog", threshold=0.9), "cat", false_alarms_per_day=1.0, threshold=0.4))
    found = moments.thresholds()
    assert (found["dog"].value, found["dog"].basis) == (0.9, "label")
    assert (found["cat"].value, found["cat"].basis) == (0.4, "camera")
