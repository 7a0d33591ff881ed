"""`percept.find` gives what the command prints."""

import percept
from tests.evidence.test_explaining import SAMPLE


def test_a_phrase_is_found_with_its_picture() -> None:
    settings = {"model.engine": "torch", "model.device": "cpu"}
    found = percept.find(SAMPLE, "a white sheep", at=5.5, quick=True, settings=settings)
    assert found.is_there
    assert [part.text for part in found.boxes[0].parts] == ["white sheep", "white"]
    assert found.tracks == ()
    assert str(found).startswith("a white sheep: 0.")
    assert found._repr_png_().startswith(b"\x89PNG")
