"""The sound of a rewritten video: AAC, in sync, whatever the source has."""

from pathlib import Path

import pytest

from pipeline.sinks.rewrite import NS
from tests.media import Sound, make_video, pitch_hz, stepped_tone, tone_hz
from tests.pipeline.sinks.films import rewrite, samples_of


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_every_second_sounds_as_before_and_a_cut_begins_at_its_start(tmp_path: Path, codec: str) -> None:
    source = make_video(tmp_path / "talk.mkv", seconds=4, fps=5, audio=Sound(codec=codec))
    rewrite(source, tmp_path / "out.mp4", start_ns=NS, end_ns=3 * NS)
    samples, rate_hz, start_s = samples_of(tmp_path / "out.mp4")
    assert start_s == pytest.approx(0.0, abs=0.05)
    assert len(samples) / rate_hz == pytest.approx(2.0, abs=0.1)
    for second in range(2):
        middle = samples[round((second + 0.3) * rate_hz) : round((second + 0.7) * rate_hz)]
        assert pitch_hz(middle, rate_hz) == pytest.approx(tone_hz(second + 1), abs=5)


@pytest.mark.parametrize(("rate_hz", "after_hz"), [(32_000, 32_000), (11_025, 48_000)])
def test_a_rate_that_aac_does_not_offer_is_resampled(tmp_path: Path, rate_hz: int, after_hz: int) -> None:
    source = make_video(tmp_path / "talk.avi", seconds=1, fps=5, audio=Sound(codec="pcm_s16le", rate_hz=rate_hz))
    rewrite(source, tmp_path / "out.mp4")
    samples, found_hz, _ = samples_of(tmp_path / "out.mp4")
    assert found_hz == after_hz
    assert pitch_hz(samples[: found_hz // 2], found_hz) == pytest.approx(tone_hz(0), abs=5)


def test_six_channels_become_two(tmp_path: Path) -> None:
    import av

    source = make_video(tmp_path / "talk.mkv", seconds=1, fps=5, audio=Sound(codec="pcm_s16le", layout="5.1"))
    rewrite(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].codec_context.channels == 2


@pytest.mark.parametrize(("wanted", "second"), [("", 0), ("1", 1), ("deu", 1)])
def test_the_chosen_track_is_written(tmp_path: Path, wanted: str, second: int) -> None:
    """The second track is one second ahead, so that its pitch differs."""
    ahead = Sound(language="deu", tone=lambda times_s: stepped_tone(times_s + 1.0))
    source = make_video(tmp_path / "talk.mkv", seconds=1, fps=5, audio=[Sound(language="eng"), ahead])
    rewrite(source, tmp_path / "out.mp4", audio_track=wanted)
    samples, rate_hz, _ = samples_of(tmp_path / "out.mp4")
    assert pitch_hz(samples[: rate_hz // 2], rate_hz) == pytest.approx(tone_hz(second), abs=5)
