"""Events as sentences."""

import time
from collections.abc import Iterator

import pytest

from live.event import LiveEvent
from live.sentence import duration, sentence


@pytest.fixture(autouse=True)
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


CLOSED = {"state": "closed", "duration_s": 6.2}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"kind": "label", "name": "dog barking"}, "door: dog barking 87 % at 14:03:22"),
        ({"kind": "label", "name": "dog barking"} | CLOSED, "door: dog barking 87 % at 14:03:22 (for 6 s)"),
        ({"kind": "rule", "name": "Break-in"}, "door: Break-in at 14:03:22"),
        (
            {"kind": "health", "name": "camera_lost", "text": "no packet for 10 s"},
            "door: camera lost (no packet for 10 s) at 14:03:22",
        ),
        ({"kind": "health", "name": "disk_full", "camera": ""}, "disk full at 14:03:22"),
        ({"kind": "label", "name": "a\x1b[31m\nb"}, "door: a?[31m b 87 % at 14:03:22"),
    ],
)
def test_an_event_is_one_line_in_local_time(facts: dict[str, object], expected: str) -> None:
    known = {"id": "1", "camera": "door", "state": "open", "start": "2026-01-31T13:03:22.400+00:00", "peak": 0.874}
    assert sentence(LiveEvent(**(known | facts))) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (125.0, "2 min 5 s"), (3780.0, "1 h 3 min")],
)
def test_lengths_have_two_units_at_most(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected
