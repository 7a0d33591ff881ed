"""Odd and damaged sources, gaps, starting in the middle, limits."""

import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from pipeline.clip import DecodedClip
from pipeline.errors import SourceError
from stages.decode.reader import NS, ReaderOptions, make_reader
from tests.media import Sound, damage, make_size_change, make_sound, make_video, pitch_hz, read_time_ms, tone_hz
from tests.stages.decode.reading import Reading, read, same, same_media


def times_match(reading: Reading, tolerance_ms: float = 1.5) -> bool:
    """Whether every picture shows the time it is given; the first may be a held, older one."""
    return all(
        abs(read_time_ms(picture) - time_ns / 1e6) < tolerance_ms
        for clip in reading.clips
        if "frames" in clip.arrays
        for picture, time_ns in list(zip(clip.arrays["frames"], clip.arrays["frame_times_ns"], strict=True))[1:]
    )


# Starting in the middle


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("b_frames.mp4", {"b_frames": 3, "gop": 40}),
        ("vfr.mp4", {"vfr": True, "gop": 30}),
        ("vfr.mkv", {"vfr": True, "gop": 30}),
        ("open_gop.mp4", {"gop": 30, "options": {"x264-params": "open-gop=1:bframes=3", "crf": "20"}}),
        ("open_gop.mkv", {"gop": 30, "codec": "libx265"}),
        ("hevc.mp4", {"gop": 30, "codec": "libx265"}),
        ("refresh.mp4", {"gop": 30, "options": {"x264-params": "intra-refresh=1"}}),
        ("vp9.webm", {"gop": 30, "codec": "libvpx-vp9", "audio": Sound(codec="libopus", rate_hz=48_000)}),
        ("av1.mp4", {"gop": 30, "codec": "libsvtav1", "fps": 25}),
        ("mpeg4.mp4", {"gop": 30, "codec": "mpeg4", "b_frames": 2}),
        ("mpeg4.avi", {"gop": 30, "codec": "mpeg4"}),
        ("mpeg2.ts", {"gop": 15, "codec": "mpeg2video", "b_frames": 2, "audio": Sound(codec="mp2")}),
        ("h264.ts", {"gop": 30, "audio": Sound()}),
        ("one_key.mp4", {"gop": 1000}),
        ("late_picture.mp4", {"gop": 30, "start_s": 3.0, "audio": Sound()}),
        ("slides.mp4", {"times_s": [0, 0.5, 3.7, 5.2, 7.9], "gop": 1}),
    ],
)
def test_a_later_start_yields_the_same_clips_for_every_codec(tmp_path: Path, name: str, settings: dict) -> None:
    settings.setdefault("audio", Sound())
    path = make_video(tmp_path / name, 8.0, size=(160, 120), **settings)
    whole = read(path, audio_context_s=3.0)
    assert len(whole.clips) >= 4
    for start_index in range(1, len(whole.clips)):
        part = read(path, start_index, audio_context_s=3.0)
        assert [clip.info for clip in part.clips] == [clip.info for clip in whole.clips[start_index:]]
        assert all(same(one, other) for one, other in zip(whole.clips[start_index:], part.clips, strict=True))


def test_a_later_start_skips_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stages.decode.frames import DecodedStream

    path = make_video(tmp_path / "long.mp4", 20.0, size=(160, 120), gop=30)
    popped: list[int] = []
    pop = DecodedStream.pop
    monkeypatch.setattr(DecodedStream, "pop", lambda self: popped.append(1) or pop(self))  # type: ignore[func-returns-value]
    read(path, 8)
    assert len(popped) <= 7 * 30


def test_sparse_sampling_skips_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stages.decode.frames import DecodedStream

    path = make_video(tmp_path / "long.mp4", 30.0, size=(160, 120), gop=30)
    popped: list[int] = []
    pop = DecodedStream.pop
    monkeypatch.setattr(DecodedStream, "pop", lambda self: popped.append(1) or pop(self))  # type: ignore[func-returns-value]
    reading = read(path, clip_ns=NS, stride_ns=10 * NS)
    assert reading.spans_s == [(0, 1), (10, 11), (20, 21)]
    assert times_match(reading)
    assert len(popped) <= 4 * 30


