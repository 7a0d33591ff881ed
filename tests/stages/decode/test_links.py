"""Streams that change under way: other PIDs in a transport stream, and chained Ogg files."""

import logging
import os
from pathlib import Path

import pytest

from stages.decode.links import next_chain
from stages.decode.reader import ReaderOptions, make_reader
from tests.clock_film import Picture, Sound, joined, write_film
from tests.clock_reading import ClockReading, read_clock
from tests.stages.decode.reading import read, same

REORDERED = Picture(b_frames=2)
PIDS = (256, 512, 768)


def part(folder: Path, start_s: float, end_s: float, pid: int, picture: Picture = REORDERED, **sound: object) -> Path:
    path = folder / f"{start_s:g}_{pid}.ts"
    options = {"mpegts_start_pid": str(pid)}
    track = Sound(**sound)  # type: ignore[arg-type]
    return write_film(path, end_s - start_s, picture, track, start_s=start_s, options=options)


def is_whole(reading: ClockReading, seconds: float) -> bool:
    return (
        abs(reading.shifts.picture_median_s) < 0.04
        and abs(reading.shifts.sound_median_s) < 0.04
        and reading.shifts.largest_s < 0.15  # the sound's coder begins with a little silence
        and reading.end_s == pytest.approx(seconds, abs=0.06)
        and len(reading.sound) * 0.05 == pytest.approx(seconds, abs=0.2)
        and len(reading.shown) == pytest.approx(seconds * 8, abs=3)
        and reading.errors == 0
    )


