"""Verdicts on clock films, and one run over real ones."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import cases, cases_films
from benchmarks.cases_expected import READ, Expected, Steps, film, seconds
from benchmarks.cases_judge import Verdict, judge
from benchmarks.cases_read import WINDOW_S, Look, Section
from tests.clock_film import Picture, Sound, moved

FOUR = film("four.mp4", 4)


def seen(shown: Steps, heard: Steps, end_s: float, clip_s: float = 2.0) -> Look:
    """A look at clips whose pictures, at 25 Hz, and sound tell these seconds from these times on."""
    look = Look()
    for first in range(round(end_s / clip_s)):
        start_s = first * clip_s
        section = Section(start_s, start_s + clip_s)
        for number in range(round(clip_s * 25)):
            second = at(shown, start_s + number / 25)
            if second is not None:
                section.pictures.append((start_s + number / 25, 20 + 10 * second, 20 + 10 * second))
        for number in range(round(clip_s / WINDOW_S)):
            time_s = start_s + (number + 0.5) * WINDOW_S
            second = at(heard, time_s)
            if second is not None:
                section.sound.append((time_s, 300 + 100 * second))
        look.sections.append(section)
    return look


def at(steps: Steps, time_s: float) -> int | None:
    return next((second for start_s, second in reversed(steps) if start_s <= time_s + 1e-9), None)


def late(steps: Steps, by_s: float) -> Steps:
    return tuple((start_s + by_s, second) for start_s, second in steps)


def figures(verdict: Verdict) -> tuple[float, ...]:
    picture, sound = verdict.picture, verdict.sound
    return (picture.median_s, picture.largest_s, picture.lost_s, sound.median_s, sound.largest_s, sound.lost_s)


def test_a_right_film_is_right() -> None:
    verdict = judge(seen(seconds(4), seconds(4), 4.0), FOUR)
    assert not verdict.wrong
    assert figures(verdict) == (0, 0, 0, 0, 0, 0)


def test_a_late_sound_is_wrong_by_its_delay() -> None:
    verdict = judge(seen(seconds(4), late(seconds(4), 0.3), 4.0), FOUR)
    assert figures(verdict)[:3] == (0, 0, 0)
    assert verdict.sound.median_s == pytest.approx(0.3, abs=WINDOW_S)
    assert verdict.sound.lost_s == pytest.approx(0.3, abs=0.01)  # the last second ends with the film
    assert verdict.wrong == ("sound +0.28 s late", "0.3 s of sound lost")


def test_what_is_cut_off_is_lost() -> None:
    verdict = judge(seen(seconds(4), seconds(4), 4.0), film("ten.ts", 10))
    assert (verdict.picture.lost_s, verdict.sound.lost_s) == (6.0, 6.0)
    assert "2 clips, not 5" in verdict.wrong
    assert "end 4.00 s, not 10" in verdict.wrong


def test_a_closed_hole_shifts_the_sound_and_an_open_one_is_right() -> None:
    hole: Steps = (*seconds(4), (4.0, None), (8.0, 8), (9.0, 9))
    expected = film("hole.mkv", 10, sound=hole)
    assert not judge(seen(seconds(10), hole, 10.0), expected).wrong
    closed = judge(seen(seconds(10), (*seconds(4), (4.0, 8), (5.0, 9), (6.0, None)), 10.0), expected)
    assert closed.sound.largest_s == pytest.approx(-4.0, abs=WINDOW_S)


def test_a_picture_that_stays_is_lost_where_clips_lack_it() -> None:
    still: Steps = (*seconds(2), (6.0, 6))
    expected = film("still.webm", 8, picture=still, sound=None)
    assert not judge(seen(still, ((0, None),), 8.0), expected).wrong
    lacking = judge(seen((*seconds(2), (2.0, None), (6.0, 6)), ((0, None),), 8.0), expected)
    assert lacking.picture.lost_s == pytest.approx(4.0, abs=0.1)
    assert lacking.picture.largest_s == 0


def test_what_is_far_from_its_second_is_late_even_if_no_step_shows_it() -> None:
    look = seen(seconds(4), seconds(4), 4.0)
    look.sections.append(Section(40_000.0, 40_000.04, [(40_000.0, 50, 50)]))
    assert judge(look, FOUR).picture.largest_s == pytest.approx(40_000 - 4, abs=0.5)


def test_another_right_result_counts() -> None:
    other = replace(FOUR, picture=((0, 11),), sound=((0, 20),))
    expected = replace(FOUR, or_else=other)
    assert not judge(seen(seconds(4), seconds(4), 4.0), expected).wrong
    assert not judge(seen(((0, 11),), ((0, 20),), 4.0), expected).wrong
    mixed = judge(seen(((0, 11),), seconds(4), 4.0), expected)
    assert "4.0 s of picture from elsewhere" in mixed.wrong


def test_a_warning_can_stand_for_the_sound() -> None:
    look = seen(seconds(4), ((0, None),), 4.0)
    expected = replace(FOUR, says=("silent",))
    assert judge(look, expected).wrong == ("4.0 s of sound lost",)
    look.said.append("sound track 0 of 4 is silent, track 2 is not")
    assert not judge(look, expected).wrong


def test_a_refusal_is_right_only_where_it_is_allowed() -> None:
    refused = Look(failure="pipe.ts: is a named pipe")
    assert not judge(refused, replace(FOUR, may_refuse=True)).wrong
    assert judge(refused, FOUR).wrong == ("failed: pipe.ts: is a named pipe",)


def test_a_disc_must_be_round_in_every_clip() -> None:
    look = Look([Section(0, 2, disc=1.0), Section(2, 4, disc=3.17)])
    expected = Expected("turned.webm", 4.0, 2, is_disc=True)
    assert judge(look, expected).wrong == ("width over height of the disc 1.00, 3.17",)
    look.sections[1].disc = 1.02
    assert not judge(look, expected).wrong


def test_every_expected_sound_ends_within_its_film() -> None:
    expected = [each for cases in READ.values() for each in cases]
    assert len(READ) == 23
    assert all(steps[-1][0] < each.end_s for each in expected for steps in (each.picture, each.sound) if steps)


def test_ordinary_films_are_read_without_odd_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = cases_films.Ordinary(Picture(size=(64, 48)), Sound(), 4)
    wrong = cases_films.Ordinary(Picture(), Sound("mp2", clock=moved(0.5)), 4)
    monkeypatch.setattr(cases_films, "FILMS", {"right.mp4": right, "late.ts": wrong})
    monkeypatch.setattr(cases, "FILMS", cases_films.FILMS)
    given = ["--cases", str(tmp_path / "none"), "--built", str(tmp_path), "--root", str(cases.OURS)]
    assert cases.main([*given, "--only", "right.mp4"]) == 0
    assert cases.main([*given, "--only", "late.ts"]) == 1
    printed = capsys.readouterr()
    assert f"No odd cases: {tmp_path / 'none'} is missing" in printed.err
    assert "sound +0.50 s late" in printed.out
    with pytest.raises(SystemExit, match="no such case"):
        cases.main([*given, "--only", "nothing.mp4"])
