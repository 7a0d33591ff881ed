"""Rounds of checks of all engines."""

import time

from live.canary import EVERY_S, Canary


def test_a_round_is_over_when_every_worker_has_answered() -> None:
    canary = Canary()
    assert canary.status({1, 2}).ok is None
    canary.begin(100.0, {1, 2})
    assert canary.next_s == 100.0 + EVERY_S
    canary.answered(1)
    assert canary.status({1, 2}).ok is None
    canary.answered(2)
    status = canary.status({1, 2})
    assert (status.ok, status.text) == (True, "")
    assert status.at.endswith("+00:00")


def test_a_problem_stands_until_a_round_without_it_and_that_comes_soon() -> None:
    canary = Canary()
    canary.begin(time.monotonic(), {1})
    canary.answered(1)
    canary.fail("label-1: gives the same answer to different inputs")
    assert canary.status({1}).ok is False
    assert canary.next_s < time.monotonic() + EVERY_S / 10
    canary.begin(time.monotonic(), {2})
    assert "same answer" in canary.status({2}).text
    canary.answered(2)
    assert canary.status({2}).ok


def test_a_worker_that_is_gone_holds_no_round_up() -> None:
    canary = Canary()
    canary.begin(0.0, {1})
    assert canary.status({7}).ok is None
    canary.begin(1.0, {7})
    canary.answered(7)
    assert canary.status({7}).ok
