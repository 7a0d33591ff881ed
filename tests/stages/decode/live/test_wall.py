"""The wall clock of a camera."""

import struct
import time
from types import SimpleNamespace
from typing import Any

import pytest

from stages.decode.live.wall import WallClock

NS = 1_000_000_000


class SideData(bytes):
    data_type = "prft"


def report(unix_s: float) -> Any:
    """A packet that tells the camera's time."""
    data = SideData(struct.pack("<qi4x", round(unix_s * 1e6), 24))
    return SimpleNamespace(iter_sidedata=lambda: iter([data]))


def here_s(captured_ns: int) -> float:
    return (time.time_ns() - time.monotonic_ns() + captured_ns) / NS


@pytest.mark.parametrize("ahead_s", [0.0, 3.0, -9.0])
def test_a_plausible_camera_tells_the_time(ahead_s: float) -> None:
    clock, captured_ns = WallClock(), time.monotonic_ns()
    clock.look(report(here_s(captured_ns) + ahead_s), captured_ns)
    wall = clock.at(captured_ns - 5 * NS)
    assert wall.clock == "camera"
    assert wall.offset_s == pytest.approx(ahead_s, abs=0.01)
    assert wall.time_ns / NS == pytest.approx(here_s(captured_ns) - 5 + ahead_s, abs=0.01)


@pytest.mark.parametrize("ahead_s", [11.0, -3600.0, -1.7e9])
def test_a_camera_whose_clock_is_wrong_does_not(ahead_s: float) -> None:
    clock, captured_ns = WallClock(), time.monotonic_ns()
    clock.look(report(here_s(captured_ns) + ahead_s), captured_ns)
    wall = clock.at(captured_ns)
    assert wall.clock == "arrival"
    assert wall.offset_s == pytest.approx(ahead_s, abs=0.01)
    assert wall.time_ns / NS == pytest.approx(here_s(captured_ns), abs=0.01)


def test_without_a_report_the_time_is_that_of_arrival() -> None:
    captured_ns = time.monotonic_ns()
    wall = WallClock().at(captured_ns)
    assert (wall.clock, wall.offset_s) == ("arrival", None)
    assert wall.time_ns / NS == pytest.approx(here_s(captured_ns), abs=0.01)
