"""What an archive does not know of a source is read from its file, if that is still the same."""

from fractions import Fraction
from pathlib import Path

import pytest

from archive.exports.frames import TICKS_HZ
from archive.exports.media import Media, probe
from archive.fingerprint import fingerprint_of
from archive.schema import Facts
from archive.shard import facts_of
from archive.sink import Archive
from archive.ticket import Ticket, packed
from pipeline.clip import SourceInfo
from pipeline.status import OutputSpec
from tests.archive.made import clip_of
from tests.media import make_video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stored as 96×64 pixels of 4:3, turned by 90 degrees."""
    path = tmp_path_factory.mktemp("media") / "turned.mp4"
    return make_video(path, 0.5, 30000 / 1001, (96, 64), rotation=90, pixel_aspect=Fraction(4, 3))


def test_a_file_tells_rate_length_and_stored_size(video: Path) -> None:
    media = Media(Facts(source=str(video), name="turned.mp4", fingerprint=fingerprint_of(str(video))))
    assert media.rate_hz == Fraction(30000, 1001)
    assert media.stored_size == (64, 96)
    assert media.duration_s == pytest.approx(0.5, abs=0.04)


def test_what_a_run_knows_of_a_source_is_in_the_archive(tmp_path: Path) -> None:
    sink = Archive(OutputSpec(kind="archive", path=str(tmp_path)))
    sink.open()
    sink.source_supplied("a.mp4", packed(Ticket(source="a.mp4", name="a.mp4", path="a.mp4")))
    sink.source_started(SourceInfo("a.mp4", 0, frame_rate_hz=30000 / 1001, duration_ns=7_007_000_000))
    sink.write(clip_of("a.mp4", 0))
    sink.source_ended(0, 1)
    media = Media(facts_of(str(tmp_path / "a.mp4.parquet"), "a.mp4"))
    assert (media.rate_hz, media.duration_s) == (Fraction(30000, 1001), 7.007)


def test_what_the_archive_knows_comes_first(video: Path) -> None:
    media = Media(Facts(source=str(video), name="turned.mp4", frame_rate_hz=25.0, duration_s=7.0))
    assert (media.rate_hz, media.duration_s) == (Fraction(25), 7.0)


def test_a_file_that_is_gone_or_another_one_tells_nothing(video: Path, tmp_path: Path) -> None:
    other = fingerprint_of(__file__)
    for path, fingerprint in (
        (str(tmp_path / "gone.mp4"), None),
        (str(video), other),
        (__file__, other),
        ("s3://bucket/a.mp4", None),
    ):
        media = Media(Facts(source=path, name="a.mp4", fingerprint=fingerprint))
        assert (media.rate_hz, media.duration_s, media.stored_size) == (TICKS_HZ, 0.0, (0, 0))


def test_rates_that_no_video_has_are_none() -> None:
    assert Media(Facts(source="gone.mp4", name="a", frame_rate_hz=90000.0)).rate_hz == TICKS_HZ


def test_a_text_is_no_video() -> None:
    with pytest.raises((OSError, ValueError)):
        probe(__file__)
