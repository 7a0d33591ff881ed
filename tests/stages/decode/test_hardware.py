"""Pictures decoded by hardware, which a stand-in plays: the same clips and times, and software wherever it must."""

import weakref
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from pipeline.errors import ConfigError
from stages.decode import nvdec
from stages.decode.reader import NS, ReaderOptions, make_reader
from tests.media import Sound, make_size_change, make_video
from tests.stages.decode.reading import Reading, check_same, read
from tests.stages.decode.stand_in import StandIn, play

SMALL: dict[str, Any] = {"short_side_px": 64, "long_side_px": 120}
"""Sizes to which the films of these tests are made smaller."""


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("b_frames.mp4", {"b_frames": 3, "gop": 20, "audio": Sound()}),
        ("open_gop.mkv", {"gop": 20, "options": {"x264-params": "open-gop=1:bframes=3", "crf": "20"}}),
        ("vfr.mp4", {"vfr": True, "gop": 20}),
        ("turned.mp4", {"rotation": 90, "gop": 20}),
        ("wide.mp4", {"pixel_aspect": Fraction(4, 3), "gop": 20}),
        ("full_range.mp4", {"pixel_format": "yuvj420p", "gop": 20}),
        ("hevc.mp4", {"codec": "libx265", "gop": 20}),
        ("av1.mp4", {"codec": "libsvtav1", "gop": 20}),
        ("h264.ts", {"gop": 20}),
    ],
)
def test_clips_and_times_are_those_of_software(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, settings: dict[str, Any]
) -> None:
    path = make_video(tmp_path / name, 4.5, size=(320, 180), **settings)
    soft = read(path, **SMALL)
    opened = play(monkeypatch)
    hard = read(path, **SMALL, device="auto")
    assert [each.packets for each in opened] == [int(4.5 * 30) + 1], "the hardware decoded everything"
    check_same(hard, soft)
    assert hard.info == soft.info


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "open_gop.mp4"
    options = {"x264-params": "open-gop=1:bframes=3", "crf": "20"}
    return make_video(path, 8.0, size=(320, 180), gop=25, options=options, audio=Sound())


@pytest.fixture(scope="module")
def soft(film: Path) -> Reading:
    return read(film, **SMALL)


def test_pictures_that_are_not_resized_are_the_same_bit_for_bit(
    film: Path, soft: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, scale=0)
    check_same(read(film, **SMALL, device="cuda"), soft, levels=0)


def test_a_later_start_yields_the_same_clips(film: Path, soft: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = play(monkeypatch)
    whole = read(film, **SMALL, device="cuda")
    part = read(film, 3, **SMALL, device="cuda")
    check_same(part, Reading(whole.info, whole.clips[3:]), levels=0.2)
    assert opened[1].packets < opened[0].packets - 30


def test_sampled_clips_are_those_of_software(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampled = SMALL | {"clip_ns": NS, "stride_ns": 3 * NS}
    wanted = read(film, **sampled)
    opened = play(monkeypatch)
    check_same(read(film, **sampled, device="cuda"), wanted)
    assert len(opened) == 1


class Stopping(StandIn):
    refuses_at = 111


class Omitting(StandIn):
    without = (97,)


class OmittingLast(StandIn):
    without = (238, 239)


class LosingTimes(StandIn):
    def _copied(self, frame: Any) -> Any:
        copied = super()._copied(frame)
        if self.frames > 60:
            copied.pts = None
        return copied


@pytest.mark.parametrize("kind", [Stopping, Omitting, OmittingLast, LosingTimes])
@pytest.mark.parametrize("threads", [1, 2])
def test_software_goes_on_where_the_hardware_stops_and_nothing_is_lost_or_doubled(
    film: Path,
    soft: Reading,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: type,
    threads: int,
) -> None:
    play(monkeypatch, kind)
    hard = read(film, **SMALL, device="auto", threads=threads)
    check_same(hard, soft)
    assert "decoding goes on in software: " in caplog.text


def test_what_is_lost_of_a_damaged_film_is_told_as_software_tells_it(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(film.read_bytes())
    with av.open(str(film)) as container:
        packet = [each for each in container.demux(video=0) if each.size][130]
        data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    wanted = read(path, **SMALL)
    assert sum(clip.info.decode_errors for clip in wanted.clips)
    play(monkeypatch)
    check_same(read(path, **SMALL, device="cuda"), wanted)


def test_a_hardware_that_does_not_open_leaves_a_note(
    film: Path, soft: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise av.error.ExternalError(0, "no NVDEC capable devices found")

    play(monkeypatch, refuse)
    hard = read(film, **SMALL, device="cuda")
    check_same(hard, soft, levels=0)
    assert hard.info.notes == ("pictures are decoded in software: h264_cuvid: no NVDEC capable devices found",)
    assert read(film, **SMALL, device="auto").info.notes == ()


@pytest.mark.parametrize(
    ("settings", "options", "why"),
    [
        ({"pixel_format": "yuv444p"}, {}, "pixels are yuv444p"),
        ({"interlaced": True}, {}, "pictures are interlaced"),
        ({"color": {"color_trc": 16}}, {}, "pictures are HDR"),
        ({"codec": "mpeg4"}, {}, "no mpeg4 in hardware"),
        ({}, {"key_frames": True}, "key_frames looks at them in another way"),
        ({}, {"shots": True}, "shots looks at them in another way"),
        ({}, {"reuse": True}, "reuse looks at them in another way"),
    ],
)
def test_what_hardware_would_show_otherwise_is_decoded_in_software(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], options: dict[str, Any], why: str
) -> None:
    path = make_video(tmp_path / "a.mp4", 2.0, size=(160, 96), gop=15, **settings)
    wanted = read(path, **SMALL, **options)
    opened = play(monkeypatch)
    hard = read(path, **SMALL, **options, device="cuda")
    assert opened == []
    check_same(hard, wanted, levels=0)
    assert hard.info.notes[-1] == f"pictures are decoded in software: {why}"


def test_another_size_under_way_is_decoded_in_software(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = make_size_change(tmp_path / "change.ts", [(160, 96), (128, 96)])
    wanted = read(path, **SMALL)
    opened = play(monkeypatch)
    check_same(read(path, **SMALL, device="cuda"), wanted)
    assert len(opened) == 1
    assert "size or format may change" in caplog.text


def test_a_film_without_a_second_key_frame_is_not_held_in_memory(
    film: Path, soft: Reading, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("stages.decode.hardware.MOST_HELD_BYTES", 15_000)
    play(monkeypatch)
    check_same(read(film, **SMALL, device="cuda"), soft)
    assert "key frames are too far apart" in caplog.text


def test_a_closed_reader_lets_go_of_the_hardware_at_once(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = play(monkeypatch)
    with make_reader(str(film), 0, ReaderOptions(**SMALL, device="cuda")) as reader:
        reader.open()
        kept = weakref.ref(opened.pop())
        assert kept() is not None
    assert kept() is None


def test_a_failed_gate_is_a_note(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = play(monkeypatch, scale=None)
    hard = read(film, **SMALL, device="cuda")
    assert hard.info.notes == ("pictures are decoded in software: it does not show the same",)
    assert opened == []


def test_a_gpu_that_is_not_there_is_told_in_advance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.devices.gpus.NVIDIA_DRIVER", Path("/nowhere"))
    with pytest.raises(ConfigError, match=r"decode.device is 'cuda': no NVIDIA driver is loaded. Choose"):
        nvdec.check_device("cuda")
    nvdec.check_device("auto")
    assert nvdec.chosen("auto") == ""
