"""The waits between tries."""

from stages.decode.live.backoff import JITTER, LAST_S, QUICK_S, Backoff


def test_waits_grow_up_to_a_minute() -> None:
    backoff = Backoff(seed=3)
    waits = [backoff.next_s() for _ in range(100)]
    assert waits[0] == QUICK_S
    for number, wait_s in enumerate(waits[1:]):
        usual_s = min(LAST_S, 2.0**number)
        assert usual_s * (1 - JITTER) <= wait_s <= usual_s * (1 + JITTER)
    assert len(set(waits)) == len(waits), "no two waits are the same"


def test_after_a_success_the_first_try_is_quick_again() -> None:
    backoff = Backoff()
    assert backoff.next_s() == QUICK_S
    assert backoff.next_s() > QUICK_S
    backoff.succeeded()
    assert backoff.next_s() == QUICK_S


def test_a_camera_that_refuses_is_tried_slowly_from_the_start() -> None:
    assert Backoff(seed=1).next_s(refused=True) >= LAST_S * (1 - JITTER)