# Time


JUMP_S = [k / 10 for k in range(31)] + [600 + k / 10 for k in range(20)]


def test_a_jump_forward_is_one_gap_and_a_new_epoch(tmp_path: Path) -> None:
    reading = read(make_video(tmp_path / "jump.ts", times_s=JUMP_S, fps=10, audio=None))
    assert reading.spans_s[:2] == [(0, 2), (2, pytest.approx(3.1, abs=0.05))]
    assert len(reading.gaps) == 1
    gap = reading.gaps[0]
    assert (gap.epoch, gap.next_index, gap.end_ns) == (1, 2, 600 * NS)
    assert gap.start_ns == reading.clips[1].info.end_ns
    assert [(clip.info.index, clip.info.epoch, clip.info.start_ns) for clip in reading.clips] == [
        (0, 0, 0),
        (1, 0, 2 * NS),
        (2, 1, 600 * NS),
    ]
    assert reading.clips[2].absent["previous_frame"] == "too_short"


@pytest.mark.parametrize("name", ["jump.ts", "jump.mkv"])
def test_a_start_after_a_gap_yields_the_same_clips(tmp_path: Path, name: str) -> None:
    parts = ((0.0, 3.1), (600.0, 605.0))
    times = [k / 10 for k in range(31)] + [600 + k / 10 for k in range(50)]
    path = make_video(tmp_path / name, times_s=times, fps=10, audio=Sound(parts=parts))
    whole = read(path)
    assert len(whole.gaps) == 1
    for start_index in (*range(1, 5), len(whole.clips) - 1):
        part = read(path, start_index)
        assert all(same(one, other) for one, other in zip(whole.clips[start_index:], part.clips, strict=True))
        assert len(part.gaps) == (start_index <= 2)


def test_a_start_within_a_gap_begins_with_the_next_epoch(tmp_path: Path) -> None:
    reading = read(make_video(tmp_path / "jump.ts", times_s=JUMP_S, fps=10), start_ns=500 * NS)
    assert reading.spans_s == [(600, pytest.approx(602, abs=0.05))]
    assert [(gap.start_ns, gap.end_ns) for gap in reading.gaps] == [(500 * NS, 600 * NS)]


@pytest.mark.parametrize("name", ["still.mkv", "still.mp4", "still.webm", "still.avi", "still.flv"])
def test_a_picture_stays_for_as_long_as_a_player_shows_it(tmp_path: Path, name: str) -> None:
    times = [0, 1, 2, 3, 20, 50, 51] if name != "still.avi" else [k for k in range(52) if k < 4 or k in (20, 50, 51)]
    codec = {"still.webm": "libvpx", "still.avi": "mpeg4"}.get(name, "libx264")
    reading = read(make_video(tmp_path / name, times_s=times, fps=1, codec=codec, b_frames=0))
    assert reading.gaps == []
    assert reading.spans_s[:-1] == [(2 * k, 2 * k + 2) for k in range(25)]
    assert reading.spans_s[-1][1] == pytest.approx(52, abs=1.01)
    shown = [max(time for time in times if time <= start_s) for start_s, _ in reading.spans_s]
    assert [read_time_ms(clip.arrays["frames"][0]) for clip in reading.clips] == [time * 1000 for time in shown]


@pytest.mark.parametrize("name", ["slide.mkv", "slide.mp4", "slide.ts"])
@pytest.mark.parametrize("last_s", [0.0, 11.96])
def test_the_last_picture_stays_while_the_sound_goes_on(tmp_path: Path, name: str, last_s: float) -> None:
    times = [k / 25 for k in range(round(last_s * 25) + 1)]
    path = make_video(tmp_path / name, times_s=times, fps=25, audio=Sound(seconds=20.0), seconds=20)
    clips = read(path).clips
    assert len(clips) == 10
    assert all("frames" in clip.arrays for clip in clips)
    assert read_time_ms(clips[-1].arrays["frames"][0]) == pytest.approx(last_s * 1000, abs=1)


