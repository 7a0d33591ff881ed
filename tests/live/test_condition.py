"""Conditions, judged clip by clip: three-valued logic, times, and memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live.condition import Judge, Memory, Truth, every
from live.condition_parts import labels_of, show, zones_of
from live.condition_text import parse

LABELS = ("dog", "person", "rock and roll")
ZONES = ("drive", "hall")


@dataclass
class Clip:
    """What a clip says; a label that is not in it is unknown."""

    start_s: float
    end_s: float
    labels: dict[str, Truth] = field(default_factory=dict)
    probabilities: dict[str, float] = field(default_factory=dict)
    moving: dict[str, Truth] = field(default_factory=dict)
    tracks: tuple[tuple[str, str], ...] = ()

    def probable(self, label: str) -> Truth:
        return self.labels.get(label)

    def probability(self, label: str) -> float | None:
        return self.probabilities.get(label)

    def moves(self, zone: str) -> Truth:
        return self.moving.get(zone)

    def crossed(self, label: str, line: str, way: str) -> Truth:
        return False

    def stays(self, label: str, zone: str, seconds: float) -> Truth:
        return False

    def tracked(self, label: str, zone: str) -> Truth:
        return any(label in ("", name) and zone in ("", where) for name, where in self.tracks)


def judged(text: str, dogs: Sequence[Truth], seconds: float = 2.0) -> list[Truth]:
    """The truth of a condition over a series of clips in which a dog is probable, not probable, or unknown."""
    judge = Judge(parse(text, LABELS, ZONES))
    clips = [Clip(i * seconds, (i + 1) * seconds, {"dog": dog, "person": False}) for i, dog in enumerate(dogs)]
    return [judge.judge(clip)[0] for clip in clips]


T, F, U = True, False, None


@pytest.mark.parametrize(("dog", "person"), list(product([T, F, U], repeat=2)))
def test_truth_has_three_values(dog: Truth, person: Truth) -> None:
    clip = Clip(0, 2, {"dog": dog, "person": person})

    def truth(text: str) -> Truth:
        return Judge(parse(text, LABELS)).judge(clip)[0]

    assert truth("dog and person") == every([dog, person])
    assert truth("not dog") == (None if dog is None else not dog)
    assert truth("dog or person") == truth("not (not dog and not person)")
    possible = {(a and not b) for a in ([T, F] if dog is U else [dog]) for b in ([T, F] if person is U else [person])}
    assert truth("dog and not person") == (possible.pop() if len(possible) == 1 else None)


def test_for_is_true_once_it_has_held_so_long() -> None:
    assert judged("dog for 4 s", [T, T, T, F, T, T]) == [F, T, T, F, F, T]


def test_a_clip_of_which_nothing_is_known_does_not_break_a_for() -> None:
    assert judged("dog for 6 s", [T, U, T, U, T]) == [F, F, T, U, T]
    assert judged("dog for 6 s", [U, T, U, T]) == [U, F, F, T]


def test_not_for_means_without_for_so_long() -> None:
    assert judged("not dog for 4 s", [F, F, T, F, F]) == [F, T, F, F, T]


def test_within_is_true_for_so_long_after() -> None:
    assert judged("dog within 4 s", [F, T, F, F, F]) == [F, T, T, T, F]
    assert judged("dog within 4 s", [T, U, U, U]) == [T, T, T, U]


def test_a_comparison_has_no_hysteresis() -> None:
    judge = Judge(parse("dog > 0.6", LABELS))
    assert [judge.judge(Clip(0, 2, probabilities={"dog": p}))[0] for p in (0.6, 0.61)] == [F, T]
    assert Judge(parse("dog <= 0.6", LABELS)).judge(Clip(0, 2, probabilities={"dog": 0.6}))[0] is True
    assert Judge(parse("dog > 0.6", LABELS)).judge(Clip(0, 2))[0] is None


def test_a_label_in_a_zone_is_a_track_of_it_or_the_label_with_motion_there() -> None:
    judge = Judge(parse("dog in drive", LABELS, ZONES))
    assert judge.judge(Clip(0, 2, {"dog": F}, moving={"drive": T}, tracks=(("dog", "drive"),)))[0] is True
    assert judge.judge(Clip(0, 2, {"dog": T}, moving={"drive": T}, tracks=(("dog", "hall"),)))[0] is True
    assert judge.judge(Clip(0, 2, {"dog": T}, moving={"drive": F}))[0] is False
    assert judge.judge(Clip(0, 2, {"dog": F}, moving={"drive": T}, tracks=(("car", "drive"),)))[0] is False


def test_motion_and_anything() -> None:
    clip = Clip(0, 2, moving={"drive": T, "hall": F, "": T}, tracks=(("car", "hall"),))
    for text, expected in (("motion", T), ("motion in hall", F), ("anything in hall", T), ("anything in drive", F)):
        assert Judge(parse(text, LABELS, ZONES)).judge(clip)[0] is expected


def test_the_truth_of_each_part_is_given_by_its_text() -> None:
    judge = Judge(parse('not person and (dog for 1 min or "rock and roll")', LABELS))
    truth, parts = judge.judge(Clip(0, 2, {"dog": T, "person": F, "rock and roll": U}))
    assert truth is None
    assert parts == {"person": F, "dog for 60 s": F, "dog": T, '"rock and roll"': U}


def test_memory_goes_on_elsewhere_and_is_dropped_with_another_condition() -> None:
    node = parse("dog for 4 s", LABELS)
    first = Judge(node)
    first.judge(Clip(0, 2, {"dog": T}))
    assert Judge(node, Memory(list(first.memory.at_s))).judge(Clip(2, 4, {"dog": T}))[0] is True
    other = parse("dog for 4 s or person for 4 s", LABELS)
    assert Judge(other, first.memory).judge(Clip(2, 4, {"dog": T, "person": F}))[0] is False


def test_forgetting_begins_anew() -> None:
    judge = Judge(parse("dog for 4 s", LABELS))
    judge.judge(Clip(0, 2, {"dog": T}))
    judge.forget()
    assert judge.judge(Clip(2, 4, {"dog": T}))[0] is False


def test_labels_and_zones_of_a_condition() -> None:
    node = parse("dog in drive or not (person > 0.5 and motion in hall for 3 s)", LABELS, ZONES)
    assert (labels_of(node), zones_of(node)) == ({"dog", "person"}, {"drive", "hall"})


@settings(deadline=None)
@given(st.lists(st.sampled_from([T, F]), max_size=30), st.sampled_from([2.0, 4.0, 5.0, 10.0]))
def test_for_agrees_with_counting(dogs: list[bool], seconds: float) -> None:
    expected = []
    for index in range(len(dogs)):
        run = 0
        while run <= index and dogs[index - run]:
            run += 1
        expected.append(run * 2.0 >= seconds)
    assert judged(f"dog for {seconds} s", dogs) == expected


def test_what_is_shown_reads_back() -> None:
    text = 'not (dog or "rock and roll" > 0.25) for 90 s and (person in hall or motion) within 5 s'
    node = parse(text, LABELS, ZONES)
    assert show(node) == text
    assert parse(show(node), LABELS, ZONES) == node
