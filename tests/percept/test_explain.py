"""`percept.explain` gives what the command prints, and raises what the command says."""

import pytest

import percept
from tests.evidence.test_explaining import SAMPLE

FAST = {"model.engine": "torch", "model.device": "cpu"}


def test_a_moment_is_explained_with_its_picture() -> None:
    why = percept.explain(SAMPLE, 4.5, "rain", settings=FAST)
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