@pytest.mark.parametrize("pids", [(256, 512), (256, 512, 256), PIDS], ids=["moved", "back", "twice"])
def test_streams_are_followed_to_other_pids(
    tmp_path: Path, pids: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    spans = [(0, 5), (5, 11), (11, 16)] if len(pids) == 3 else [(0, 8), (8, 16)]
    parts = [part(tmp_path, *span, pid) for span, pid in zip(spans, pids, strict=True)]
    path = joined(tmp_path / "moved.ts", *parts)
    with caplog.at_level(logging.WARNING, "percept.decode"):
        reading = read_clock(path)
    assert is_whole(reading, 16.0)
    assert (reading.gaps, {clip.info.epoch for clip in reading.clips}) == ([], {0})
    assert f"{path}: at {spans[1][0]:.1f} s the pictures move to another stream" in caplog.text
    assert f"{path}: at {spans[1][0]:.1f} s the sound moves to another stream" in caplog.text


def test_the_codecs_may_change_with_the_pids(tmp_path: Path) -> None:
    first = part(tmp_path, 0, 8, 256)
    second = part(tmp_path, 8, 16, 512, Picture("mpeg2video"), codec="mp2", gains=(0.3,))
    assert is_whole(read_clock(joined(tmp_path / "codecs.ts", first, second)), 16.0)


def test_streams_that_were_unknown_at_open_are_followed(tmp_path: Path) -> None:
    """FFmpeg looks at the first 5 MB and the end of a file; PyAV passes over streams that appear in between."""
    coarse = {"codec": "mp2", "options": {"b": "384k"}}
    usual = part(tmp_path, 0, 10, 256, **coarse)
    unknown = part(tmp_path, 10, 20, 512, **coarse)
    count = 6_500_000 // usual.stat().st_size
    reading = read_clock(joined(tmp_path / "unknown.ts", *[usual] * count, unknown, *[usual] * 3))
    told = [count * 10 + second for second in (1.0, 5.0, 9.5)]
    assert [reading.shown_at(time_s) for time_s in told] == [
        pytest.approx(10 + time_s % 10, abs=0.25) for time_s in told
    ]
    assert [reading.heard_at(time_s) for time_s in told] == [
        pytest.approx(10 + time_s % 10, abs=0.25) for time_s in told
    ]
    assert reading.end_s == pytest.approx((count + 4) * 10, abs=0.5)
    assert reading.shown_at((count + 2) * 10 + 5.5) == pytest.approx(5.5, abs=0.5)
    assert reading.heard_at((count + 2) * 10 + 5.5) == pytest.approx(5.5, abs=0.5)


def test_a_track_that_appears_late_changes_nothing(tmp_path: Path) -> None:
    coarse = {"codec": "mp2", "options": {"b": "384k"}}
    usual = part(tmp_path, 0, 10, 256, **coarse)
    sounds = [Sound("mp2", options={"b": "384k"}), Sound("mp2", fixed_hz=2300.0, options={"b": "64k"})]
    comment = write_film(tmp_path / "comment.ts", 10.0, REORDERED, sounds, start_s=10.0)
    count = 6_500_000 // usual.stat().st_size
    reading = read_clock(joined(tmp_path / "late.ts", *[usual] * count, comment, *[usual] * 3))
    assert reading.end_s == pytest.approx((count + 4) * 10, abs=0.5)
    assert (reading.errors, reading.gaps) == (0, [])
    assert reading.heard_at(count * 10 + 5) == pytest.approx(15, abs=0.3)


def test_parallel_tracks_are_left_alone(tmp_path: Path) -> None:
    film, comment = Sound(), Sound("mp2", fixed_hz=2300.0, start_s=4.0, end_s=12.0)
    reading = read_clock(write_film(tmp_path / "comment.ts", 12.0, REORDERED, [film, comment]))
    assert is_whole(reading, 12.0)


MONO, STEREO = (0.3,), (0.3, 0.3)
CHAINS = {
    "opus": [Sound("libopus", gains=STEREO), Sound("libopus", gains=MONO)],
    "opus of three": [Sound("libopus", gains=gains) for gains in (MONO, STEREO, MONO)],
    "vorbis": [Sound("vorbis"), Sound("vorbis", rate_hz=44_100)],
}


@pytest.mark.parametrize("name", CHAINS)
def test_chained_ogg_may_change_its_layout_and_rate(tmp_path: Path, name: str) -> None:
    parts = [
        write_film(tmp_path / f"{number}.ogg", 6.0, None, sound, start_s=6.0 * number)
        for number, sound in enumerate(CHAINS[name])
    ]
    reading = read_clock(joined(tmp_path / "chain.ogg", *parts))
    seconds = 6.0 * len(parts)
    assert reading.end_s == pytest.approx(seconds, abs=0.1)
    assert len(reading.sound) * 0.05 == pytest.approx(seconds, abs=0.3)
    assert reading.shifts.largest_s < 0.06
    assert (reading.errors, reading.gaps) == (0, [])


def test_a_later_start_yields_the_same_clips(tmp_path: Path) -> None:
    path = joined(tmp_path / "moved.ts", part(tmp_path, 0, 8, 256), part(tmp_path, 8, 16, 512))
    whole = read(path)
    for start_index in (2, 4, 6):
        clips = read(path, start_index).clips
        assert all(same(one, other) for one, other in zip(whole.clips[start_index:], clips, strict=True))


def test_reading_that_is_given_up_says_when(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """FFmpeg refuses another layout in a chain; with a URL, or without the next chain, nothing can be read on."""
    parts = [
        write_film(tmp_path / f"{number}.ogg", 4.0, None, Sound("libopus", gains=gains), start_s=4.0 * number)
        for number, gains in enumerate([(0.3, 0.3), (0.3,)])
    ]
    path = joined(tmp_path / "chain.ogg", *parts)
    data = path.read_bytes()
    place = next_chain(path, 1000)
    assert place == parts[0].stat().st_size
    path.write_bytes(data[: place + 5] + b"\0" + data[place + 6 :])  # no longer the first page of a stream
    with caplog.at_level(logging.WARNING, "percept.decode"):
        reading = read_clock(path)
    if reading.end_s < 7.9:
        assert reading.errors > 0 or "reading stops" in caplog.text


def test_chains_are_found_across_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.decode.links.PIECE", 7)
    path = tmp_path / "pages.ogg"
    page, first = b"OggS\0\0" + b"x" * 30, b"OggS\0\2" + b"y" * 30
    for before in range(8):
        path.write_bytes(first + page + b"z" * before + first + page + first)
        begin = len(first) + len(page) + before
        assert next_chain(path, 0) == begin
        assert next_chain(path, begin) == begin + len(first) + len(page)
        assert next_chain(path, begin + len(first) + len(page)) is None


def test_many_moves_are_followed_and_keep_few_files_open(tmp_path: Path) -> None:
    parts = [part(tmp_path, 2.0 * k, 2.0 * k + 2, PIDS[k % 2]) for k in range(8)]
    path = joined(tmp_path / "moves.ts", *parts)
    reading, most = read_clock(path), 0
    assert (reading.errors, reading.gaps, reading.end_s) == (0, [], pytest.approx(16.0, abs=0.1))
    assert [reading.shown_at(k + 0.5) for k in range(16)] == [pytest.approx(k + 0.5, abs=0.2) for k in range(16)]
    assert [reading.heard_at(k + 0.5) for k in range(16)] == [pytest.approx(k + 0.5, abs=0.2) for k in range(16)]
    with make_reader(str(path), 0, ReaderOptions(short_side_px=48)) as reader:
        reader.open()
        for _ in reader.clips():
            most = max(most, sum(os.path.realpath(entry.path) == str(path) for entry in os.scandir("/proc/self/fd")))
    assert 0 < most <= 4
