"""Of several sound tracks, one that is not silent is heard, and nothing changes where the chosen one is not."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.decode.reader import NS
from tests.clock_film import Picture, Sound, write_film
from tests.clock_reading import ClockReading, read_clock
from tests.stages.decode.reading import Reading, read, same

CODECS = {".mxf": "pcm_s16le", ".mov": "pcm_s16le", ".mkv": "aac", ".ts": "mp2", ".mp4": "aac", ".avi": "pcm_s16le"}
SILENT = Sound(gains=[0.0])
CLOCK = Sound(gains=[0.3])
OTHER = Sound(gains=[0.3], fixed_hz=2000.0)
"""Does not tell the time."""
DITHER = Sound(gains=[1.1 / 32767], fixed_hz=2000.0)
"""Swings by one step of 16 bits: -94 dBFS."""


def film(path: Path, *sounds: Sound, seconds: float = 8.0, **options: Any) -> Path:
    picture = Picture("mpeg2video") if path.suffix == ".mxf" else Picture(rate=5, gop=5, size=(32, 32))
    codec = CODECS.get(path.suffix, "pcm_s16le")
    return write_film(path, seconds, picture, [replace(each, codec=codec) for each in sounds], **options)


def heard_s(reading: ClockReading) -> float:
    """For how many seconds the sound tells the right time."""
    return sum(abs(moment.shift_s) < 0.05 for moment in reading.sound) * 0.05


def heard(path: Path, track: str = "") -> Reading:
    """The sound of a film."""
    return read(path, audio_track=track, modalities=("audio",))


def heard_alike(one: Reading, other: Reading, seconds: Sequence[int] | None = None) -> bool:
    """Whether the sound is the same, bit for bit, in all clips or in those that begin at these seconds."""
    pairs = zip(one.clips, other.clips, strict=True)
    return all(
        np.array_equal(mine.arrays["audio"], theirs.arrays["audio"])
        for mine, theirs in pairs
        if seconds is None or mine.info.start_ns // NS in seconds
    )


@pytest.mark.parametrize("suffix", CODECS)
def test_the_microphone_may_be_on_the_third_track(suffix: str, tmp_path: Path) -> None:
    empty = DITHER if CODECS[suffix].startswith("pcm") else SILENT
    reading = read_clock(film(tmp_path / f"camera{suffix}", empty, SILENT, CLOCK, empty))
    assert heard_s(reading) > 7.5
    assert "sound track 0 of 4; where it is silent, tracks 2, 1, 3" in reading.info.notes


@pytest.mark.parametrize("suffix", [".mxf", ".mp4", ".mkv"])
def test_a_track_that_is_asked_for_is_kept_though_it_is_silent(suffix: str, tmp_path: Path) -> None:
    path = film(tmp_path / f"camera{suffix}", replace(SILENT, language="eng"), replace(CLOCK, language="deu"))
    for track in ["0"] if suffix == ".mxf" else ["0", "eng"]:
        reading = heard(path, track)
        assert "sound track 0 of 2" in reading.info.notes
        assert all(not clip.arrays["audio"].any() for clip in reading.clips)


@pytest.mark.parametrize("suffix", [".mxf", ".mov", ".mkv", ".ts"])
@pytest.mark.parametrize("kind", ["two tracks", "silent at first", "all silent"])
def test_where_nothing_is_wrong_the_default_track_is_kept(suffix: str, kind: str, tmp_path: Path) -> None:
    tracks = {
        "two tracks": (CLOCK, OTHER),
        "silent at first": (replace(CLOCK, muted=[(0.0, 1.9)]), OTHER),
        "all silent": (SILENT, SILENT),
    }[kind]
    path = film(tmp_path / f"film{suffix}", *tracks)
    reading = heard(path)
    assert ("sound track 0 of 2" in reading.info.notes) == (kind != "all silent")
    assert heard_alike(reading, heard(path, "0"))


@pytest.mark.parametrize("suffix", [".mxf", ".mov", ".mkv", ".ts"])
def test_where_the_track_falls_silent_another_takes_over(suffix: str, tmp_path: Path) -> None:
    path = film(tmp_path / f"film{suffix}", replace(CLOCK, muted=[(3.1, 9.0)]), OTHER, replace(CLOCK, fixed_hz=900.0))
    both = heard(path)
    assert "sound track 0 of 3; where it is silent, tracks 1, 2" in both.info.notes
    assert heard_alike(both, heard(path, "0"), [0])
    assert heard_alike(both, heard(path, "1"), [4])


def test_a_louder_track_does_not_take_over_for_a_moment(tmp_path: Path) -> None:
    louder = Sound(gains=[0.9], fixed_hz=2000.0, muted=[(0.0, 1.5), (2.5, 5.5), (6.5, 9.5), (12.5, 99.0)])
    path = film(tmp_path / "film.mov", SILENT, replace(CLOCK, muted=[(9.0, 14.0)]), louder, seconds=16.0)
    both, one, other = heard(path), heard(path, "1"), heard(path, "2")
    assert "sound track 0 of 3; where it is silent, tracks 1, 2" in both.info.notes
    assert heard_alike(both, one, [0, 2, 4, 6, 14])
    assert heard_alike(both, other, [10]), "the better one is silent as well"


@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".ts"])
def test_a_later_start_yields_the_same_clips(suffix: str, tmp_path: Path) -> None:
    first, second = replace(CLOCK, muted=[(1.3, 5.2), (6.0, 9.0)]), replace(OTHER, muted=[(3.1, 4.5), (6.3, 7.4)])
    path = film(tmp_path / f"film{suffix}", first, second, CLOCK)
    step_ns = 1_300_000_000
    options: dict[str, Any] = {"audio_context_s": 2.7, "clip_ns": step_ns, "stride_ns": step_ns, "short_side_px": 32}
    whole = read(path, **options)
    assert any("where it is silent" in note for note in whole.info.notes)
    for start_index in (1, 2, 4):
        part = read(path, start_index, **options)
        assert len(part.clips) == len(whole.clips) - start_index
        assert all(same(one, other) for one, other in zip(whole.clips[start_index:], part.clips, strict=True))
    started = read(path, start_ns=3 * step_ns, **options)
    assert heard_alike(started, replace(whole, clips=whole.clips[3:]))


def test_clips_whose_sound_overlaps_agree(tmp_path: Path) -> None:
    first = replace(CLOCK, muted=[(0.0, 2.0), (2.3, 5.85), (6.0, 8.0)])
    step_ns = 1_300_000_000
    options: dict[str, Any] = {"clip_ns": step_ns, "stride_ns": step_ns, "tail_ns": NS // 10}
    reading = read(film(tmp_path / "film.mov", first, OTHER), audio_context_s=2.7, **options)
    shared = round((2.7 - 1.3) * 16_000)
    for before, after in itertools.pairwise(reading.clips[:-1]):
        assert np.array_equal(before.arrays["audio"][-shared:], after.arrays["audio"][:shared])


def test_a_default_track_without_any_samples_is_replaced(tmp_path: Path) -> None:
    nothing = replace(SILENT, start_s=0.0, end_s=0.0, is_default=True)
    path = film(tmp_path / "film.mkv", nothing, replace(CLOCK, is_default=False))
    reading = read_clock(path)
    assert heard_s(reading) > 7.5
    assert "sound track 1 of 2" in reading.info.notes
    assert {clip.absent.get("audio") for clip in read(path, audio_track="0").clips} == {"failed"}


def test_sound_alone_lasts_as_long_as_its_longest_track(tmp_path: Path) -> None:
    tracks = [Sound(gains=[0.0], end_s=3.0, codec="flac"), Sound(gains=[0.3], codec="flac")]
    reading = read_clock(write_film(tmp_path / "two.mka", 8.0, None, tracks))
    assert reading.end_s == pytest.approx(8.0, abs=0.05)
    assert heard_s(reading) > 7.5


def test_a_file_without_an_index_is_looked_at_where_it_begins(tmp_path: Path) -> None:
    late = replace(CLOCK, muted=[(0.0, 1.5)])
    reading = read_clock(film(tmp_path / "silent.mkv", late, replace(OTHER, gains=[0.1]), options={"live": "1"}))
    assert heard_s(reading) > 6.0, "the default track is preferred wherever it has sound"
    assert "sound track 0 of 2; where it is silent, track 1" in reading.info.notes
    reading = read_clock(film(tmp_path / "heard.mkv", CLOCK, OTHER, options={"live": "1"}))
    assert reading.info.notes == ("sound track 0 of 2",)


def test_a_track_whose_channels_cancel_is_not_silent(tmp_path: Path) -> None:
    reading = read_clock(film(tmp_path / "film.mov", Sound(gains=[0.3, -0.3]), replace(OTHER, gains=[0.3, 0.3])))
    assert heard_s(reading) > 7.5
    assert reading.info.notes == (
        "sound track 0 of 2",
        "where the mono mix loses sound channel 1 of 2, that channel is used",
    )
