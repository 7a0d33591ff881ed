import pytest

from training.train import pace
from training.train.pace import Announced, about


class Recorded:
    """A console that keeps what is said, and the steps that are shown."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.shown: list[int] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    warn = say

    def steps(self, what: str):
        return lambda done, total, failed=0, facts=None: self.shown.append(done)


def test_the_time_of_the_rest_is_said_once_after_the_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr(pace, "monotonic", lambda: now_s[0])
    console = Recorded()
    step = Announced(console, "encoding clips")
    for done in range(11, 31):  # ten were known before
        now_s[0] += 100.0 if done == 11 else 3.0  # the first one loads networks
        step(done, 60)
    assert console.said == ["encoding clips: about 2 min for the other 45 of 60"]
    assert console.shown == list(range(11, 31))


def test_a_short_part_is_not_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr(pace, "monotonic", lambda: now_s[0])
    console = Recorded()
    step = Announced(console, "training head")
    for done in range(20):
        now_s[0] += 0.01
        step(done, 400, facts={"loss": 1.0})
    assert console.said == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(2, "about 10 s"), (44, "about 40 s"), (700, "about 12 min"), (12_600, "about 3.5 h")]
)
def test_times_are_rounded_for_people(seconds: float, text: str) -> None:
    assert about(seconds) == text
