"""The gate of hardware decoders, with stand-ins: how far pictures are resized in hardware, and what is remembered."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation

from stages.decode import gate, nvdec
from tests.stages.decode.stand_in import StandIn


@pytest.fixture(scope="module")
def film() -> bytes:
    return gate.film("h264").getvalue()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, film: bytes) -> list[Any]:
    """The decoders that are opened, with a scaling that the test may change."""
    from io import BytesIO

    made: list[Any] = [Interpolation.BICUBIC]

    def open_one(like: Any, device: str, size: Any) -> Any:
        if isinstance(made[0], Exception):
            raise made[0]
        made.append(StandIn(like, size, made[0]))
        return made[-1]

    monkeypatch.setattr(nvdec, "opened", open_one)
    monkeypatch.setattr(gate, "film", lambda codec: BytesIO(film))
    monkeypatch.setenv("PERCEPT_CACHE", str(tmp_path))
    gate.verdict.cache_clear()
    yield made
    gate.verdict.cache_clear()


@pytest.mark.parametrize(
    ("scaling", "scale"), [(Interpolation.BICUBIC, 1), (Interpolation.BILINEAR, 2), (Interpolation.POINT, 0)]
)
def test_the_hardware_resizes_as_far_as_pictures_stay_the_same(
    opened: list[Any], scaling: Interpolation, scale: int
) -> None:
    opened[0] = scaling
    judged = gate.judge("h264", "cuda")
    assert judged.scale == scale
    assert judged.levels[str(scale)] <= gate.MOST_LEVELS
    assert all(level > gate.MOST_LEVELS for name, level in judged.levels.items() if name != str(scale))


def test_other_times_or_pictures_are_never_let_through(opened: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandIn, "without", (3,))
    assert gate.judge("h264", "cuda").problem == "h264_cuvid did not give the same times as software"
    monkeypatch.setattr(StandIn, "without", ())
    monkeypatch.setattr(StandIn, "_copied", lambda self, frame: grey(frame))
    assert gate.judge("h264", "cuda").scale is None


def grey(frame: Any) -> Any:
    made = av.VideoFrame.from_ndarray(np.full((frame.height, frame.width, 3), 128, np.uint8)).reformat(format="nv12")
    made.pts = frame.pts
    return made


def test_a_verdict_is_kept_and_a_decoder_that_does_not_open_is_asked_again(opened: list[Any]) -> None:
    opened[0] = av.error.ExternalError(0, "libnvcuvid.so.1 is missing")
    refused = gate.verdict("h264", "cuda")
    assert (refused.scale, refused.problem) == (None, "h264_cuvid: libnvcuvid.so.1 is missing")
    opened[0] = Interpolation.BICUBIC
    gate.verdict.cache_clear()
    assert gate.verdict("h264", "cuda").scale == 1
    count = len(opened)
    gate.verdict.cache_clear()
    assert gate.verdict("h264", "cuda").scale == 1
    assert len(opened) == count, "another process decodes nothing again"


@pytest.mark.parametrize("codec", ["hevc", "av1"])
def test_a_film_of_every_codec_can_be_made(codec: str) -> None:
    with av.open(gate.film(codec)) as container:
        times = [frame.pts for frame in container.decode(video=0)]
        assert len(times) == gate.FRAMES
        assert nvdec.codec_of(container.streams.video[0].codec_context) == codec


@pytest.mark.parametrize(
    ("scale", "source", "size"), [(1, (1280, 720), (398, 224)), (2, (1280, 720), (796, 448)), (2, (640, 360), None)]
)
def test_pictures_are_never_made_larger(scale: int, source: nvdec.Size, size: nvdec.Size | None) -> None:
    assert gate.Verdict(scale).size((398, 224), source) == size
