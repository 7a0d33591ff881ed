"""Answers are reused while nothing happens, and never when somebody walks in or a siren starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import numpy as np
import pytest

from pipeline.arrays import Array
from stages.decode.live.still_pictures import residuals
from stages.decode.live.still_sound import levels
from stages.decode.live.stillness import FRESH_S, PacketFacts, Stillness

HEIGHT, WIDTH = 144, 256
RATE, CLIP_S = 10, 2
PER_CLIP = RATE * CLIP_S
RATE_HZ = 16_000
LEARNT = 8
"""So many clips are enough to learn what still is."""


@dataclass(frozen=True)
class Clip:
    packets: list[PacketFacts]
    lumas: list[Array]
    keys: list[Array]
    sound: Array | None = None


@dataclass
class Camera:
    """Tells a `Stillness` of clips as a reader does."""

    now_s: float = 0.0

    def __post_init__(self) -> None:
        self.stillness = Stillness(lambda: self.now_s)

    def see(self, clip: Clip) -> str:
        """How the clip was dealt with: "keys" or "decoded" if its answers were reused, else "labelled"."""
        self.now_s += CLIP_S
        if self.stillness.may_reuse(clip.packets, clip.keys, clip.sound, RATE_HZ):
            return "keys"
        holds = self.stillness.decoded(clip.lumas, clip.sound, RATE_HZ, clip.packets)
        return "decoded" if holds else "labelled"

    def learn(self, clips: Sequence[Clip]) -> "Camera":
        for clip in clips:
            self.see(clip)
        return self


def scene(number: int, noise: float, walker: bool = False, gain: float = 1.0, clock: int = -1) -> Array:
    """uint8 "H W": a textured scene before a noisy sensor; with a walker, or a clock in a corner."""
    texture = np.random.default_rng(7).uniform(50, 190, (HEIGHT // 4, WIDTH // 4))
    picture = np.kron(texture, np.ones((4, 4))) * gain
    if walker:
        left = 40 + number * 3 % 160
        picture[60:110, left : left + 16] = np.random.default_rng(3).uniform(20, 230, (50, 16))
    if clock >= 0:
        picture[:8, :24] = np.random.default_rng(clock).uniform(0, 255, (8, 24))
    return (picture + np.random.default_rng(number).normal(0, noise, picture.shape)).clip(0, 255).astype(np.uint8)


def encoded(pictures: Sequence[Array], key_every: int, options: dict[str, str]) -> list[Clip]:
    """The clips that a camera sends of pictures."""
    encoder, decoder = av.CodecContext.create("libx264", "w"), av.CodecContext.create("h264", "r")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.gop_size, encoder.thread_count = Fraction(1, RATE), key_every, 1
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "sc_threshold": "0"} | options
    packets = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
        frame.pts, frame.time_base = number, encoder.time_base
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    seen = [frame.to_ndarray(format="gray") for packet in packets for frame in decoder.decode(packet)]
    facts = [PacketFacts(packet.size, bool(packet.is_keyframe)) for packet in packets]
    clips = []
    for place in range(0, len(facts), PER_CLIP):
        stretch = slice(place, place + PER_CLIP)
        keys = [luma for luma, fact in zip(seen[stretch], facts[stretch], strict=True) if fact.is_key]
        clips.append(Clip(facts[stretch], seen[stretch], keys))
    return clips


QUIET_SENSOR, NOISY_SENSOR = 0.5, 4.0
KEPT, CONSTANT = {"crf": "26"}, {"b": "400k", "maxrate": "400k", "bufsize": "400k"}


@cache
def filmed(noise: float, rate: str, walks: tuple[int, int] = (0, 0), clips: int = 14) -> list[Clip]:
    """Clips of a scene; a walker is there in pictures [from, until)."""
    pictures = [scene(n, noise, walker=walks[0] <= n < walks[1]) for n in range(clips * PER_CLIP)]
    return encoded(pictures, PER_CLIP, CONSTANT if rate == "constant" else KEPT)


@pytest.mark.parametrize("noise", [QUIET_SENSOR, NOISY_SENSOR])
@pytest.mark.parametrize("rate", ["kept", "constant"])
def test_answers_of_a_still_camera_are_reused(noise: float, rate: str) -> None:
    clips = filmed(noise, rate)
    camera = Camera().learn(clips[:LEARNT])
    assert "labelled" not in [camera.see(clip) for clip in clips[LEARNT:]]


@pytest.mark.parametrize("noise", [QUIET_SENSOR, NOISY_SENSOR])
def test_what_was_said_of_somebody_who_left_is_not_said_of_the_empty_scene(noise: float) -> None:
    """The walker is in a quarter of a clip, whose middle picture is that of the empty scene."""
    first = 10 * PER_CLIP + 3
    clips = filmed(noise, "kept", walks=(first, first + PER_CLIP // 4))
    camera = Camera().learn(clips[:10])
    assert [camera.see(clip) for clip in clips[10:12]] == ["labelled", "labelled"]
    assert "labelled" not in [camera.see(clip) for clip in clips[12:]]


def test_another_scene_is_not_taken_for_noise() -> None:
    """A film with cuts, as of a channel, whose pictures differ everywhere."""
    random = np.random.default_rng(1)
    shots = [np.kron(random.uniform(50, 190, (HEIGHT // 4, WIDTH // 4)), np.ones((4, 4))) for _ in range(4)]
    pictures = [shots[n // PER_CLIP % 4].astype(np.uint8) for n in range(16 * PER_CLIP)]
    camera = Camera()
    assert {camera.see(clip) for clip in encoded(pictures, PER_CLIP, KEPT)} == {"labelled"}


def test_a_camera_without_noise_is_watched_by_its_key_frames_alone_and_nobody_is_missed() -> None:
    clips = filmed(0.0, "kept")
    camera = Camera().learn(clips[:LEARNT])
    assert [camera.see(clip) for clip in clips[LEARNT:]].count("keys") >= 5
    start = 10 * PER_CLIP + 7
    walked = filmed(0.0, "kept", walks=(start, start + 6))
    camera = Camera().learn(walked[:9])
    assert camera.see(walked[9]) == "keys"
    assert camera.see(walked[10]) == "labelled"


@pytest.mark.parametrize("noise", [QUIET_SENSOR, NOISY_SENSOR])
@pytest.mark.parametrize("rate", ["kept", "constant"])
def test_who_walks_by_between_two_key_frames_is_not_missed(noise: float, rate: str) -> None:
    start = 10 * PER_CLIP + 7
    clips = filmed(noise, rate, walks=(start, start + 6))
    assert all(np.abs(a.astype(int) - b).max() < 60 for a, b in zip(clips[10].keys, clips[9].keys, strict=True))
    camera = Camera().learn(clips[:10])
    assert camera.see(clips[10]) == "labelled"


def test_who_comes_to_stay_is_seen_and_then_belongs_to_the_scene() -> None:
    pictures = [scene(n, QUIET_SENSOR) for n in range(9 * PER_CLIP)]
    sitting = scene(12, QUIET_SENSOR, walker=True)
    pictures += [
        np.where(np.abs(sitting.astype(int) - scene(12, QUIET_SENSOR)) > 0, sitting, scene(n, QUIET_SENSOR))
        for n in range(6 * PER_CLIP)
    ]
    clips = encoded(pictures, PER_CLIP, KEPT)
    camera = Camera().learn(clips[:9])
    seen = [camera.see(clip) for clip in clips[9:]]
    assert seen[0] == "labelled"
    assert "labelled" not in seen[2:]


def test_slow_daylight_is_no_change_and_a_light_that_goes_out_is() -> None:
    gains = [1 + 0.01 * np.sin(n / 40) for n in range(12 * PER_CLIP)] + [0.5] * PER_CLIP
    clips = encoded([scene(n, 1.0, gain=gain) for n, gain in enumerate(gains)], PER_CLIP, KEPT)
    camera = Camera().learn(clips[:LEARNT])
    seen = [camera.see(clip) for clip in clips[LEARNT:]]
    assert "labelled" not in seen[:-1]
    assert seen[-1] == "labelled"


def test_a_clock_in_the_picture_does_not_keep_a_camera_awake() -> None:
    clips = encoded([scene(n, QUIET_SENSOR, clock=n // RATE) for n in range(20 * PER_CLIP)], PER_CLIP, KEPT)
    camera = Camera().learn(clips[:14])
    assert "labelled" not in [camera.see(clip) for clip in clips[14:]]
    walking = encoded([scene(n, QUIET_SENSOR, walker=True, clock=n // RATE) for n in range(PER_CLIP)], PER_CLIP, KEPT)
    assert camera.see(walking[0]) == "labelled"


def test_a_clip_without_a_key_frame_is_decoded() -> None:
    clips = filmed(QUIET_SENSOR, "kept")
    camera = Camera().learn(clips[:LEARNT])
    clip = clips[LEARNT]
    assert not camera.stillness.may_reuse([PacketFacts(each.size, False) for each in clip.packets], [], None, RATE_HZ)


def test_answers_are_renewed_each_minute_and_after_a_wake_or_a_reset() -> None:
    clip = filmed(QUIET_SENSOR, "kept")[LEARNT]
    camera = Camera().learn(filmed(QUIET_SENSOR, "kept"))
    seen = [camera.see(clip) for _ in range(200)]
    labelled = np.flatnonzero([each == "labelled" for each in seen])
    assert len(labelled) >= 6
    assert (np.diff(labelled) * CLIP_S == FRESH_S).all()
    assert camera.see(clip) != "labelled"
    camera.stillness.wake()
    assert camera.see(clip) == "labelled"
    assert camera.see(clip) != "labelled"
    camera.stillness.reset()
    assert [camera.see(clip) for _ in range(3)] == ["labelled"] * 3


def test_all_pictures_of_a_clip_that_is_decoded_already_need_no_sizes() -> None:
    clips = filmed(NOISY_SENSOR, "constant")
    camera = Camera().learn(clips[:LEARNT])
    clip = clips[LEARNT]
    assert not camera.stillness.keys_may_tell
    assert not camera.stillness.may_reuse(clip.packets, clip.keys, None, RATE_HZ)
    assert camera.stillness.may_reuse(clip.packets, clip.lumas, None, RATE_HZ)
    assert Camera().learn(filmed(0.0, "kept")[:LEARNT]).stillness.keys_may_tell


def test_a_changed_size_of_the_picture_is_a_change() -> None:
    clips = filmed(QUIET_SENSOR, "kept")
    camera = Camera().learn(clips[:LEARNT])
    small = [luma[:30, :40] for luma in clips[LEARNT].lumas]
    assert camera.see(Clip(clips[LEARNT].packets, small, small[:1])) == "labelled"


def room(number: int, level: float = 0.01) -> Array:
    """float32 "S": two seconds of a fan."""
    noise = np.random.default_rng(number).normal(0, 1, RATE_HZ * CLIP_S + 8)
    return (level * np.convolve(noise, np.ones(9) / 3, "valid")).astype(np.float32)


def siren(level: float) -> Array:
    times = np.arange(RATE_HZ * CLIP_S) / RATE_HZ
    phase = 2 * np.pi * (900 * times - 300 / np.pi * np.cos(np.pi * times))
    return (level * np.minimum(1, times) * np.sin(phase)).astype(np.float32)


def heard(sound: Array | None) -> Clip:
    return Clip([], [], [], sound)


def test_a_steady_sound_is_still_and_a_quiet_siren_is_not() -> None:
    camera = Camera().learn([heard(room(n)) for n in range(20)])
    seen = [camera.see(heard(room(100 + n))) for n in range(9)]
    assert seen.count("keys") >= 8
    alarm = room(200) + siren(0.008)
    assert 20 * np.log10(np.std(siren(0.008)) / np.std(room(200))) < -4  # quieter than the fan
    assert camera.see(heard(alarm)) == "labelled"


def test_a_sound_that_rises_so_slowly_that_no_clip_differs_from_the_last_is_not_missed() -> None:
    camera = Camera().learn([heard(room(n)) for n in range(31)])
    seen = [camera.see(heard(room(100 + n) + siren(0.0004 * n))) for n in range(25)]
    assert "labelled" in seen


def test_another_steady_sound_becomes_the_quiet() -> None:
    camera = Camera().learn([heard(room(n)) for n in range(20)])
    seen = [camera.see(heard(room(n, level=0.05))) for n in range(20)]
    assert seen[0] == "labelled"
    assert "labelled" not in seen[12:]


def test_a_microphone_that_is_lost_is_a_change() -> None:
    camera = Camera().learn([heard(room(n)) for n in range(20)])
    assert camera.see(heard(None)) == "labelled"


def test_levels_are_those_of_the_bands() -> None:
    times = np.arange(RATE_HZ) / RATE_HZ
    low, high = (levels(np.sin(2 * np.pi * hz * times).astype(np.float32), RATE_HZ).mean(axis=0) for hz in (200, 4000))
    assert low.argmax() < high.argmax()
    assert levels(np.zeros(100, np.float32), RATE_HZ).shape[0] == 1


def test_gain_and_offset_are_taken_off_and_a_covered_lens_is_no_daylight() -> None:
    reference = np.random.default_rng(1).uniform(40, 200, (36, 64)).astype(np.float32)
    moved = reference.copy()
    moved[3, 4] += 50
    rest, is_daylight = residuals(np.stack([reference * 1.1 - 5, moved]), reference)
    assert is_daylight
    assert np.abs(rest[0]).max() < 0.01
    assert rest[1, 3, 4] == pytest.approx(50, abs=0.5)
    for covered in (np.full_like(reference, 120), reference * 0.1):
        assert not residuals(covered[None], reference)[1]


def test_what_was_said_while_a_siren_was_heard_is_not_said_of_the_quiet_after_it() -> None:
    camera = Camera().learn([heard(room(number)) for number in range(LEARNT)])
    assert camera.see(heard(room(20) + siren(0.05))) == "labelled"
    assert camera.see(heard(room(21))) == "labelled"
    assert camera.see(heard(room(22))) != "labelled"


def test_speech_is_no_even_noise_so_its_answers_hold_for_no_other_clip() -> None:
    random = np.random.default_rng(4)
    levels = [np.repeat(10 ** random.uniform(-2, 0, 16), RATE_HZ * CLIP_S // 16) for _ in range(12)]
    clips = [heard((room(number) * level).astype(np.float32)) for number, level in enumerate(levels)]
    camera = Camera()
    assert camera.learn(clips).see(clips[6]) != "labelled"
    camera.stillness = Stillness(lambda: camera.now_s, steady_sound=True)
    assert {camera.see(each) for each in [*clips, clips[6]]} == {"labelled"}


def test_a_scene_that_comes_back_is_known_again() -> None:
    pictures = [scene(number, 1.0) for number in range(6 * PER_CLIP)]
    away = [scene(number, 1.0, gain=0.5) for number in range(3 * PER_CLIP)]
    lumas = [pictures[place : place + PER_CLIP] for place in range(0, len(pictures), PER_CLIP)]
    others = [away[place : place + PER_CLIP] for place in range(0, len(away), PER_CLIP)]
    for remembered, known in ((2, True), (0, False)):
        stillness = Stillness(lambda: 1.0, remembered=remembered)
        for each in lumas:
            holds = stillness.decoded(each, None, 0, ())
        first = stillness.reference
        assert holds
        assert not stillness.decoded(others[0], None, 0, ())
        assert stillness.decoded(lumas[2], None, 0, ()) == known
        assert (stillness.reference is first) == known
