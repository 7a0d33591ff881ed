"""Ordinary films in many formats, so that a repair for odd media that damages ordinary ones is noticed."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from benchmarks.cases_expected import Expected, Steps
from tests.clock_film import Clock, Picture, Sound, moved, without, write_film

NTSC, FILM_RATE = Fraction(30_000, 1001), Fraction(24_000, 1001)
SURROUND = (0.05, 0.05, 0.3, 0.0, 0.1, 0.1)
MONO = (0.3,)
OPUS, PCM = Sound("libopus"), Sound("pcm_s16le")
PAUSE: Clock = without(6.0, 9.0)
FAR: Clock = moved(1000.0)
SLIDES = (0.0, 0.5, 3.7, 5.2, 7.9, 12.0)


@dataclass(frozen=True)
class Ordinary:
    """One film and its length in whole seconds."""

    picture: Picture | None = None
    sound: Sound | None = None
    seconds: int = 16
    start_s: int = 0
    """Told time of its first moment, which players show at 0."""
    options: dict[str, str] = field(default_factory=dict)
    pause_s: tuple[float, float] | None = None
    """Stretch in which the sound is silent."""


FILMS = {
    "h264_aac.mp4": Ordinary(Picture(), Sound()),
    "b_frames_2997.mp4": Ordinary(Picture(rate=NTSC, b_frames=3), Sound(rate_hz=44_100)),
    "variable_rate_surround.mp4": Ordinary(Picture(is_uneven=True), Sound(gains=SURROUND)),
    "starts_at_3_s.mp4": Ordinary(Picture(), Sound(), 8, start_s=3),
    "fragmented.mp4": Ordinary(Picture(b_frames=2), Sound(), options={"movflags": "frag_keyframe+empty_moov"}),
    "slides.mp4": Ordinary(Picture(times_s=SLIDES, gop=1), Sound()),
    "sound_comes_late.mp4": Ordinary(Picture(), Sound(start_s=2.0), pause_s=(0.0, 2.0)),
    "sound_ends_early.mp4": Ordinary(Picture(), Sound(end_s=12.0), pause_s=(12.0, 16.0)),
    "hevc.mp4": Ordinary(Picture("libx265"), Sound(), 8),
    "av1.mp4": Ordinary(Picture("libsvtav1", size=(160, 120)), OPUS, 8),
    "b_frames_pcm_24.mov": Ordinary(Picture(rate=24, b_frames=2), Sound("pcm_s16le", gains=MONO)),
    "h264_ac3_60.mkv": Ordinary(Picture(rate=60), Sound("ac3", gains=SURROUND)),
    "variable_rate_flac.mkv": Ordinary(Picture(is_uneven=True, b_frames=2), Sound("flac", rate_hz=44_100)),
    "muted_for_3_s.mkv": Ordinary(Picture(), Sound("pcm_s16le", clock=PAUSE), pause_s=(6.0, 9.0)),
    "vp8_opus.webm": Ordinary(Picture("libvpx", rate=30), Sound("libopus", gains=MONO)),
    "vp9_vorbis_2398.webm": Ordinary(Picture("libvpx-vp9", rate=FILM_RATE), Sound("vorbis")),
    "mpeg4_mp3.avi": Ordinary(Picture("mpeg4"), Sound("libmp3lame", rate_hz=44_100)),
    "h264_mp2.ts": Ordinary(Picture(b_frames=2), Sound("mp2")),
    "clock_at_1000_s.ts": Ordinary(Picture(rate=50, clock=FAR), Sound(clock=FAR)),
    "mpeg2_2997.mpg": Ordinary(Picture("mpeg2video", rate=NTSC), Sound("mp2")),
    "h264_aac.flv": Ordinary(Picture(), Sound(rate_hz=44_100)),
    "wmv.asf": Ordinary(Picture("wmv2"), Sound("wmav2", rate_hz=44_100)),
    "mpeg2_pcm.mxf": Ordinary(Picture("mpeg2video"), Sound("pcm_s16le", gains=MONO)),
    "vorbis.ogg": Ordinary(sound=Sound("vorbis", rate_hz=44_100)),
    "speech.opus": Ordinary(sound=Sound("libopus", gains=MONO)),
    "speech_8000.wav": Ordinary(sound=Sound("pcm_s16le", rate_hz=8_000, gains=MONO)),
    "music.mp3": Ordinary(sound=Sound("libmp3lame", rate_hz=44_100)),
    "music_96000.flac": Ordinary(sound=Sound("flac", rate_hz=96_000)),
    "music.m4a": Ordinary(sound=Sound(rate_hz=22_050)),
}


def write(folder: Path, name: str) -> Expected:
    """Write one of `FILMS` into the folder, unless it is there, and return what is right for it."""
    given, path = FILMS[name], folder / name
    if not path.is_file():
        partial = path.with_stem(f".{path.stem}")
        write_film(
            partial, given.seconds, given.picture, given.sound, start_s=float(given.start_s), options=given.options
        )
        partial.rename(path)
    clock: Steps = tuple((float(second), second + given.start_s) for second in range(given.seconds))
    slides = given.picture.times_s if given.picture and given.picture.times_s else None
    shown: Steps = tuple((time_s, int(time_s)) for time_s in slides) if slides else clock
    return Expected(
        name,
        float(given.seconds),
        clips=-(-given.seconds // 2),
        picture=shown if given.picture else None,
        sound=paused(clock, given.pause_s) if given.sound else None,
        is_even=True,
    )


def paused(clock: Steps, pause_s: tuple[float, float] | None) -> Steps:
    """The clock without the seconds of a pause."""
    from_s, until_s = pause_s or (0.0, 0.0)
    return tuple((start_s, None if from_s <= start_s < until_s else second) for start_s, second in clock)
