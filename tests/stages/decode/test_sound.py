"""Several channels and tracks become one sound, and none of it is lost."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from stages.decode.sound import RESAMPLING
from tests.media import stepped_tone
from tests.stages.decode.reading import Reading, read

RATE_HZ = 48_000
Channels = NDArray[np.float32]


def tone(seconds: float, gain: float = 0.3) -> Channels:
    return (gain * stepped_tone(np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def noise(seconds: float, seed: int = 1) -> Channels:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def write(
    path: Path,
    *tracks: Channels,
    layout: str = "stereo",
    codec: str = "pcm_s16le",
    options: dict[str, str] | None = None,
) -> Path:
    """A file with a sound track for each array "C N"."""
    with av.open(str(path), "w") as output:
        streams = [output.add_stream(codec, rate=RATE_HZ, layout=layout, options=options or {}) for _ in tracks]
        for stream, channels in zip(streams, tracks, strict=True):
            for start in range(0, channels.shape[1], 1024):
                part = channels[:, start : start + 1024].T.reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format="flt", layout=layout)
                frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, start, Fraction(1, RATE_HZ)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    return path


def samples_of(reading: Reading) -> Channels:
    assert all(clip.arrays["audio_mask"].all() for clip in reading.clips)
    return np.concatenate([clip.arrays["audio"] for clip in reading.clips])


def level_db(samples: Channels) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20))


def plain_mix(path: Path) -> Channels:
    """FFmpeg's own."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000, options=RESAMPLING)
    with av.open(str(path)) as container:
        frames = [*container.decode(audio=0), None]
        for frame in frames:
            if frame is not None:
                frame.pts = None
        pieces = [piece.to_ndarray()[0] for frame in frames for piece in resampler.resample(frame)]
    return np.concatenate(pieces)


@pytest.mark.parametrize(("name", "codec"), [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.mka", "aac")])
@pytest.mark.parametrize("cancelled", ["antiphase", "nearly"])
def test_channels_that_cancel_are_heard(name: str, codec: str, cancelled: str, tmp_path: Path) -> None:
    sound = tone(5.0)
    other = -sound if cancelled == "antiphase" else -0.98 * sound
    path = write(tmp_path / name, np.stack([sound, other]), codec=codec)
    assert level_db(plain_mix(path)) < level_db(sound) - 25
    heard = samples_of(read(path, modalities=("audio",)))
    assert level_db(heard[1600:-3200]) == pytest.approx(level_db(sound), abs=0.3)
    steepest = 0.3 * 2 * np.pi * 700 / 16_000
    assert np.abs(np.diff(heard[1600:-3200])).max() < 1.3 * steepest, "blocks join without a click"


@pytest.mark.parametrize(("layout", "count"), [("stereo", 2), ("quad", 4), ("5.1", 6), ("7.1", 8)])
def test_sound_on_any_one_channel_is_heard(layout: str, count: int, tmp_path: Path) -> None:
    sound = tone(3.0)
    for channel in range(count):
        channels = np.zeros((count, len(sound)), np.float32)
        channels[channel] = sound
        path = write(tmp_path / f"{channel}.wav", channels, layout=layout)
        heard = samples_of(read(path, modalities=("audio",)))
        assert level_db(heard[1600:-1600]) > level_db(sound) - 18.1, channel


@pytest.mark.parametrize("kind", ["wide", "one silent", "a quiet difference", "silence"])
def test_an_ordinary_mix_is_that_of_ffmpeg_bit_for_bit(kind: str, tmp_path: Path) -> None:
    left = tone(5.0)
    right = {"wide": noise(5.0), "one silent": 0 * left, "a quiet difference": 0.5 * left, "silence": left}[kind]
    if kind == "silence":
        left = right = 0 * left
    path = write(tmp_path / "a.wav", np.stack([left, right]))
    assert np.array_equal(samples_of(read(path, modalities=("audio",))), plain_mix(path))


def test_only_the_stretch_that_cancels_is_replaced(tmp_path: Path) -> None:
    left = tone(8.0)
    right = left.copy()
    right[3 * RATE_HZ : 5 * RATE_HZ] *= -1
    path = write(tmp_path / "a.wav", np.stack([left, right]))
    heard, plain, mono = samples_of(read(path, modalities=("audio",))), plain_mix(path), tone(8.0)[::3]
    block = 4000 + 4096 // 3  # and a frame
    assert np.array_equal(heard[: 48_000 - block], plain[: 48_000 - block])
    assert np.array_equal(heard[80_000 + block :], plain[80_000 + block :])
    assert level_db(heard[48_000:80_000]) == pytest.approx(level_db(mono[48_000:80_000]), abs=0.3)


def test_a_later_start_yields_the_same_samples(tmp_path: Path) -> None:
    left = tone(9.0)
    right = np.where(np.arange(len(left)) // (RATE_HZ * 7 // 4) % 2, left, -left).astype(np.float32)
    path = write(tmp_path / "a.wav", np.stack([left, right]))
    whole = read(path, modalities=("audio",))
    for start_index in range(1, 4):
        part = read(path, start_index, modalities=("audio",))
        for one, other in zip(whole.clips[start_index:], part.clips, strict=True):
            assert np.array_equal(one.arrays["audio"], other.arrays["audio"])


def test_a_mix_that_is_replaced_from_the_start_is_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sound = tone(6.0)
    reading = read(write(tmp_path / "a.wav", np.stack([sound, -sound])), modalities=("audio",))
    assert reading.info.notes == ("where the mono mix loses sound channel 1 of 2, that channel is used",)
    assert caplog.messages == []


def test_a_mix_that_is_replaced_later_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left = tone(6.0)
    right = left.copy()
    for second in (2, 4):
        right[second * RATE_HZ : (second + 1) * RATE_HZ] *= -1
    reading = read(write(tmp_path / "a.wav", np.stack([left, right])), modalities=("audio",))
    assert reading.info.notes == ()
    assert [message.partition("a.wav: ")[2] for message in caplog.messages] == [
        "the mono mix loses sound channel 1 of 2 from 2.0 s on; that channel is used instead"
    ]


def test_how_channels_without_names_are_mixed_is_noted(tmp_path: Path) -> None:
    sound = tone(2.0)
    ambisonic = write(
        tmp_path / "a.mka",
        np.stack([sound, -sound, 0 * sound, 0 * sound]),
        layout="ambisonic 1",
        codec="libopus",
        options={"mapping_family": "2"},
    )
    reading = read(ambisonic, modalities=("audio",))
    assert reading.info.notes == ("ambisonics: the channel without direction is used",)
    assert level_db(reading.clips[0].arrays["audio"][1600:-1600]) == pytest.approx(level_db(sound), abs=0.3)
    many = write(tmp_path / "b.wav", np.stack([sound] * 11), layout="11 channels")
    assert read(many, modalities=("audio",)).info.notes == ("11 unnamed sound channels: their mean is used",)
