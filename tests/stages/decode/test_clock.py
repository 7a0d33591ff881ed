"""The clock of a source: what is read of films whose clocks start again, leap, repeat themselves or are damaged."""

from pathlib import Path

import pytest

from stages.decode.clock import NS, Clock, Rules, Stamp
from tests.clock_film import Clock as FilmClock
from tests.clock_film import Picture, Sound, added, joined, moved, restarted, without, write_film
from tests.clock_reading import ClockReading, read_clock

START_S = 1.4
"""Of the transport streams that ffmpeg writes."""
REORDERED = Picture(b_frames=2)
CODER_S = 0.0235
"""A film's pictures and sound are late by this at most: the sound's coder begins earlier."""


def is_in_place(reading: ClockReading, within_s: float = 0.04) -> bool:
    return reading.shifts.largest_s <= within_s


def is_whole(reading: ClockReading, seconds: float = 16.0) -> bool:
    """Every second was shown and heard once, and nothing follows."""
    return (
        reading.end_s == pytest.approx(seconds, abs=0.06)
        and len(reading.sound) * 0.05 == pytest.approx(seconds, abs=0.2)
        and len(reading.shown) == pytest.approx(seconds * 8, abs=3)
    )


def part(folder: Path, number: int, start_s: float, end_s: float, begins_at_s: float | None = None) -> Path:
    """One segment; its clock tells the time, or begins at `begins_at_s`."""
    options = {} if begins_at_s is None else {"output_ts_offset": str(START_S + begins_at_s - start_s)}
    path = folder / f"part{number}.ts"
    return write_film(path, end_s - start_s, REORDERED, start_s=start_s, options=options)


TWICE: FilmClock = lambda told_s: told_s if told_s < 5 else told_s - (5 if told_s < 10 else 10)  # noqa: E731


@pytest.mark.parametrize(
    "clock",
    [restarted(8), restarted(8, 3), restarted(6, 5000), restarted(8, 7.7), TWICE, moved(3, 8), moved(30, 8)],
    ids=["from 0", "back 5 s", "ahead 5000 s", "back 0.3 s", "twice", "ahead 3 s", "ahead 30 s"],
)
@pytest.mark.parametrize("which", ["sound", "pictures"])
def test_a_clock_that_changes_in_one_stream_is_continued_beside_the_other(
    tmp_path: Path, which: str, clock: FilmClock
) -> None:
    picture = Picture(b_frames=2, clock=clock) if which == "pictures" else REORDERED
    sound = Sound(clock=clock) if which == "sound" else Sound()
    reading = read_clock(write_film(tmp_path / "one.ts", 16.0, picture, sound))
    assert is_in_place(reading)
    assert is_whole(reading)
    assert (reading.errors, reading.gaps) == (0, [])
    assert {clip.info.epoch for clip in reading.clips} == {0}


@pytest.mark.parametrize(("at_s", "to_s"), [(8.0, 0.0), (8.0, 3.0), (6.0, 0.0)])
def test_a_clock_that_starts_again_in_both_streams_is_continued(tmp_path: Path, at_s: float, to_s: float) -> None:
    clock = restarted(at_s, to_s)
    film = write_film(tmp_path / "both.ts", 16.0, Picture(b_frames=2, clock=clock), Sound(clock=clock))
    reading = read_clock(film)
    assert is_in_place(reading)
    assert is_whole(reading)
    assert reading.gaps == []
    assert {clip.info.epoch for clip in reading.clips} == {0, 1}


@pytest.mark.parametrize("seconds", [2, 4])
def test_joined_recordings_follow_each_other(tmp_path: Path, seconds: int) -> None:
    starts = range(0, 16, seconds)
    parts = [part(tmp_path, number, s, s + seconds, begins_at_s=0.0) for number, s in enumerate(starts)]
    reading = read_clock(joined(tmp_path / "joined.ts", *parts))
    assert is_in_place(reading)
    assert is_whole(reading)
    assert reading.gaps == []


@pytest.mark.parametrize("overlap_s", [0.08, 0.32, 1.0, 1.6])
def test_segments_that_overlap_on_a_right_clock_are_told_once(tmp_path: Path, overlap_s: float) -> None:
    spans = [(max(0.0, 4 * k - overlap_s), 4.0 * k + 4) for k in range(4)]
    parts = [part(tmp_path, number, *span) for number, span in enumerate(spans)]
    reading = read_clock(joined(tmp_path / "overlap.ts", *parts))
    assert is_in_place(reading)
    assert is_whole(reading)
    assert {clip.info.epoch for clip in reading.clips} == {0}