def test_a_pause_of_the_pictures_is_not_a_gap_while_the_sound_continues(tmp_path: Path) -> None:
    path = make_video(tmp_path / "pause.mp4", times_s=[0, 0.1, 16.0, 16.1], audio=Sound(seconds=17.0), seconds=17)
    reading = read(path)
    assert reading.gaps == []
    assert len(reading.clips) == 9
    assert all("frames" in clip.arrays for clip in reading.clips)


def test_a_clock_that_goes_back_starts_a_new_epoch(tmp_path: Path) -> None:
    part = make_video(tmp_path / "part.ts", 4.0, audio=Sound())
    path = tmp_path / "twice.ts"
    path.write_bytes(part.read_bytes() * 2)
    reading = read(path)
    assert reading.gaps == []
    assert [clip.info.epoch for clip in reading.clips] == [0, 0, 1, 1]
    starts = [clip.info.start_ns for clip in reading.clips]
    assert starts == sorted(starts)
    assert read_time_ms(reading.clips[2].arrays["frames"][0]) < 100
    assert reading.clips[3].arrays["audio_mask"].mean() > 0.9


def test_times_rounded_to_milliseconds_stay_in_their_cell(tmp_path: Path) -> None:
    path = make_video(tmp_path / "rounded.mkv", 4.0, fps=24)
    clips = read(path, frame_rate_hz=3.0).clips
    assert [time // 1_000_000 for time in clips[0].arrays["frame_times_ns"]] == [0, 333, 667, 1000, 1333, 1667]
    assert clips[1].arrays["frame_times_ns"][0] == 2 * NS


def test_raw_streams_without_times_are_estimated(tmp_path: Path) -> None:
    path = make_video(tmp_path / "raw.h264", 4.0, fps=25, b_frames=2)
    reading = read(path)
    assert [clip.info.estimated_times for clip in reading.clips] == [True, True]
    assert reading.spans_s[0] == (0, 2)
    assert times_match(reading, 90)


def test_sound_may_start_before_the_pictures(tmp_path: Path) -> None:
    path = make_video(tmp_path / "late.mp4", 4.0, start_s=3.0, audio=Sound(seconds=7.0))
    reading = read(path)
    assert reading.spans_s[:3] == [(0, 2), (2, 4), (4, 6)]
    assert reading.clips[0].absent["frames"] == "gap"
    assert reading.clips[1].arrays["frame_times_ns"][0] == 3 * NS
    assert times_match(reading)
    assert all(clip.arrays["audio_mask"].all() for clip in reading.clips[:3])


def test_without_sound_clips_begin_with_the_pictures(tmp_path: Path) -> None:
    path = make_video(tmp_path / "late.mp4", 4.0, start_s=3.0, audio=Sound(seconds=7.0))
    reading = read(path, modalities=("image",))
    assert reading.spans_s == [(3, 5), (5, 7)]
    assert reading.clips[0].absent["audio"] == "not_asked"
    assert times_match(reading)


def test_sound_that_is_shorter_than_the_picture_is_masked(tmp_path: Path) -> None:
    reading = read(make_video(tmp_path / "short.mp4", 6.0, audio=Sound(seconds=3.0)))
    assert reading.clips[1].arrays["audio_mask"].mean() == pytest.approx(0.5, abs=0.02)
    assert reading.clips[2].absent["audio"] == "gap"
    assert "frames" in reading.clips[2].arrays


def test_a_hole_in_the_sound_is_masked_and_the_rest_is_in_place(tmp_path: Path) -> None:
    path = make_video(tmp_path / "hole.mkv", 6.0, audio=Sound(parts=((0, 1.0), (3.0, 6.0)), codec="pcm_s16le"))
    clips = read(path).clips
    assert clips[0].arrays["audio_mask"].mean() == pytest.approx(0.5, abs=0.02)
    assert clips[1].arrays["audio_mask"].mean() == pytest.approx(0.5, abs=0.02)
    assert pitch_hz(clips[1].arrays["audio"][17_000:31_000], 16_000) == pytest.approx(tone_hz(3), abs=3)


@pytest.mark.parametrize("interleaved", [True, False])
def test_sound_stored_after_all_pictures_is_found(tmp_path: Path, interleaved: bool) -> None:
    path = make_video(tmp_path / "apart.mp4", 6.0, audio=Sound(), interleaved=interleaved)
    for clip in read(path).clips:
        heard = pitch_hz(clip.arrays["audio"][2000:14_000], 16_000)
        assert heard == pytest.approx(tone_hz(clip.info.start_ns / NS), abs=3)


# Streams


def test_a_source_may_have_only_sound(tmp_path: Path) -> None:
    reading = read(make_sound(tmp_path / "song.mp3", 5.0, cover=True))
    assert reading.clips[0].absent["frames"] == "no_stream"
    assert reading.clips[0].arrays["audio_mask"].mean() > 0.97
    assert "cover picture skipped" in reading.info.notes
    assert (reading.info.has_video, reading.info.has_audio) == (False, True)


def test_a_source_may_have_only_pictures(tmp_path: Path) -> None:
    reading = read(make_video(tmp_path / "mute.mp4", 2.0))
    assert reading.clips[0].absent["audio"] == "no_stream"


@pytest.mark.parametrize(
    ("modalities", "words"),
    [
        (("image", "motion"), r"song.m4a: no video stream \(found: 1 audio\). Use --modalities audio"),
        (("audio",), r"mute.mp4: no audio stream \(found: 1 video\). Use --modalities image,motion"),
    ],
)
def test_a_source_without_the_requested_streams_is_refused_with_a_remedy(
    tmp_path: Path, modalities: tuple[str, ...], words: str
) -> None:
    path = make_video(tmp_path / "mute.mp4", 1.0) if "audio" in modalities else make_sound(tmp_path / "song.m4a", 1.0)
    with pytest.raises(SourceError, match=words):
        read(path, modalities=modalities)


def test_sound_tracks_are_chosen_by_number_and_language(tmp_path: Path) -> None:
    def hum(hz: float) -> Sound:
        return Sound(
            tone=lambda t: np.sin(2 * np.pi * hz * t),
            language="eng" if hz < 500 else "deu",
            layout="5.1",
            rate_hz=48_000,
        )

    path = make_video(tmp_path / "two.mp4", 2.0, audio=[hum(440), hum(880)])
    for track, hz in {"": 440, "0": 440, "1": 880, "eng": 440, "deu": 880}.items():
        samples = read(path, audio_track=track).clips[0].arrays["audio"]
        assert pitch_hz(samples[2000:30_000], 16_000) == pytest.approx(hz, abs=2)
    with pytest.raises(SourceError, match=r"no sound track 'fra'; expected one of: 0 \(eng\), 1 \(deu\)"):
        read(path, audio_track="fra")


def test_mixing_to_mono_keeps_the_level(tmp_path: Path) -> None:
    for layout in ("mono", "stereo"):
        path = make_sound(tmp_path / f"{layout}.wav", 2.0, Sound(codec="pcm_s16le", layout=layout, gain=0.9))
        samples = read(path).clips[0].arrays["audio"]
        assert np.abs(samples[4000:-4000]).max() == pytest.approx(0.9, abs=0.02)


def test_metadata_that_is_not_unicode_is_ignored(tmp_path: Path) -> None:
    path = make_video(tmp_path / "title.mp4", 1.0, metadata={"title": "zzzz"})
    path.write_bytes(path.read_bytes().replace(b"zzzz", b"\xff\xfe\xe9\x80"))
    assert len(read(path).clips) == 1


# Pictures


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 3), (33, 17), (321, 241), (2000, 20)])
def test_odd_sizes_are_kept(tmp_path: Path, width: int, height: int) -> None:
    path = make_video(tmp_path / "odd.mp4", 1.0, fps=5, size=(width, height), pixel_format="yuv444p")
    reading = read(path)
    assert (reading.info.width, reading.info.height) == (width, height)
    assert len(reading.clips[0].arrays["frames"]) == 5


