"""Paced sources at real-time speed, and repeated sources."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import media, paced
from stages.decode.reader import ReaderOptions, make_reader

OPTIONS = ReaderOptions(short_side_px=32, long_side_px=64)


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "a.mp4").symlink_to(media.SAMPLE)
    return str(tmp_path / "a.mp4")


def test_the_first_clip_arrives_at_once_and_the_next_when_it_is_due(source: str) -> None:
    alive: list[int] = []
    with paced.make_paced_reader(source, 3, OPTIONS) as reader:
        reader.alive = lambda: alive.append(1)
        reader.open()
        clips = reader.clips()
        first: Any = next(clips)
        assert first.info.index == 0
        go_ns = time.monotonic_ns() - 1_500_000_000
        timer = threading.Timer(0.2, Path(source).with_name(paced.GO).write_text, [str(go_ns)])
        timer.start()
        second: Any = next(clips)
        late_ns = time.monotonic_ns() - paced.due_ns(go_ns, 3, 2_000_000_000, second.info.end_ns - first.info.end_ns)
        assert 0 <= late_ns < 2_000_000_000
    assert alive, "a waiting reader reports that it is alive"


def test_a_short_source_is_repeated_with_continuing_times(source: str) -> None:
    Path(source).with_name(paced.CLIPS).write_text("20")
    with make_reader(source, 0, OPTIONS) as plain, paced.make_repeating_reader(source, 0, OPTIONS) as reader:
        plain.open()
        reader.open()
        wanted: list[Any] = list(plain.clips())
        got: list[Any] = list(reader.clips())
        assert [clip.info.index for clip in got] == list(range(20))
        assert [clip.info.start_ns for clip in got] == [2_000_000_000 * index for index in range(20)]
        for clip in got:
            times = clip.arrays["frame_times_ns"]
            assert clip.info.start_ns <= times[0] <= times[-1] < clip.info.end_ns
            np.testing.assert_array_equal(clip.arrays["frames"], wanted[clip.info.index % 8].arrays["frames"])
