"""The labelled video follows the decoder: its streams and its times, with sound of any format. Clock films tell it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pipeline.sinks.rewrite import NS
from tests.clock_film import Picture, Sound, joined, moved, restarted, without, write_film
from tests.clock_reading import WINDOW_S, Moment, picture_time_s, sound_time_s
from tests.pipeline.sinks.films import rewrite


@dataclass
class Played:
    """What a player makes of a written video."""

    pictures: list[Moment]
    sound: list[Moment]
    """One for each 0.05 s that tells a time."""
    level: list[float]
    """Mean amplitude of each 0.05 s, from time 0."""
    channels: int = 0
    rate_hz: int = 0
    longest_packet_s: float = 0.0
    """From one packet of sound to the next."""

    def shifts(self, origin_s: float = 0.0) -> tuple[float, float]:
        """The largest of picture and sound, in seconds. `origin_s`: the told time that should be 0."""
        both = [[abs(each.shift_s + origin_s) for each in kind] for kind in (self.pictures, self.sound)]
        return max(both[0]), max(both[1])

    def silent(self, from_s: float, until_s: float) -> bool:
        return max(self.level[round(from_s / WINDOW_S) : round(until_s / WINDOW_S)]) < 1e-4


def played(path: Path, level: float = 10.0) -> Played:
    with av.open(str(path)) as container:
        pictures = [
            Moment(frame.time, picture_time_s(frame.to_ndarray(format="rgb24"), level))
            for frame in container.decode(video=0)
        ]
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return Played(pictures, [], [])
        track = container.streams.audio[0]
        frames = list(container.decode(track))
        rate_hz = track.rate
        samples = np.zeros((track.channels, round((frames[-1].time + 0.2) * rate_hz)), np.float32)
        end = 0
        for frame in frames:
            place = round(frame.time * rate_hz)
            place = end if abs(place - end) < 0.002 * rate_hz else place  # MKV rounds to milliseconds
            end = place + frame.samples
            samples[:, max(0, place) : place + frame.samples] = frame.to_ndarray()[:, max(0, -place) :]
        times = np.array([frame.time for frame in frames])
    size = round(WINDOW_S * rate_hz)
    pieces = [samples[0, at : at + size] for at in range(0, samples.shape[1] - size, size)]
    levels = [float(np.abs(piece).mean()) for piece in pieces]
    moments = [
        Moment((number + 0.5) * WINDOW_S, told_s)
        for number, piece in enumerate(pieces)
        if min(levels[max(0, number - 1) : number + 2]) > levels[number] / 2  # else it contains a start or an end
        if (told_s := sound_time_s(piece, rate_hz)) is not None
    ]
    return Played(pictures, moments, levels, len(samples), rate_hz, float(np.diff(times).max()))


def rewritten(source: Path, level: float = 10.0, **options: Any) -> Played:
    path = source.with_name("labelled.mp4")
    rewrite(source, path, **options)
    return played(path, level)


def changed(path: Path, before: bytes, after: bytes) -> Path:
    data = path.read_bytes()
    assert before in data
    path.write_bytes(data.replace(before, after))
    return path


# -- the streams of the decoder ---------------------------------------------------------------------------------------


def test_the_default_picture_track_is_written_though_another_is_larger(tmp_path: Path) -> None:
    shots = [Picture(is_default=True), Picture(size=(160, 120), grey=200, is_default=False)]
    source = write_film(tmp_path / "two.mkv", 4.0, shots)
    rewriter = rewrite(source, tmp_path / "out.mp4")
    assert rewriter.left_out == ["1 other picture track"]
    assert max(played(tmp_path / "out.mp4").shifts()) < 0.06


@pytest.mark.parametrize(("track", "told"), [("eng", True), ("0", False), ("2", False), ("", False)])
def test_the_sound_track_is_that_of_the_labels(tmp_path: Path, track: str, told: bool) -> None:
    """The second one is the first in English; only it tells the time."""
    other = [Sound(fixed_hz=2300.0, language=language) for language in ("deu", "eng")]
    source = write_film(tmp_path / "two.mkv", 3.0, sounds=[other[0], Sound(language="eng"), other[1]])
    rewriter = rewrite(source, tmp_path / "out.mp4", audio_track=track)
    assert rewriter.left_out == ["2 other sound tracks"]
    assert (played(tmp_path / "out.mp4").shifts()[1] < 0.05) == told


def test_a_track_that_can_be_decoded_replaces_the_default_one(tmp_path: Path) -> None:
    source = write_film(tmp_path / "two.mkv", 3.0, sounds=[Sound("ac3", fixed_hz=900.0), Sound()])
    found = rewritten(changed(source, b"A_AC3", b"A_QC3"))
    assert max(found.shifts()) < 0.06


def test_sound_that_cannot_be_decoded_is_left_out_and_said(tmp_path: Path) -> None:
    source = changed(write_film(tmp_path / "film.mkv", 2.0, sounds=Sound("ac3")), b"A_AC3", b"A_QC3")
    rewriter = rewrite(source, tmp_path / "out.mp4")
    assert rewriter.left_out == ["its sound, which cannot be decoded"]
    found = played(tmp_path / "out.mp4")
    assert found.channels == 0
    assert len(found.pictures) == 50


@pytest.mark.parametrize("modalities", [("image",), ("audio",)])
def test_picture_and_sound_are_written_whatever_is_labelled(tmp_path: Path, modalities: tuple[str, ...]) -> None:
    found = rewritten(write_film(tmp_path / "film.mp4", 3.0), modalities=modalities, audio_rate_hz=0)
    assert max(found.shifts()) < 0.06
    assert len(found.pictures) == 75


def test_a_missing_track_costs_the_sound_only_if_sound_is_not_labelled(tmp_path: Path) -> None:
    source = write_film(tmp_path / "film.mp4", 2.0)
    rewriter = rewrite(source, tmp_path / "out.mp4", audio_track="fra", modalities=("image",))
    assert rewriter.left_out == ["its sound (no sound track 'fra'; expected one of: 0 (und))"]


@pytest.mark.parametrize("format_name", [".mkv", ".mov"])
def test_where_the_chosen_track_is_silent_another_is_heard_as_for_the_labels(tmp_path: Path, format_name: str) -> None:
    """The first track is silent, the second one ends at 4 s, and the third one begins there."""
    silent = Sound("pcm_s16le", gains=(0.0,), is_default=True)
    turns = [
        Sound("pcm_s16le", gains=(0.3,), end_s=4.0, is_default=False),
        Sound("pcm_s16le", gains=(0.3,), start_s=4.0, is_default=False),
    ]
    source = write_film(tmp_path / f"tracks{format_name}", 8.0, sounds=[silent, *turns])
    found = rewritten(source)
    assert max(found.shifts()) < 0.06
    assert len(found.sound) > 150


# -- the times of the decoder -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "pcm_s16le"), ("a.mkv", "aac"), ("a.ts", "aac")])
def test_a_hole_in_the_sound_is_silent(tmp_path: Path, name: str, codec: str) -> None:
    found = rewritten(write_film(tmp_path / name, 7.0, sounds=Sound(codec, clock=without(2.5, 5.0))))
    assert max(found.shifts()) < 0.06
    assert found.silent(2.7, 4.9)
    assert found.longest_packet_s < 0.03
    assert found.sound[-1].time_s > 6.8


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_sound_that_begins_late_is_silent_until_then(tmp_path: Path, suffix: str) -> None:
    source = write_film(tmp_path / "late.mkv", 4.0, sounds=Sound(start_s=1.5))
    rewrite(source, tmp_path / f"out{suffix}")
    found = played(tmp_path / f"out{suffix}")
    assert max(found.shifts()) < 0.06
    assert found.silent(0.0, 1.4)
    assert found.sound[-1].time_s > 3.8


def test_joined_recordings_run_at_normal_speed(tmp_path: Path) -> None:
    first = write_film(tmp_path / "a.ts", 4.0)
    back = moved(-4.0)
    second = write_film(tmp_path / "b.ts", 4.0, Picture(clock=back), Sound(clock=back), start_s=4.0)
    found = rewritten(joined(tmp_path / "joined.ts", first, second))
    assert max(found.shifts()) < 0.08
    assert len(found.pictures) == 200
    assert found.sound[-1].time_s > 7.8


def test_a_sound_clock_that_starts_again_is_continued(tmp_path: Path) -> None:
    found = rewritten(write_film(tmp_path / "a.ts", 8.0, sounds=Sound(clock=restarted(4.0))))
    assert max(found.shifts()) < 0.06
    assert found.sound[-1].time_s > 7.8


def test_what_two_segments_both_contain_is_written_once(tmp_path: Path) -> None:
    first, second = write_film(tmp_path / "a.ts", 4.0), write_film(tmp_path / "b.ts", 4.0, start_s=3.0)
    found = rewritten(joined(tmp_path / "joined.ts", first, second))
    assert max(found.shifts()) < 0.06
    assert len(found.pictures) == 175
    assert found.sound[-1].time_s > 6.8


@pytest.mark.parametrize(("name", "codec", "gap_s"), [("a.ts", "libx264", 650.0), ("a.flv", "flv1", 30.0)])
def test_a_gap_stays_a_gap_and_costs_little(tmp_path: Path, name: str, codec: str, gap_s: float) -> None:
    later = moved(gap_s, 2.0)
    source = write_film(tmp_path / name, 4.0, Picture(codec, clock=later), Sound(clock=later))
    found = rewritten(source)
    shifts = [round(each.shift_s, 1) for each in found.pictures]
    assert [shift for shift in shifts if shift in (0.0, gap_s)] == [0.0] * 50 + [gap_s] * 50
    assert {round(each.shift_s, 1) for each in found.sound} == {0.0, gap_s}
    assert found.silent(2.2, gap_s + 1.9)
    assert found.longest_packet_s < 0.03
    assert source.with_name("labelled.mp4").stat().st_size < 80_000 + 600 * gap_s


def test_after_a_gap_of_hours_the_times_are_right_and_the_missing_silence_is_said(tmp_path: Path) -> None:
    later = moved(7200.0, 2.0)
    source = write_film(tmp_path / "a.ts", 4.0, Picture(clock=later), Sound(clock=later))
    rewriter = rewrite(source, tmp_path / "out.mp4")
    assert rewriter.left_out == ["the silence of 2.0 h at 2 s: sound may be early after it"]
    with av.open(str(tmp_path / "out.mp4")) as container:
        sound_s = [
            float(packet.pts * packet.time_base) for packet in container.demux(audio=0) if packet.pts is not None
        ]
    assert len(sound_s) < 250
    assert sound_s[-1] == pytest.approx(7204.0, abs=0.1)
    with av.open(str(tmp_path / "out.mp4")) as container:
        told = [(frame.time, picture_time_s(frame.to_ndarray(format="rgb24"))) for frame in container.decode(video=0)]
    assert [time_s for time_s, _ in told] == sorted(time_s for time_s, _ in told)
    assert len(told) == 100 + 7200 // 300
    for time_s, told_s in (*told[:50], *told[-50:]):
        assert time_s - told_s == pytest.approx(7200.0 if told_s > 1.99 else 0.0, abs=0.06)


@pytest.mark.parametrize(("start_s", "end_s"), [(1.5, 3.24), (2.02, 5.0)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_stretch_has_exact_ends(tmp_path: Path, name: str, start_s: float, end_s: float) -> None:
    source = write_film(tmp_path / name, 6.0, Picture(gop=100))
    found = rewritten(source, start_ns=round(start_s * NS), end_ns=round(end_s * NS))
    assert found.pictures[0].time_s == 0.0
    early_s = 0.021 if name == "a.ts" else 0.0  # its sound begins before its pictures
    told = [each.told_s for each in found.pictures]
    assert start_s - 0.056 < told[0] + early_s < start_s + 0.016
    assert max(abs(each.shift_s + start_s - early_s) for each in found.pictures[1:]) < 0.016
    assert found.shifts(start_s)[1] < 0.05
    assert end_s - 0.056 < told[-1] + early_s < end_s
    assert found.sound[-1].time_s == pytest.approx(end_s - start_s, abs=0.08)


def test_a_picture_that_is_still_on_show_begins_a_stretch(tmp_path: Path) -> None:
    source = write_film(tmp_path / "slides.mkv", 9.0, Picture(times_s=[0.0, 2.0, 7.0]))
    found = rewritten(source, start_ns=4 * NS)
    assert [(each.time_s, round(each.told_s, 1)) for each in found.pictures] == [(0.0, 2.0), (3.0, 7.0)]


# -- any sound --------------------------------------------------------------------------------------------------------

MONO, EIGHT = (0.4,), (0.3, 0.2, 0.3, 0.2, 0.3, 0.2, 0.3, 0.2)


@pytest.mark.parametrize(
    ("sound", "channels", "rate_hz"),
    [
        (Sound("pcm_u8", 44_100), 2, 44_100),
        (Sound("pcm_s32le", 32_000, MONO), 1, 32_000),
        (Sound("pcm_f64le", 48_000, EIGHT), 2, 48_000),
        (Sound("flac", 192_000), 2, 48_000),
        (Sound("pcm_s16le", 8_000, MONO), 1, 48_000),
        (Sound("aac", 48_000, EIGHT[:6]), 2, 48_000),
        (Sound("libopus", 48_000, EIGHT[:4], "ambisonic 1", options={"mapping_family": "2"}), 2, 48_000),
    ],
    ids=lambda value: value.codec if isinstance(value, Sound) else str(value),
)
def test_any_format_of_sound_is_written(tmp_path: Path, sound: Sound, channels: int, rate_hz: int) -> None:
    found = rewritten(write_film(tmp_path / "a.mkv", 2.0, sounds=sound))
    assert max(found.shifts()) < 0.06
    assert (found.channels, found.rate_hz) == (channels, rate_hz)
    assert len(found.sound) > 36


def test_sound_may_change_its_format(tmp_path: Path) -> None:
    first = write_film(tmp_path / "a.ts", 4.0)
    second = write_film(tmp_path / "b.ts", 4.0, sounds=Sound(rate_hz=44_100, gains=MONO[:1]), start_s=4.0)
    found = rewritten(joined(tmp_path / "changes.ts", first, second))
    assert max(found.shifts()) < 0.06
    assert found.sound[-1].time_s > 7.8
    loud = [found.level[round(at / WINDOW_S)] for at in (2.0, 6.0)]
    assert loud[1] / loud[0] == pytest.approx(4 / 3, rel=0.1), "mono is as loud in both channels as it was in one"