def test_a_very_large_picture_is_read_or_refused_by_the_limit(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "8k.mp4", times_s=[0.0, 0.5], fps=2, size=(7680, 4320), options={"preset": "ultrafast"}
    )
    clip = read(path).clips[0]
    assert clip.arrays["frames"].shape == (2, 224, 398, 3)
    with pytest.raises(SourceError, match="7680x4320 pixels, more than the limit"):
        read(path, max_pixels=1920 * 1080)


def test_pixels_are_made_square(tmp_path: Path) -> None:
    path = make_video(tmp_path / "wide.mp4", 1.0, size=(360, 288), pixel_aspect=Fraction(16, 11))
    reading = read(path)
    assert (reading.info.width, reading.info.height) == (524, 288)
    assert reading.clips[0].arrays["frames"].shape[1:] == (224, 408, 3)


def test_the_size_may_change_within_a_source(tmp_path: Path) -> None:
    reading = read(make_size_change(tmp_path / "change.ts", [(320, 240), (640, 480), (160, 120)]))
    assert [clip.arrays["frames"].shape[1:] for clip in reading.clips] == [(224, 299, 3)] * 3
    assert times_match(reading)


# Damage


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clean") / "clean.mp4"
    return make_video(path, 20.0, gop=30, audio=Sound(), container_options={"movflags": "faststart"})


