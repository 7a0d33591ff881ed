"""`percept.explain` gives what the command prints, and raises what the command says."""

from typing import Any

import pytest

import percept
from tests.evidence.test_explaining import SAMPLE

FAST = {"model.engine": "torch", "model.device": "cpu"}


def record(source: str = SAMPLE, **more: Any) -> percept.ClipRecord:
    parts = {"labels": [percept.Label("rain", 0.77, 1.0)]}
    given = {"source": source, "epoch": 0, "clip": 2, "start_s": 4.0, "end_s": 6.0, "parts": parts}
    return percept.ClipRecord(**given | more)


def test_a_clip_is_explained_with_its_picture() -> None:
    why = record().explain(settings=FAST)
    assert (why.label, why.start_s, why.end_s) == ("rain", 4.0, 6.0)
    assert str(why).startswith("rain 0.77 at 4.0–6.0 s: 100 % sound")
    assert sum(why.shares.values()) == pytest.approx(1.0, abs=1e-5)
    assert set(why.no_map) == {"image", "motion"}
    assert len(why.spots["audio"]) == 2
    assert why._repr_png_() == why.picture
    assert why.picture.startswith(b"\x89PNG")


def test_a_source_that_is_not_there_is_an_error_of_python() -> None:
    with pytest.raises(percept.SourceError, match=r"nowhere\.mp4"):
        percept.explain("nowhere.mp4", 1.0, "rain", settings=FAST)


def test_a_clip_that_cannot_be_explained_says_why() -> None:
    with pytest.raises(percept.SourceError, match=r"gone\.mp4: is not here any more. Say where the file is"):
        record("gone.mp4").explain()
    with pytest.raises(percept.ConfigError, match="has no label that could be explained"):
        record(parts={}).explain()
    with pytest.raises(percept.ConfigError, match=r"was labelled by other@1; give it: explain\(model="):
        record(model="other@1").explain()