@pytest.mark.parametrize("overlap_s", [1.0, 6.0])
def test_the_same_packets_are_told_once_however_long_they_are(tmp_path: Path, overlap_s: float) -> None:
    data = write_film(tmp_path / "whole.ts", 16.0, REORDERED).read_bytes()
    packets = len(data) // 188
    middle = packets // 2
    path = tmp_path / "again.ts"
    path.write_bytes(data[: 188 * middle] + data[188 * (middle - int(packets * overlap_s / 16)) :])
    reading = read_clock(path)
    assert is_in_place(reading)
    assert is_whole(reading)


DAMAGES = {
    "first": (0.0, 0.03),
    "before a second": (7.95, 7.99),
    "key picture": (7.99, 8.03),
    "three": (7.99, 8.1),
    "last but one": (15.9, 15.95),
    "last": (15.95, 16.0),
    "last three": (15.86, 16.0),
}


@pytest.mark.parametrize("by_s", [40_000.0, 100.0, 3.0, -5.0])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_times_of_pictures_are_estimated(tmp_path: Path, damage: str, by_s: float) -> None:
    begin_s, end_s = DAMAGES[damage]
    if begin_s + by_s < 0 or (damage == "last three" and by_s == 3.0):
        pytest.skip("no damage, or one that a picture may have")
    film = write_film(tmp_path / "damaged.ts", 16.0, Picture(clock=moved(by_s, begin_s - 0.001, end_s)))
    reading = read_clock(film)
    assert is_in_place(reading)
    assert is_whole(reading)
    assert reading.gaps == []


def test_a_damaged_time_marks_its_clip(tmp_path: Path) -> None:
    reading = read_clock(write_film(tmp_path / "damaged.ts", 8.0, Picture(clock=moved(100, 2.99, 3.13))))
    assert [clip.info.estimated_times for clip in reading.clips] == [False, True, False, False]


@pytest.mark.parametrize("begin_s", [8.0, 15.96])
def test_damaged_times_of_sound_are_estimated(tmp_path: Path, begin_s: float) -> None:
    film = write_film(tmp_path / "damaged.ts", 16.0, sounds=Sound(clock=moved(40_000, begin_s, begin_s + 0.05)))
    reading = read_clock(film)
    assert is_in_place(reading)
    assert is_whole(reading)


def test_the_last_times_of_all_streams_may_be_damaged(tmp_path: Path) -> None:
    clock = moved(40_000, 15.95)
    reading = read_clock(write_film(tmp_path / "cut.ts", 16.0, Picture(clock=clock), Sound(clock=clock)))
    assert is_whole(reading)
    assert read_clock(write_film(tmp_path / "silent.ts", 16.0, Picture(clock=clock), None)).end_s == pytest.approx(16.0)


@pytest.mark.parametrize("name", ["pause.ts", "pause.mkv"])
def test_a_leap_of_all_streams_is_a_gap(tmp_path: Path, name: str) -> None:
    clock = moved(30, 8)
    reading = read_clock(write_film(tmp_path / name, 16.0, Picture(clock=clock), Sound(clock=clock)))
    assert [(gap.start_ns / NS, gap.end_ns / NS) for gap in reading.gaps] == [
        (pytest.approx(8.0, abs=0.03), pytest.approx(38.0, abs=0.03))
    ]
    assert reading.shifts.picture_largest_s == pytest.approx(30.0, abs=0.03)


@pytest.mark.parametrize("name", ["hole.ts", "hole.mkv", "hole.mp4"])
@pytest.mark.parametrize("which", ["sound", "pictures"])
def test_a_hole_in_one_stream_is_no_gap(tmp_path: Path, name: str, which: str) -> None:
    hole = without(4, 18)
    picture = Picture(clock=hole) if which == "pictures" else Picture()
    sound = Sound(clock=hole) if which == "sound" else Sound()
    reading = read_clock(write_film(tmp_path / name, 20.0, picture, sound))
    assert (reading.gaps, len(reading.clips)) == ([], 10)
    assert abs(reading.shifts.sound_largest_s) <= 0.04
    assert reading.shown_at(19.5) == pytest.approx(19.5, abs=0.15)
    assert reading.heard_at(19.5) == pytest.approx(19.5, abs=0.1)
    assert all("frames" in clip.arrays for clip in reading.clips)


