"""States of a camera, told from measurements of pictures and sounds that are made here."""

from collections.abc import Callable, Iterable
from itertools import count

import msgspec
import numpy as np
import pytest

from live.event import LiveEvent
from live.health import Health
from live.health_checks import HealthOptions
from pipeline.result import ClipRecord, Evidence, Label
from tests.live.records import camera, clip, dropped

Picture = np.ndarray
NUMBERS = count()
NOISE = np.random.default_rng(1).normal(0, 1, (16, 180, 320)).astype(np.float32)


def measured(picture: Picture) -> dict[str, float]:
    """The measures of a picture, uint8 "H W", as `stages.decode.live.measures` has them."""
    rows = picture[::8].astype(np.int16)
    return {
        "brightness": float(picture.mean()),
        "spread": float(picture.std()),
        "sharpness": float(np.percentile(np.abs(np.diff(rows, axis=1)), 98)),
    }


def noisy(picture: np.ndarray, sigma: float) -> Picture:
    """With the noise of a sensor, another one each time."""
    noise = NOISE[next(NUMBERS) % len(NOISE)]
    return np.clip(picture + sigma * noise, 0, 255).astype(np.uint8)


def scene(light: float = 1.0) -> np.ndarray:
    """A yard by day: surfaces with edges, "H W"."""
    y, x = np.mgrid[0:180, 0:320]
    return light * (60 + 80 * ((x // 40 + y // 30) % 3) + 0.2 * x)


def lights(number_of: int = 4) -> np.ndarray:
    """A yard at night, with some lamps."""
    picture = np.full((180, 320), 8.0)
    for number in range(number_of):
        picture[40:46, 60 * number + 30 : 60 * number + 36] = 230
    return picture


def told(records: Iterable[ClipRecord], options: HealthOptions | None = None) -> list[LiveEvent]:
    health = Health(camera("dog"), options)
    return [event for record in records for event in health.add(record)]


def names(events: list[LiveEvent]) -> list[tuple[str, str]]:
    return [(event.name, event.state) for event in events]


def shown(pictures: Iterable[Picture]) -> list[ClipRecord]:
    return [clip(index, measures=measured(picture)) for index, picture in enumerate(pictures)]


DAY = [noisy(scene(), 2.0) for _ in range(4)] * 25


@pytest.mark.parametrize(
    ("cover", "looks"),
    [
        (lambda: np.zeros((180, 320), np.uint8), "dark and uniform"),
        (lambda: noisy(np.full((180, 320), 14.0), 5.0), "dark and uniform"),
        (lambda: noisy(np.full((180, 320), 120.0), 1.0), "uniform"),
        (lambda: (90 + np.linspace(0, 40, 320) * np.ones((180, 1))).astype(np.uint8), "unsharp"),
    ],
    ids=["cap", "cap with noise", "paper", "hand"],
)
def test_a_lens_that_is_covered_is_told_and_so_is_that_it_is_free_again(
    cover: Callable[[], Picture], looks: str
) -> None:
    events = told(shown([*DAY, *(cover() for _ in range(15)), *DAY[:5]]))
    assert names(events) == [("lens_covered", "open"), ("lens_covered", "closed")]
    assert events[0].text == f"the picture has become {looks}"
    assert events[0].start == "2026-11-28T18:03:20.000+00:00"
    assert events[1].duration_s == 30.0
    assert events[0].evidence["usual_structure"] > 20 > events[0].evidence["structure"]


def test_night_with_lights_and_noise_is_not_a_covered_lens() -> None:
    night = [noisy(lights(), 2.5) for _ in range(60)]
    assert told(shown([*DAY, *night])) == []


def test_a_night_without_any_light_that_comes_slowly_is_not_a_covered_lens() -> None:
    dusk = (noisy(scene(light), 2.0 * light) for light in np.linspace(1, 0, 1200))
    assert told(shown([*DAY, *dusk])) == []


def test_fog_that_comes_in_a_quarter_of_an_hour_is_not_a_covered_lens() -> None:
    fog = (noisy(150 + clear * (scene() - 150), 1.0) for clear in np.geomspace(1, 0.02, 450))
    assert told(shown([*DAY, *fog])) == []


def test_a_hand_before_the_lens_for_a_moment_is_not_told() -> None:
    cover = [noisy(np.full((180, 320), 120.0), 1.0) for _ in range(9)]
    assert told(shown([*DAY, *cover, *DAY])) == []


def test_a_picture_without_a_sensors_noise_is_frozen() -> None:
    records = [clip(i, measures={"same_s": max(0.0, 2.0 * (i - 4))}) for i in range(40)]
    events = told([*records, *(clip(40 + i, measures={"same_s": 0.0}) for i in range(3))])
    assert names(events) == [("picture_frozen", "open"), ("picture_frozen", "closed")]
    assert events[0].evidence == {"same_s": 60.0}
    assert told([clip(i, measures={"same_s": 2.0 * (i % 5)}) for i in range(60)]) == []


def test_a_picture_that_has_been_frozen_for_long_is_told_at_once() -> None:
    assert names(told([clip(0, measures={"same_s": 70.0})])) == [("picture_frozen", "open")]


def heard(levels: Iterable[float], first: int = 0, seconds: float = 60.0) -> list[ClipRecord]:
    return [
        clip(first + i, seconds=seconds, measures={"level_dbfs": level, "silent_s": 0.0})
        for i, level in enumerate(levels)
    ]


def a_day_and_a_half() -> list[float]:
    """Levels of each minute: -35 dBFS by day, -58 dBFS at night, and some more or less."""
    rng = np.random.default_rng(2)
    quiet = [-58.0 if hour % 24 < 8 else -35.0 for hour in range(36) for _ in range(60)]
    return [float(level + rng.normal(0, 2)) for level in quiet]


def test_a_quiet_night_is_not_a_silent_microphone() -> None:
    assert told(heard([*a_day_and_a_half(), *a_day_and_a_half()])) == []


def test_a_microphone_far_below_its_quietest_hour_is_silent() -> None:
    past = a_day_and_a_half()
    events = told([*heard([*past, *[-90.0] * 10, *past[:5]])])
    assert names(events) == [("microphone_silent", "open"), ("microphone_silent", "closed")]
    assert events[1].duration_s == 600.0
    assert events[0].evidence["quietest_dbfs"] == pytest.approx(-58, abs=1)


def test_a_camera_that_hardly_ever_has_sound_has_no_silent_microphone() -> None:
    assert told(heard([*[-88.0] * 60 * 36, *[-110.0] * 20])) == []


def test_digital_silence_is_told_at_night_too() -> None:
    silent = [clip(i, measures={"level_dbfs": -120.0, "silent_s": 2.0 * (i + 1)}) for i in range(20)]
    back = [clip(20 + i, measures={"level_dbfs": -50.0, "silent_s": 0.0}) for i in range(4)]
    events = told([*silent, *back])
    assert names(events) == [("microphone_silent", "open"), ("microphone_silent", "closed")]
    assert events[0].start == "2026-11-28T18:00:00.000+00:00"
    assert events[0].evidence["silent_s"] == 30.0


def test_sound_that_does_not_come_any_more_is_told_and_a_camera_without_sound_is_not() -> None:
    seen = {"brightness": 90.0}
    records = [clip(0, measures=seen | {"level_dbfs": -40.0}), *(clip(i, measures=seen) for i in range(1, 40))]
    assert names(told(records)) == [("microphone_silent", "open")]
    assert told(records[1:]) == []


def test_answers_that_stay_the_same_while_clips_change_are_told() -> None:
    same = [clip(i, dog=0.31, cat=0.2, measures={"change": 0.1}) for i in range(10)]
    events = told([*same, *(clip(10 + i, dog=0.3 + i / 10, cat=0.2, measures={"change": 0.1}) for i in range(4))])
    assert names(events) == [("engine_constant", "open"), ("engine_constant", "closed")]
    assert events[0].evidence["change"] == 0.1


@pytest.mark.parametrize("measures", [{}, {"change": 0.0, "level_dbfs": -40.0}], ids=["unknown", "still"])
def test_the_same_answers_for_clips_that_are_the_same_are_right(measures: dict[str, float]) -> None:
    assert told([clip(i, dog=0.31, measures=measures) for i in range(60)]) == []


def test_what_a_camera_hears_does_not_follow_what_it_sees() -> None:
    only_sound = [
        Label(label="dog", probability=0.1, share=1.0, evidence={"audio": Evidence(0.1, 0.1, 1.0)}),
    ]
    records = [
        msgspec.structs.replace(clip(i, measures={"change": 0.3, "level_dbfs": -60.0}), parts={"labels": only_sound})
        for i in range(60)
    ]
    assert told(records) == []


def test_reused_answers_say_nothing_of_the_engine() -> None:
    assert told([clip(i, dog=0.31, measures={"change": 0.1}, reused=True) for i in range(60)]) == []


def test_answers_that_are_not_numbers_are_told() -> None:
    assert names(told([clip(i, dog=float("nan")) for i in range(10)])) == [("engine_constant", "open")]


def test_a_wrong_clock_is_told() -> None:
    offsets = [*[0.1] * 5, *[-3600.0] * 20, *[0.1] * 5]
    events = told([clip(i, measures={"clock_offset_s": offset}) for i, offset in enumerate(offsets)])
    assert names(events) == [("clock_wrong", "open"), ("clock_wrong", "closed")]
    assert events[0].text.startswith("the camera's clock is 3600 s behind")
    assert events[1].duration_s == 40.0


def test_a_camera_is_lost_once_and_back_once() -> None:
    now = [100.0]
    health = Health(camera("dog"), clock=lambda: now[0])
    opened = health.connection("lost", "no packet for 10 s")
    assert names(opened) == [("camera_lost", "open")]
    assert opened[0].text == "no packet for 10 s"
    assert health.connection("connecting", "") == health.connection("refused", "a wrong password") == []
    now[0] = 142.5
    closed = health.connection("live", "")
    assert [(event.id, event.state, event.duration_s) for event in closed] == [(opened[0].id, "closed", 42.5)]
    assert health.connection("live", "") == []


def test_drops_and_errors_say_nothing() -> None:
    assert told([clip(0, measures={"same_s": 70.0}), *(dropped(i) for i in range(1, 40))])[1:] == []


def test_a_new_output_process_goes_on_where_the_old_one_was_killed() -> None:
    records = [clip(i, measures={"same_s": 2.0 * i if i < 40 else 0.0}) for i in range(44)]
    once = told(records)
    for killed in (10, 29, 31, 35, 41):
        first, second = Health(camera("dog")), Health(camera("dog"))
        events = [event for record in records[:killed] for event in first.add(record)]
        second.restore(first.state())
        events += [event for record in records[killed - 2 :] for event in second.add(record)]
        assert events == once


def test_stopping_closes_what_is_open() -> None:
    health = Health(camera("dog"))
    for index in range(40):
        health.add(clip(index, measures={"same_s": 2.0 * index}))
    health.connection("lost", "gone")
    assert names(health.stop()) == [("picture_frozen", "closed"), ("camera_lost", "closed")]
    assert health.stop() == []


def test_what_is_usual_stays_known_in_the_next_watch() -> None:
    health = Health(camera("dog"))
    for record in shown([*DAY, *(np.zeros((180, 320), np.uint8) for _ in range(15))]):
        health.add(record)
    assert names(health.begin_watch()) == [("lens_covered", "closed")]
    again = [of for record in shown([np.zeros((180, 320), np.uint8)] * 15) for of in health.add(record)]
    assert names(again) == [("lens_covered", "open")]
