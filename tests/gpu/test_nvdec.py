"""Pictures decoded by NVDEC, against software."""

import logging
from pathlib import Path
from typing import Any

import pytest

from stages.decode import gate, nvdec
from stages.decode.hardware import HardwareDecoder
from tests.media import Sound, make_video
from tests.stages.decode.reading import check_same, read

pytestmark = [pytest.mark.gpu, pytest.mark.slow]


@pytest.mark.parametrize("codec", list(nvdec.DECODERS))
def test_the_gate_lets_it_through(gpu: str, codec: str) -> None:
    judged = gate.judge(codec, gpu)
    logging.getLogger("percept.decode").info("%s", judged)
    assert judged.scale is not None, judged.problem
    assert judged.levels[str(judged.scale)] <= gate.MOST_LEVELS


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("b_frames.mp4", {"b_frames": 3, "audio": Sound()}),
        ("open_gop.mkv", {"options": {"x264-params": "open-gop=1:bframes=3", "crf": "20"}}),
        ("vfr.mp4", {"vfr": True}),
        ("turned.mp4", {"rotation": 90}),
        ("full_range.mp4", {"pixel_format": "yuvj420p"}),
        ("hevc.mp4", {"codec": "libx265"}),
        ("av1.mp4", {"codec": "libsvtav1"}),
        ("h264.ts", {}),
    ],
)
@pytest.mark.parametrize("start", [0, 2])
def test_clips_and_times_are_those_of_software(
    gpu: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, settings: dict[str, Any], start: int
) -> None:
    path = make_video(tmp_path / name, 8.0, size=(1280, 720), gop=25, **settings)
    soft = read(path, start)
    ended, end = list[Exception](), HardwareDecoder._end
    monkeypatch.setattr(HardwareDecoder, "_end", lambda self, error: (ended.append(error), end(self, error)))
    hard = read(path, start, device=gpu)
    assert ended == [], "the hardware decodes all of it"
    check_same(hard, soft, levels=2 * gate.MOST_LEVELS)