def test_pictures_out_of_order_do_not_move_those_after_them(tmp_path: Path) -> None:
    late = added(*(moved(-0.09, k / 2 - 0.001, k / 2 + 0.03) for k in range(1, 16)))
    reading = read_clock(write_film(tmp_path / "disorder.ts", 8.0, Picture(clock=late)))
    assert is_in_place(reading, 0.13)
    assert abs(reading.shifts.picture_median_s) < 0.04
    assert reading.end_s == pytest.approx(8.0, abs=0.06)


# The clock itself


def placed(stamps: list[Stamp], rules: Rules) -> tuple[list[int | None], Clock]:
    """The repaired times of decoding."""
    clock = Clock(rules)
    offsets = [clock.place(stamp, lambda place=place: stamps[place + 1 :]) for place, stamp in enumerate(stamps)]
    times = [
        None if offset is None or stamp.decode_ns is None else stamp.decode_ns + offset
        for stamp, offset in zip(stamps, offsets, strict=True)
    ]
    return times, clock


def stamps(times_s: list[float], stream: int = 0) -> list[Stamp]:
    return [Stamp(stream, round(time_s * NS), round(time_s * NS), NS // 25) for time_s in times_s]


HOLDS, RUNS = Rules(10 * NS, holds=True), Rules(10 * NS, holds=False)


@pytest.mark.parametrize("rules", [HOLDS, RUNS])
def test_right_times_are_left_alone(rules: Rules) -> None:
    times_s = [k / 25 for k in range(50)] + [5.0, 5.04, 9.0]
    times, clock = placed(stamps(times_s), rules)
    assert times == [round(time_s * NS) for time_s in times_s]
    assert (clock.epochs_ns, clock.repeats, clock.damaged) == ([], [], 0)


def test_only_a_running_clock_leaves_a_gap_where_pictures_pause() -> None:
    times_s = [0.0, 0.04, 20.0, 20.04, *(4000 + k / 25 for k in range(5))]
    assert placed(stamps(times_s), RUNS)[1].epochs_ns == [20 * NS, 4000 * NS]
    assert placed(stamps(times_s), HOLDS)[1].epochs_ns == [4000 * NS]


def test_a_packet_without_a_time_of_decoding_is_not_judged() -> None:
    untimed = [Stamp(0, None, 15 * NS), Stamp(0, None, None)]
    times, clock = placed([*stamps([0.0]), *untimed, *stamps([0.04, 0.08])], HOLDS)
    assert times == [0, None, None, 40_000_000, 80_000_000]
    assert clock.damaged == 0


def test_a_time_of_showing_that_is_damaged_alone_is_found() -> None:
    shown = stamps([k / 25 for k in range(30)])
    shown[10].show_ns = 40_000 * NS
    clock = Clock(RUNS)
    right = []
    for place, stamp in enumerate(shown):
        clock.place(stamp, lambda place=place: shown[place + 1 :])
        right.append(clock.is_shown_in_time(stamp, lambda place=place: shown[place + 1 :]))
    assert [place for place, is_right in enumerate(right) if not is_right] == [10]


def test_after_a_seek_the_clock_goes_on_from_anywhere() -> None:
    clock = Clock(RUNS)
    for stamp in stamps([0.0, 0.04]):
        clock.place(stamp, list)
    clock.jump()
    assert clock.place(stamps([500.0])[0], list) == 0
    assert clock.epochs_ns == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("one", "the clock of one stream starts again; it is continued"),
        ("both", "the clock starts again; it is continued"),
        ("overlap", "the clock goes back a little; what it tells twice is left out"),
    ],
)
def test_what_the_clock_does_is_said_once(
    tmp_path: Path, name: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock: FilmClock = restarted(5, 4.0) if name == "overlap" else TWICE
    picture = REORDERED if name == "one" else Picture(b_frames=2, clock=clock)
    path = write_film(tmp_path / f"{name}.ts", 12.0, picture, Sound(clock=clock))
    with caplog.at_level("WARNING", "percept.decode"):
        read_clock(path)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == (2 if name == "overlap" else 1)  # each stream tells twice for itself
    assert all(f"{path}: at " in message and message.endswith(f"s {said}") for message in told)
