"""Measures of a camera have the values that its media were made with."""

from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline.arrays import Array
from stages.decode.live.luma import cells, luma
from stages.decode.live.measures import SILENCE_DBFS, Meter

HEIGHT, WIDTH = 180, 320
NS = 1_000_000_000
RATE_HZ = 16_000
LEFT = {"left": ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))}


def scene(seed: int = 0, noise: float = 2.0, gain: float = 1.0) -> Array:
    """uint8 "H W 3": blocks of grey, seen by a noisy sensor."""
    blocks = np.random.default_rng(7).uniform(60, 180, (HEIGHT // 10, WIDTH // 10))
    grey = np.kron(blocks, np.ones((10, 10))) * gain
    noisy = grey[..., None] + np.random.default_rng(seed).normal(0, noise, (HEIGHT, WIDTH, 1))
    return np.repeat(noisy.clip(0, 255), 3, axis=2).astype(np.uint8)


def measured(meter: Meter, *pictures: Array, start_s: float = 0.0, rate_hz: float = 8.0) -> dict[str, float]:
    for number, picture in enumerate(pictures):
        meter.picture(picture, round((start_s + number / rate_hz) * NS))
    return meter.close()


def test_cells_are_means_of_their_pixels() -> None:
    plane = np.random.default_rng(1).integers(0, 256, (37, 65)).astype(np.uint8)
    grid = cells(plane, 4, 8)
    assert grid.shape == (4, 8)
    assert grid[1, 2] == pytest.approx(plane[37 // 4 : 37 * 2 // 4, 65 * 2 // 8 : 65 * 3 // 8].mean())
    assert cells(plane[:2, :3]).shape == (2, 3)
    assert luma(np.zeros((9, 9, 3), np.uint8)).shape == (5, 5)


def test_brightness_spread_and_sharpness_of_known_pictures() -> None:
    flat = measured(Meter(), np.full((HEIGHT, WIDTH, 3), 77, np.uint8))
    assert (flat["brightness"], flat["spread"], flat["sharpness"]) == (77, 0, 0)
    stripes = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = stripes[:, 3::8] = 200
    found = measured(Meter(), stripes)
    assert (found["brightness"], found["spread"]) == pytest.approx((100, 100))
    assert found["sharpness"] == 200


def test_noise_of_the_sensor_and_slow_daylight_are_no_motion() -> None:
    meter = Meter(LEFT)
    measured(meter, *(scene(seed) for seed in range(16)))
    for clip in range(1, 5):
        found = measured(meter, *(scene(100 * clip + n, gain=1 + 0.004 * clip) for n in range(16)))
        assert found["change"] == 0
        assert found["zone:left"] == 0
        assert 0.1 < found["noise"] < 1


def test_automatic_exposure_is_no_motion() -> None:
    meter = Meter()
    measured(meter, scene(1), scene(2))
    found = measured(meter, scene(3) + np.uint8(12), scene(4) + np.uint8(20))
    assert found["change"] == 0


def test_what_enters_changes_its_share_of_the_cells() -> None:
    meter = Meter(LEFT)
    measured(meter, scene(1), scene(2))
    entered = scene(3)
    entered[40:80, 20:60] = 250  # 4 × 4 of the cells, which are 10 pixels wide and high, all of them on the left
    found = measured(meter, scene(4), entered, scene(5), rate_hz=4)
    assert found["change"] == pytest.approx(16 / (18 * 32), abs=1e-4)
    # The zone's edge lies on the border of two columns of cells, so that it has 17 of them.
    assert found["zone:left"] == pytest.approx(16 / (18 * 17), abs=1e-4)
    right = scene(6)
    right[40:80, 220:260] = 250
    found = measured(meter, right)
    assert found["change"] > 0
    assert found["zone:left"] == 0


def encoded(pictures: list[Array], crf: int) -> list[Array]:
    """What a viewer sees of pictures that a camera has encoded with a key frame each second."""
    encoder, decoder = av.CodecContext.create("libx264", "w"), av.CodecContext.create("h264", "r")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.gop_size, encoder.thread_count = Fraction(1, 8), 8, 1
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": str(crf)}
    packets = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = number, encoder.time_base
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [frame.to_ndarray(format="rgb24") for packet in packets for frame in decoder.decode(packet)]


@pytest.mark.parametrize("crf", [23, 35])
def test_a_frozen_camera_is_told_from_a_still_one_through_its_encoder(crf: int) -> None:
    settled = slice(16, 48)  # at first, the encoder looks for its quality
    frozen = measured(Meter(), *encoded([scene(1, noise=0.5)] * 48, crf)[settled])
    still = measured(Meter(), *encoded([scene(n, noise=0.5) for n in range(48)], crf)[settled])
    assert frozen["same_s"] == 3.0, "it is looked at once a second"
    assert still["same_s"] < 1


def test_a_stretch_of_same_pictures_goes_on_over_clips_and_ends() -> None:
    meter = Meter()
    assert measured(meter, scene(1), scene(1), rate_hz=1)["same_s"] == 1
    assert measured(meter, scene(1), start_s=2)["same_s"] == 2
    assert measured(meter, scene(2), start_s=4)["same_s"] == 0
    meter.reset()
    assert measured(meter, scene(2), start_s=6)["same_s"] == 0


def test_pictures_that_follow_at_once_are_passed_over() -> None:
    meter = Meter()
    bright = np.full_like(scene(1), 255)
    found = measured(meter, scene(1), bright, scene(1), bright, scene(1))
    assert found["brightness"] == measured(Meter(), scene(1))["brightness"]
    assert found["change"] == 0
    assert measured(meter, scene(1), start_s=0.7)["brightness"] > 0, "the first of a clip is always looked at"


def test_levels_of_sound() -> None:
    meter = Meter()
    meter.sound(np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32), RATE_HZ)
    found = meter.close()
    assert found["level_dbfs"] == pytest.approx(-3.01, abs=0.01)
    assert found["peak_dbfs"] == pytest.approx(0, abs=0.01)
    assert found["silent_s"] == 0


def test_digital_silence_is_told_from_a_quiet_room() -> None:
    meter = Meter()
    for clip in range(3):
        meter.sound(np.full(2 * RATE_HZ, 3 / 32768, np.float32), RATE_HZ)
        assert meter.close()["silent_s"] == 2 * (clip + 1)
    meter.sound(np.random.default_rng(1).integers(-2, 3, 2 * RATE_HZ).astype(np.float32) / 32768, RATE_HZ)
    found = meter.close()
    assert found["silent_s"] == 0
    assert SILENCE_DBFS < found["level_dbfs"] < -80
    meter.sound(np.zeros(RATE_HZ, np.float32), RATE_HZ)
    found = meter.close()
    assert (found["silent_s"], found["level_dbfs"], found["peak_dbfs"]) == (1, SILENCE_DBFS, SILENCE_DBFS)


def test_a_clip_has_only_measures_of_what_it_has() -> None:
    meter = Meter()
    assert meter.close() == {}
    meter.sound(np.zeros(9, np.float32), RATE_HZ)
    assert set(meter.close()) == {"level_dbfs", "peak_dbfs", "silent_s"}
    assert "level_dbfs" not in measured(meter, scene(1))
    assert measured(meter, scene(1)[::2, ::2])["change"] == 0  # the camera has changed its size
