"""A clip as a stage sees it."""

import pytest

from pipeline.clip import Clip, ClipInfo

CLIP = Clip(ClipInfo("talk.mp4", 0, 0, 0, 1), {"frames": "pictures"}, {"audio": "no_stream"})


def test_an_array_is_found_by_its_name() -> None:
    assert CLIP["frames"] == CLIP.get("frames") == "pictures"


@pytest.mark.parametrize(("name", "reason"), [("audio", "no_stream"), ("flow", "never settled")])
def test_an_array_that_is_absent_is_an_error_that_gives_the_reason(name: str, reason: str) -> None:
    assert CLIP.get(name) is None
    with pytest.raises(KeyError, match=f"{name} is absent: {reason}"):
        CLIP[name]
