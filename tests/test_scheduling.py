import os
from pathlib import Path

import pytest

from tests.media import make_video


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's processes become real-time")
def test_writing_a_film_in_av1_leaves_the_tests_their_scheduling(tmp_path: Path) -> None:
    before = os.sched_getscheduler(0)
    make_video(tmp_path / "a.mp4", seconds=0.2, codec="libsvtav1", gop=1)
    assert os.sched_getscheduler(0) == before