def test_a_truncated_file_yields_the_remaining_clips(clean: Path, tmp_path: Path) -> None:
    reading = read(damage(clean, tmp_path / "cut.mp4", cut=True))
    assert 4 <= len(reading.clips) <= 6
    assert times_match(reading)
    assert reading.clips[-1].info.decode_errors >= 1


def test_a_long_loss_fails_its_clips_and_no_others(clean: Path, tmp_path: Path) -> None:
    path = damage(clean, tmp_path / "lost.mp4", start=0.4, zeros=clean.stat().st_size * 2 // 5)
    reading = read(path)
    reasons = [clip.absent.get("frames", "") for clip in reading.clips]
    assert len(reading.clips) == 10
    assert reading.gaps == []
    assert reasons.count("failed") >= 2
    assert set(reasons) == {"", "failed"}
    assert reasons[0] == reasons[-1] == ""


def test_zeroed_bytes_affect_only_their_clips(clean: Path, tmp_path: Path) -> None:
    size = clean.stat().st_size
    reading = read(damage(clean, tmp_path / "zeroed.mp4", zeros=size // 5))
    assert [clip.info.index for clip in reading.clips] == list(range(10))
    assert reading.gaps == []
    assert sum(clip.info.decode_errors for clip in reading.clips) > 10
    whole = read(clean)
    intact = [same_media(one, other) for one, other in zip(whole.clips, reading.clips, strict=True)]
    assert intact[:3] == [True] * 3
    assert np.array_equal(whole.clips[-1].arrays["frames"], reading.clips[-1].arrays["frames"])
    lost = [clip for clip in reading.clips if "frames" not in clip.arrays]
    assert all(clip.absent["frames"] == "failed" for clip in lost)


def test_flipped_bits_are_counted(clean: Path, tmp_path: Path) -> None:
    reading = read(damage(clean, tmp_path / "flipped.mp4", flips=400))
    assert len(reading.clips) == 10
    assert sum(clip.info.corrupt_frames + clip.info.decode_errors for clip in reading.clips) > 0


def test_a_source_that_cannot_be_decoded_is_refused(clean: Path, tmp_path: Path) -> None:
    media = clean.read_bytes().index(b"mdat") + 4
    path = damage(clean, tmp_path / "zeros.mp4", start=media / clean.stat().st_size, zeros=clean.stat().st_size)
    with pytest.raises(SourceError, match="nothing could be decoded: video"):
        read(path)


# Limits and resources


def test_a_source_that_is_too_long_is_refused(clean: Path) -> None:
    with pytest.raises(SourceError, match="20 s long, more than the limit of 10 s"):
        read(clean, max_duration_s=10.0)


def test_a_start_after_the_end_is_refused(clean: Path) -> None:
    with pytest.raises(SourceError, match="nothing at or after the start of 60 s"):
        read(clean, start_ns=60 * NS)


def test_a_start_after_the_last_clip_yields_nothing(clean: Path) -> None:
    assert read(clean, 99).clips == []


def test_passwords_are_not_shown() -> None:
    with (
        make_reader("http://user:secret@127.0.0.1:9/live", 0, ReaderOptions(open_timeout_s=1.0)) as reader,
        pytest.raises(SourceError) as caught,
    ):
        reader.open()
    assert "secret" not in str(caught.value)


def test_a_late_start_keeps_no_sound_from_before(tmp_path: Path) -> None:
    path = make_sound(tmp_path / "long.m4a", 120.0)
    with make_reader(str(path), 0, ReaderOptions(start_ns=110 * NS, audio_context_s=5.0)) as reader:
        reader.open()
        clip = next(reader.clips())
        assert isinstance(clip, DecodedClip)
        assert clip.arrays["audio_mask"].all()
        media = reader._media  # type: ignore[attr-defined]
        assert sum(len(block) for _, block in media.sound._blocks) < 8 * 16_000


@pytest.mark.parametrize("name", ["song.m4a", "talk.mp4"])
def test_a_long_way_to_the_first_clip_calls_alive_and_yields_the_same_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("stages.decode.assembly.CATCH_UP_NS", NS)
    path = tmp_path / name
    if name == "song.m4a":
        make_sound(path, 20.0)
    else:
        make_video(path, 20.0, size=(64, 48), gop=30, audio=Sound())
    whole = read(path, audio_context_s=3.0)
    with make_reader(str(path), 3, ReaderOptions(audio_context_s=3.0)) as reader:
        calls: list[int] = []
        reader.alive = lambda: calls.append(1)
        reader.open()
        clip = next(reader.clips(9))
    assert isinstance(clip, DecodedClip)
    assert same(whole.clips[9], clip)
    assert len(calls) >= 9


def test_opening_and_closing_leaks_nothing(tmp_path: Path) -> None:
    path = make_video(tmp_path / "short.mp4", 1.0, size=(64, 48), audio=Sound())
    process = psutil.Process()

    def once() -> None:
        with make_reader(str(path), 0, ReaderOptions()) as reader:
            reader.open()
            next(reader.clips())

    once()
    before = process.num_fds(), threading.active_count(), process.num_threads()
    for _ in range(100):
        once()
    assert (process.num_fds(), threading.active_count(), process.num_threads()) == before


def test_all_wrong_options_are_reported_at_once() -> None:
    with pytest.raises(ValueError, match=r"stride_ns 1 must not be shorter.*frame_rate_hz 0 must be positive"):
        ReaderOptions(stride_ns=1, frame_rate_hz=0)


def test_no_torch_is_imported() -> None:
    import subprocess
    import sys

    code = "import sys, stages.decode.reader, stages.decode.reader_av; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def write_repeats(path: Path, shown: str) -> Path:
    """A video of ten pictures a second, in which each "." is an empty packet and each digit a picture as bright."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for ticks, mark in enumerate(shown):
            if mark == ".":
                packet = av.Packet(0)
                packet.stream, packet.time_base, packet.duration = stream, Fraction(1, 10), 1
                packet.pts = packet.dts = ticks
                output.mux(packet)
                continue
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 25 * int(mark), np.uint8), format="rgb24")
            frame.pts, frame.time_base = ticks, Fraction(1, 10)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "shown",
    ["9" + "." * 49, "1........5...........9" + "." * 30, "...1.2.3.4" * 4, "1" * 40],
    ids=lambda shown: shown[:12],
)
def test_an_empty_packet_shows_the_picture_again(shown: str, threads: int, tmp_path: Path) -> None:
    reading = read(write_repeats(tmp_path / "repeats.nut", shown), frame_rate_hz=10, threads=threads)
    assert [clip.info.decode_errors for clip in reading.clips] == [0] * len(reading.clips)
    start = len(shown) - len(shown.lstrip("."))
    assert reading.spans_s[-1][1] == pytest.approx((len(shown)) / 10, abs=0.11)
    for clip in reading.clips:
        for time_ns, picture in zip(clip.arrays["frame_times_ns"], clip.arrays["frames"], strict=True):
            ticks = round(time_ns / NS * 10)
            wanted = shown[: ticks + 1].rstrip(".")[-1]
            assert ticks >= start
            assert abs(picture.mean() - 25 * int(wanted)) < 8
    times = [round(time_ns / NS * 10) for clip in reading.clips for time_ns in clip.arrays["frame_times_ns"]]
    assert times == list(range(start, len(shown)))


def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ts")
    with pytest.raises(SourceError, match=r"pipe\.ts: is a named pipe.* Write it to a file first\."):
        read(tmp_path / "pipe.ts")


def write_playlist(folder: Path, segment_type: str) -> Path:
    """A recorded HLS playlist with segments of 2 s."""
    film = make_video(folder / "film.mp4", 10.0, audio=Sound(), gop=30)
    path = folder / "recorded.m3u8"
    options = {"hls_time": "2", "hls_list_size": "0", "hls_segment_type": segment_type}
    with av.open(str(film)) as source, av.open(str(path), "w", format="hls", options=options) as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                output.mux(packet)
    return path


@pytest.mark.parametrize("segment_type", ["mpegts", "fmp4"])
def test_a_recorded_playlist_without_end_mark_is_read_from_start_to_end(segment_type: str, tmp_path: Path) -> None:
    whole = write_playlist(tmp_path, segment_type)
    endless = tmp_path / "endless.m3u8"
    endless.write_text(whole.read_text().replace("#EXT-X-ENDLIST\n", ""))
    before, reading = read(whole), read(endless)
    assert reading.spans_s[:-1] == [(0, 2), (2, 4), (4, 6), (6, 8)]
    assert times_match(reading, tolerance_ms=40)
    assert all(same_media(one, other) for one, other in zip(before.clips, reading.clips, strict=True))
    assert reading.info.duration_ns == before.info.duration_ns


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A server of the files in `tmp_path` that, as Python's own, does not send parts of files."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def cut_after_header(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"mdat") + 4])
    return path


def test_an_index_at_the_end_needs_a_server_that_sends_parts_of_files(tmp_path: Path, server: str) -> None:
    make_video(tmp_path / "end.mp4", 6.0, audio=Sound())  # FFmpeg keeps the last 64 kB
    make_video(tmp_path / "start.mp4", 2.0, audio=Sound(), container_options={"movflags": "+faststart"})
    assert len(read(f"{server}/start.mp4").clips) == 1
    with pytest.raises(SourceError, match=r"end\.mp4: .*index at its end.*ranges.* Download it first\."):
        read(f"{server}/end.mp4")


def test_a_file_that_ends_after_its_header_is_cut_off(tmp_path: Path, server: str) -> None:
    film = make_video(tmp_path / "film.mp4", 2.0, audio=Sound(), container_options={"movflags": "+faststart"})
    for source in (str(cut_after_header(film)), f"{server}/film.mp4"):
        with pytest.raises(SourceError, match=r"film\.mp4: ends after its header: the file was cut off\."):
            read(source)


@pytest.mark.parametrize("start_s", [3.0, 10.0, 18.7])
def test_a_start_in_seconds_skips_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_s: float) -> None:
    from stages.decode.frames import DecodedStream

    path = make_video(tmp_path / "long.mp4", 20.0, size=(160, 120), gop=30)
    popped: list[int] = []
    pop = DecodedStream.pop
    monkeypatch.setattr(DecodedStream, "pop", lambda self: popped.append(1) or pop(self))  # type: ignore[func-returns-value]
    reading = read(path, start_ns=round(start_s * NS))
    assert times_match(reading)
    assert len(popped) <= (20.0 - start_s) * 30 + 31


@pytest.mark.parametrize("name", ["end.ts", "end.mkv"])
def test_the_last_pictures_keep_their_times(tmp_path: Path, name: str) -> None:
    times = [k / 25 for k in range(99)] + [4.5]
    reading = read(make_video(tmp_path / name, times_s=times, fps=25, b_frames=2), frame_rate_hz=25.0)
    assert not any(clip.info.estimated_times for clip in reading.clips)
    assert times_match(reading)
