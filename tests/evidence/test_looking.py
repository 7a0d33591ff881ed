"""Where words are in the bundled sample and in a photo: files, JSON and sentences."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from commands.main import main
from evidence.looking import How, looking
from evidence.sights import file_name, sentence, write_sights
from pipeline.config import load_config
from pipeline.errors import SourceError
from stages.maps.phrases import parse_phrases
from tests.evidence.test_explaining import SAMPLE

SETTINGS = ("model.engine=torch", "model.device=cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of two pictures of the sample, a sheep and a cup, for three words of which one is nowhere."""
    into = tmp_path_factory.mktemp("maps")
    with looking(
        load_config(None, SETTINGS), parse_phrases("sheep; cup of coffee|cup; volcano"), how=How(fine=False)
    ) as look:
        names = look.names
        for time_s in (4.5, 9.0):
            sights = look.at(SAMPLE, time_s)
            told = list(write_sights(into / f"{time_s:g}", SAMPLE, sights, names, "panoptic"))
            assert len(told) == 1
        with pytest.raises(SourceError, match="nothing at or after"):
            next(look.at(SAMPLE, 99))
    return into


@pytest.mark.parametrize(("time_s", "word"), [("4.5", "sheep"), ("9", "cup of coffee")])
def test_each_picture_has_its_word_and_no_volcano(folder: Path, time_s: str, word: str) -> None:
    tree = json.loads((folder / time_s / "sample.json").read_text())
    (picture,) = tree["pictures"]
    area = {each["word"]: each["area"] for each in picture["words"]}
    assert max(area, key=lambda each: area[each]) == word
    assert area["volcano"] == 0
    assert picture["unknown"] == pytest.approx(1 - sum(area.values()), abs=1e-3)
    assert "no volcano" in sentence(picture)


def test_the_mask_is_that_of_the_parts_in_the_json(folder: Path) -> None:
    (picture,) = json.loads((folder / "4.5" / "sample.json").read_text())["pictures"]
    mask = cv2.imread(str(folder / "4.5" / picture["mask"]), cv2.IMREAD_UNCHANGED)
    assert mask.dtype == np.uint16
    for part in picture["parts"]:
        own = mask == part["value"]
        assert own.mean() == pytest.approx(part["area"], abs=1e-3)
        rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
        scale = picture["width"] / mask.shape[1]
        wanted = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        np.testing.assert_allclose(part["box"], np.array(wanted) * scale, atol=0.1)
    drawn = cv2.imread(str(folder / "4.5" / picture["picture"]))
    assert drawn.shape[1] == 960
    assert drawn.shape[0] > 540


def test_a_photo_is_looked_at_once_and_its_files_have_no_time(tmp_path: Path) -> None:
    photo = tmp_path / "my photo.png"
    frame = np.zeros((90, 160, 3), np.uint8)
    frame[:, 80:] = 255
    cv2.imwrite(str(photo), frame)
    with looking(load_config(None, SETTINGS), ("sheep",), how=How(fine=False), every_s=2.0) as look:
        (told,) = write_sights(tmp_path / "maps", str(photo), look.at(str(photo), every_s=2.0), ("sheep",), "semantic")
    assert told["picture"] == "my_photo.png"
    assert (told["width"], told["height"]) == (160, 90)


def test_file_names_are_plain() -> None:
    assert file_name("/videos/talk one.mp4") == "talk_one"
    assert file_name("https://host/a/b.mp4?token=1") == "b"
    assert file_name("..") == "picture"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--labels", " ; "], "--labels: no label found"),
        (["--labels", "dog", "--every", "0"], "--every 0: expected more than 0 seconds"),
        (["--labels", "dog", "--at", "1", "--every", "2"], "not allowed with argument"),
        (["--labels", "dog", "-o", ""], "-o: has no name; expected a folder"),
        (["--labels", "dog", "--as", "boxes"], "invalid choice: 'boxes'"),
        ([], "nothing to look for; expected --labels 'dog; grass', or --like photo.jpg"),
        (["--like", "nowhere.jpg"], "--like nowhere.jpg: there is no such file"),
        (["--like", "a.jpg:0.5,0,0.1,1"], "--like 'a.jpg:0.5,0,0.1,1': expected a box x0,y0,x1,y1"),
    ],
)
def test_wrong_options_are_refused(given: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["where", SAMPLE, *given]) == 2
    assert message in capsys.readouterr().err


def test_a_sheep_is_found_by_another_picture_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = f"{SAMPLE}@7:0.3,0.1,0.85,0.9"
    given = ["where", SAMPLE, "--like", example, "--at", "4.5", "--quick", "--engine", "torch", "-o", str(tmp_path)]
    assert main(given) == 0
    told = json.loads(capsys.readouterr().out)
    (part,) = told["parts"]
    assert part["word"] == "like sample.mp4"
    x0, y0, x1, y1 = np.array(part["box"]) / [480, 270, 480, 270]
    assert x0 < 0.15 < 0.4 < x1 < 0.8, "the sheep stands left of the middle"
    assert y0 < 0.3 < 0.6 < y1


def test_the_command_prints_a_line_for_each_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["where", SAMPLE, "--labels", "sheep", "--at", "4.5", "--quick", "--engine", "torch", "-o", str(tmp_path)]
    assert main(given) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["words"][0]["area"] > 0.1
    assert {each.name for each in tmp_path.iterdir()} == {told["picture"], told["mask"], "sample.json"}
