"""Phrases in the bundled sample and in a photo, from the command to the picture."""

import json
from pathlib import Path

import cv2
import pytest

from commands.main import main
from evidence.finding.drawn import found_picture
from evidence.finding.finder import finding
from evidence.finding.told import facts, lines
from pipeline.config import load_config
from pipeline.errors import SourceError
from tests.evidence.test_explaining import SAMPLE

SETTINGS = ("model.engine=torch", "model.device=cpu")


def test_a_sheep_is_found_on_the_grass_and_no_volcano() -> None:
    with finding(load_config(None, SETTINGS)) as finder:
        (found,) = finder.at(SAMPLE, finder.judge("a white sheep on the grass"), 5.5)
        (absent,) = finder.at(SAMPLE, finder.judge("a red bus left of a volcano"), 5.5)
        with pytest.raises(SourceError, match="has no picture at 99 s; it ends at 16 s"):
            next(finder.at(SAMPLE, finder.judge("a sheep"), 99))
    assert found.is_there
    assert found.answers[0].track is None, "its number in a run is not known"
    x0, y0, x1, y1 = found.answers[0].box
    assert 80 < x0 < 180 < 240 < x1 < 320
    assert y0 < 60 < 200 < y1
    told = facts(found, 1)["answers"][0]
    assert [part["text"] for part in told["parts"]] == ["white sheep", "white", "grass", "on"]
    assert all(0 <= part["score"] <= 1 for part in told["parts"])
    assert found.phrase.text[slice(*told["parts"][2]["span"])] == "grass"
    assert lines(found, 3)[0].startswith("0:05.5  white sheep 0.")
    assert not absent.is_there
    assert "not there: red bus" in lines(absent, 3)[0]
    assert found_picture(found, 3).shape[1] == found_picture(absent, 3).shape[1] == 960


def test_the_command_writes_the_picture_of_a_photo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "sheep.png"
    capture = cv2.VideoCapture(SAMPLE)
    capture.set(cv2.CAP_PROP_POS_MSEC, 5500)
    cv2.imwrite(str(photo), capture.read()[1])
    given = ["find", str(photo), "the running sheep", "--quick", "--engine", "torch", "-o", str(tmp_path / "out.png")]
    assert main(given) == 0
    (told,) = map(json.loads, capsys.readouterr().out.splitlines())
    running = next(part for part in told["answers"][0]["parts"] if part["kind"] == "motion")
    assert running["score"] is None
    assert "judged by the picture tower" in running["note"]
    assert cv2.imread(str(tmp_path / "out.png")).shape[1] == 960


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["the"], "names nothing to find"),
        (["dog", "--every", "0"], "--every 0: expected more than 0 seconds"),
        (["dog", "--most", "0"], "--most 0: expected at least 1"),
        (["dog", "-o", "found.jpg"], "-o found.jpg: expected a name that ends in .png"),
    ],
)
def test_wrong_options_are_refused(given: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["find", SAMPLE, *given]) == 2
    assert message in capsys.readouterr().err
