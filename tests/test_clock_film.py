"""The clock films themselves: read without oddities they have no shift, and their oddities are those asked for."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.clock_film import Picture, Sound, added, joined, moved, restarted, without, write_film
from tests.clock_reading import picture_time_s, pitch_hz, read_clock, shifts, sound_time_s
from tests.clock_ts import packets_of, payload, programmes, read_ticks

OPUS = Sound("libopus")
FILMS = {
    "h264.mp4": (Picture(), Sound()),
    "b_frames.mov": (Picture(b_frames=2), Sound("pcm_s16le", gains=(0.3,))),
    "uneven.mkv": (Picture(is_uneven=True, size=(160, 120)), Sound("ac3", gains=(0.1, 0.1, 0.3, 0, 0.1, 0.1))),
    "vp8.webm": (Picture("libvpx", rate=30), OPUS),
    "vp9.webm": (Picture("libvpx-vp9", rate=Fraction(24000, 1001)), OPUS),
    "h264.ts": (Picture(rate=60, b_frames=2), Sound("mp2", rate_hz=32_000)),
    "h264.flv": (Picture(), Sound(rate_hz=44_100)),
    "mpeg4.avi": (Picture("mpeg4"), Sound("pcm_s16le", rate_hz=44_100)),
    "camera.mxf": (Picture("mpeg2video"), Sound("pcm_s16le", gains=(0.3,))),
    "programme.mpg": (Picture("mpeg2video", rate=Fraction(30000, 1001)), Sound("mp2")),
    "wmv.asf": (Picture("wmv2"), Sound("wmav2", rate_hz=44_100)),
    "h264.nut": (Picture(), Sound("libmp3lame")),
    "vorbis.ogg": (None, Sound("vorbis")),
    "speech.opus": (None, OPUS),
    "speech.wav": (None, Sound("pcm_s16le", rate_hz=8_000, gains=(0.3,))),
    "music.mp3": (None, Sound("libmp3lame")),
    "music.flac": (None, Sound("flac")),
    "music.m4a": (None, Sound(rate_hz=22_050)),
}


def stamps(path: Path) -> dict[int, list[float]]:
    """The timestamps of all packets in seconds, by PID in a transport stream, else by number."""
    found: dict[int, list[float]] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.pts is not None:
                found.setdefault(packet.stream.id or packet.stream.index, []).append(
                    float(packet.pts * packet.time_base)
                )
    return found


@pytest.mark.parametrize("name", FILMS)
def test_a_film_without_oddities_is_read_without_shift(tmp_path: Path, name: str) -> None:
    picture, sound = FILMS[name]
    reading = read_clock(write_film(tmp_path / name, 8.0, picture, sound))
    assert reading.shifts.largest_s < 0.06
    assert reading.errors == 0
    assert reading.end_s == pytest.approx(8.0, abs=0.1)
    assert len(reading.sound) * 0.05 == pytest.approx(8.0, abs=0.1)
    assert len(reading.shown) == (pytest.approx(64, abs=2) if picture else 0)


def test_offsets_between_streams_are_measured(tmp_path: Path) -> None:
    film = write_film(tmp_path / "late.mkv", 6.0, sounds=Sound(clock=moved(0.5)))
    late = shifts(film)
    assert late.picture_largest_s == pytest.approx(0.0, abs=0.05)
    assert (late.sound_median_s, late.sound_largest_s) == (pytest.approx(0.5, abs=0.01), pytest.approx(0.5, abs=0.01))


def test_a_film_can_begin_at_any_second(tmp_path: Path) -> None:
    reading = read_clock(write_film(tmp_path / "second_part.mp4", 4.0, start_s=11.0), origin_s=11.0)
    assert reading.shifts.largest_s < 0.06
    assert read_clock(tmp_path / "second_part.mp4").shifts.sound_median_s == pytest.approx(-11.0, abs=0.06)


def test_what_is_shown_and_heard_at_a_time(tmp_path: Path) -> None:
    reading = read_clock(write_film(tmp_path / "hole.mp4", 8.0, sounds=Sound("flac", clock=without(3.0, 5.0))))
    assert reading.shown_at(4.5) == pytest.approx(4.5, abs=0.1)
    assert reading.heard_at(2.5) == pytest.approx(2.5, abs=0.1)
    assert reading.heard_at(4.0) is None
    assert reading.heard_at(5.5) == pytest.approx(5.5, abs=0.1)
    assert reading.shown_at(9.0) is None


def test_pictures_can_be_sparse(tmp_path: Path) -> None:
    times_s = [0, 1, 2, 3, 7.5, 9]
    path = write_film(tmp_path / "still.webm", pictures=Picture("libvpx", times_s=times_s, level=3), sounds=None)
    assert [*stamps(path).values()] == [times_s]
    assert [moment.told_s for moment in read_clock(path, level=3).shown] == pytest.approx(times_s, abs=0.02)


def test_a_clock_that_restarts_is_in_the_file(tmp_path: Path) -> None:
    path = write_film(tmp_path / "restart.ts", 6.0, sounds=Sound("mp2", clock=restarted(4.0, to_s=1.0)))
    picture, sound = stamps(path)[0x100], stamps(path)[0x101]
    assert (picture[0], picture[-1]) == (pytest.approx(1.4), pytest.approx(1.4 + 5.96))
    back = int(np.argmin(np.diff(sound)))
    assert (sound[back], sound[back + 1]) == (pytest.approx(1.4 + 4.0, abs=0.03), pytest.approx(1.4 + 1.0, abs=0.03))
    assert sound[-1] == pytest.approx(1.4 + 3.0, abs=0.05)
    assert np.delete(np.diff(sound), back) == pytest.approx(0.024, abs=0.001)


@pytest.mark.parametrize(
    ("name", "sound", "length_s"),
    [
        ("restart.mkv", Sound("flac", rate_hz=46_080), 0.1),
        ("restart.webm", OPUS, 0.02),
        ("restart.flv", Sound("libmp3lame", rate_hz=44_100), 1152 / 44_100),
    ],
)
def test_a_clock_can_restart_in_other_containers(tmp_path: Path, name: str, sound: Sound, length_s: float) -> None:
    codec = "libvpx" if name.endswith("webm") else "libx264"
    sound = replace(sound, clock=restarted(4.0, to_s=1.0))
    path = write_film(tmp_path / name, 6.0, Picture(codec), sound)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.pts is not None]
    times_s = np.array([float(packet.pts * packet.time_base) for packet in packets])
    back = int(np.argmin(np.diff(times_s)))
    assert np.diff(times_s)[back] == pytest.approx(length_s - 3.0, abs=0.003)
    assert np.delete(np.diff(times_s), back) == pytest.approx(length_s, abs=0.003)
    assert times_s[back] == pytest.approx(4.0, abs=0.15)
    with av.open(str(path)) as container:
        shown_s = [
            float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.pts is not None
        ]
    assert np.diff(shown_s) == pytest.approx(0.04, abs=0.002)


def test_a_container_that_cannot_go_back_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"back\.mp4: a clock goes back"):
        write_film(tmp_path / "back.mp4", 2.0, Picture(clock=restarted(1.0)))


@pytest.mark.parametrize(("name", "start_s", "far_s"), [("damaged.ts", 1.4, 40_000), ("damaged.mkv", 0.0, 25)])
def test_single_times_can_be_damaged(tmp_path: Path, name: str, start_s: float, far_s: float) -> None:
    clock = added(moved(far_s, 2.99, 3.01), moved(-1.5, 1.99, 2.01))
    path = write_film(tmp_path / name, 4.0, Picture(clock=clock, rate=50), Sound("mp2"))
    times_s = min(stamps(path).items())[1]
    expected = start_s + np.arange(200) / 50
    expected[150] += far_s
    expected[100] -= 1.5
    assert times_s == pytest.approx(expected, abs=6e-4)


def test_a_clock_wraps_at_33_bits(tmp_path: Path) -> None:
    ahead = moved((1 << 33) / 90_000 - 1.4 - 2.0)
    path = write_film(tmp_path / "wrap.ts", 4.0, Picture(clock=ahead), Sound("mp2", clock=ahead))
    data = path.read_bytes()
    begins = [begin for place, pid in packets_of(data) if pid == 0x100 and (begin := payload(data, place)) is not None]
    ticks = [read_ticks(data, begin + 9) for begin in begins]
    assert ticks[:2] == [(1 << 33) - 180_000, (1 << 33) - 180_000 + 3600]
    assert ticks[50:52] == [0, 3600]
    assert shifts(path).largest_s < 0.06


def test_files_are_joined_as_cat_does(tmp_path: Path) -> None:
    first = write_film(tmp_path / "1.ts", 2.0, sounds=Sound("mp2"))
    second = write_film(tmp_path / "2.ts", 2.0, start_s=2.0, options={"mpegts_start_pid": "512"}, sounds=Sound("mp2"))
    found = stamps(joined(tmp_path / "both.ts", first, second))
    assert sorted(found) == [0x100, 0x101, 0x200, 0x201]
    assert found[0x100] == pytest.approx(1.4 + np.arange(50) / 25)
    assert found[0x200] == pytest.approx(1.4 + np.arange(50, 100) / 25)


def test_two_programmes_are_complete_and_mixed(tmp_path: Path) -> None:
    first = write_film(tmp_path / "1.ts", 4.0, sounds=Sound("mp2"))
    numbers = {"mpegts_start_pid": "512", "mpegts_pmt_start_pid": "4112", "mpegts_service_id": "2"}
    other = Picture(grey=126, size=(128, 96))
    second = write_film(tmp_path / "2.ts", 4.0, other, Sound("mp2", fixed_hz=2300), options=numbers)
    path = programmes(tmp_path / "both.ts", [first, second])
    found = stamps(path)
    assert {pid: len(times) for pid, times in found.items()} == {0x100: 100, 0x101: 167, 0x200: 100, 0x201: 167}
    assert found[0x100] == found[0x200]
    with av.open(str(path)) as container:
        tones = {stream.id: hz_of(path, stream.index) for stream in container.streams.audio}
    assert tones == {0x101: pytest.approx(500, abs=2), 0x201: pytest.approx(2300, abs=2)}


def hz_of(path: Path, index: int) -> float | None:
    """The pitch of a stream around its second 2."""
    with av.open(str(path)) as container:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(container.streams[index])])
    return pitch_hz(samples[95_000:97_000].astype(np.float64), 48_000)


def test_sound_that_tells_no_single_time_is_left_out() -> None:
    times_s = np.arange(800) / 16_000
    assert sound_time_s(np.sin(2 * np.pi * 1200 * times_s), 16_000) == pytest.approx(9.0, abs=0.01)
    assert sound_time_s(np.sin(2 * np.pi * 400 * times_s) + np.sin(2 * np.pi * 900 * times_s), 16_000) is None
    assert sound_time_s(np.zeros(800), 16_000) is None


def test_a_picture_tells_second_and_fraction() -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24] = round((20 + 10 * 7 - 16) * 255 / 219)
    picture[24:] = round((20 + 200 * 0.4 - 16) * 255 / 219)
    assert picture_time_s(picture) == pytest.approx(7.4, abs=0.01)
