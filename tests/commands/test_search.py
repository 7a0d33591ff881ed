"""`percept search` in an archive of the sample."""

import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from archive.shard import read_table
from commands.main import main
from commands.search import cells
from tests.archive.made import random_archive
from tests.conftest import ROOT

SAMPLE = ROOT / "engines" / "bundled" / "sample.mp4"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    (folder / "videos").mkdir()
    shutil.copy(SAMPLE, folder / "videos" / "a.mp4")
    command = [
        sys.executable,
        "-P",
        "-m",
        "commands.main",
        "label",
        str(folder / "videos"),
        "-o",
        str(folder / "labels"),
    ]
    more = ["--labels", "dog, music", "--set", "store.thumbnail_px=60"]
    run = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return folder / "labels"


def hits(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main(["search", *arguments, "-q"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow
def test_words_give_the_probabilities_of_the_run(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = read_table(str(archive / "videos" / "a.mp4.parquet")).to_pylist()
    labelled = {
        row["start_s"]: label["probability"] for row in rows for label in row["labels"] if label["label"] == "dog"
    }
    found = hits(capsys, str(archive), "dog")
    assert found
    for hit in found:
        assert hit["probability"] == pytest.approx(labelled[hit["best_s"]], abs=1e-3)
    assert found[0]["probability"] == pytest.approx(max(labelled.values()), abs=1e-3)
    times = sorted((hit["start_s"], hit["end_s"]) for hit in found)
    assert all(one[1] <= other[0] for one, other in pairwise(times))
    assert found[0]["labels"][0]["label"] in ("dog", "music")
    (only,) = hits(capsys, str(archive), "dog", "--where", "start_s = 4 and name = 'videos/a.mp4'")
    assert (only["start_s"], only["end_s"]) == (4.0, 6.0)
    assert only["probability"] == pytest.approx(labelled[4.0], abs=1e-3)


@pytest.mark.slow
def test_examples_and_excerpts_find_themselves(
    archive: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stored = hits(capsys, str(archive), "--like", "videos/a.mp4@5s", "--top", "1")
    assert (stored[0]["best_s"], round(stored[0]["similarity"], 2)) == (4.0, 1.0)
    seen = hits(capsys, str(archive), "--like", f"{SAMPLE}@6s", "--top", "1")
    assert (seen[0]["best_s"], round(seen[0]["similarity"], 2)) == (6.0, 1.0)
    (part,) = hits(capsys, str(archive), "--excerpt", f"{SAMPLE}@4.5s-8.5s", "--top", "1")
    assert (part["start_s"], part["end_s"]) == (4.5, 8.5)
    assert {"image", "audio"} <= set(part["by_modality"])
    mixed = hits(capsys, str(archive), "music", "--like", "videos/a.mp4@5s", "--minus", "dog")
    assert mixed[0]["similarity"] < 1
    page = tmp_path / "hits.html"
    crossed = hits(capsys, str(archive), "--like-sound", "videos/a.mp4@0s", "--modality", "image", "--html", str(page))
    assert set(crossed[0]["by_modality"]) == {"image"}
    assert "data:image/jpeg;base64," in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nowhere", "dog"], "no such folder"),
        (["."], "nothing to search for"),
        ([".", "dog", "--top", "0"], "expected at least 1"),
        ([".", "dog", "--modality", "smell"], "expected one of image, motion, audio"),
        ([".", "--like", "a", "--like-sound", "b"], "expected one of them"),
        ([".", "--excerpt", "a", "--aspect", "place"], "cannot be combined"),
        ([".", "dog", "--play", "30"], "from 1 to 20"),
        ([".", "dog", "--html", "."], "expected a file"),
        ([".", "dog"], "has no clips to search"),
    ],
)
def test_what_is_wrong_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["search", *arguments]) == 2
    assert problem in capsys.readouterr().err


def test_probabilities_of_other_settings_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random_archive(tmp_path, size=384)
    assert main(["search", str(tmp_path), "dog"]) == 2
    assert "other prompt templates" in capsys.readouterr().err
    assert main(["search", str(tmp_path), "--like", "videos/0/clip1.mp4@4s", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["best_s"] == 4.0


@pytest.mark.slow
def test_only_the_verbose_hear_of_words_that_are_encoded(
    archive: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, option in enumerate(([], ["-v"])):
        monkeypatch.setenv("PERCEPT_CACHE", str(tmp_path / str(number)))
        assert main(["search", str(archive), "a word that no cache has", *option]) == 0
        assert ("encoding words" in capsys.readouterr().err) == bool(option)


def test_a_row_of_the_table_shows_no_control_characters() -> None:
    from archive.search.hits import Hit

    hit = Hit("s", "a\x1b[2Jb.mp4", 62, 66.2, 64, "probability", 0.931, 2, {}, (("dog\x07", 0.5),))
    assert cells(1, hit) == ("1", "93 %", "1:02–1:06", "a?[2Jb.mp4", "dog? 50 %")
