"""`percept labels`: labels are checked, and templates weighted, before a run."""

import json
from pathlib import Path

import pytest

from commands.labels import ACTIONS
from commands.main import main
from engines.models.checkpoint import read_model
from engines.models.model_file import write_model
from stages.words.word import BUNDLED_MODEL

SAMPLE = str(BUNDLED_MODEL.parent / "sample.mp4")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The bundled model with a small background vocabulary, which is embedded quickly."""
    folder = tmp_path_factory.mktemp("small")
    words = (BUNDLED_MODEL / "background.txt").read_text().splitlines()
    (folder / "background.txt").write_text("\n".join(words[::20]))
    write_model(read_model("percept-mini"), folder)
    return str(folder)


def test_both_actions_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["labels"]) == 0
    assert capsys.readouterr().out.strip() == ACTIONS.usage()
    assert main(["labels", "lnt"]) == 2
    assert "did you mean lint?" in capsys.readouterr().err


def test_a_list_without_problems_has_no_findings(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["labels", "lint", "dog, rain", "--model", model, "--modalities", "image", "--strict", "-q"]) == 0
    assert capsys.readouterr().out == "2 labels, percept-mini@3: no findings\n"


def test_findings_have_remedies_and_strict_fails(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["labels", "lint", "car, automobile, dog, Dog", "--model", model, "--modalities", "image", "-q"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "given twice: 1\n  dog / Dog" in out
    assert "write 'car|automobile'" in out
    assert "4 labels, percept-mini@3: 2 findings" in out
    assert main([*arguments, "--strict"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lint", "dog", "--labels", "cat"], "--labels: not used here"),
        (["lint", "@nowhere.txt"], "@nowhere.txt: No such file"),
        (["lint"], "required: WORDS"),
        (["weigh"], "required: CLIP"),
        (["weigh", SAMPLE, "-o", "weights.txt"], "a name that ends in .json"),
        (["weigh", SAMPLE, "--clips", "0"], "expected at least 1"),
        (["weigh", SAMPLE, "--templates", "nowhere.txt"], "--templates nowhere.txt: No such file"),
    ],
)
def test_wrong_arguments_are_reported(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["labels", *arguments]) in (2, 3)
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_weights_from_unlabelled_clips_are_written_and_used_by_a_run(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.txt").write_text("a photo of {}\nthe sound of {}\ninvoice number 4711 regarding {}\n")
    common = ["--model", model, "--templates", str(tmp_path / "t.txt"), "--engine", "torch"]
    common += ["--modalities", "image,audio"]
    assert main(["labels", "weigh", str(tmp_path / "gone.mp4"), *common]) == 3
    assert "gone.mp4" in capsys.readouterr().err
    output = tmp_path / "w.json"
    assert main(["labels", "weigh", SAMPLE, str(tmp_path / "gone.mp4"), *common, "-o", str(output)]) == 0
    printed = capsys.readouterr()
    assert "skipped: " in printed.err
    assert "only 8 clips" in printed.err
    assert f"--templates {output}" in printed.out
    written = json.loads(output.read_text())
    assert written["model"] == "percept-mini@3"
    best = {modality: rows[0]["template"] for modality, rows in written["templates"].items()}
    assert best == {"image": "a photo of {}", "audio": "the sound of {}"}
    assert all(rows[-1]["template"].startswith("invoice") for rows in written["templates"].values())
    arguments = [
        "run",
        SAMPLE,
        "--model",
        model,
        "--templates",
        str(output),
        "--labels",
        "dog, rain",
        "--engine",
        "torch",
        "--end",
        "4",
    ]
    assert main([*arguments, "-o", str(tmp_path / "r.jsonl"), "-q"]) == 0
    assert json.loads((tmp_path / "r.jsonl").read_text().splitlines()[0])["labels"][0]["label"] == "dog"
    assert main([*arguments, "-o", str(tmp_path / "r.jsonl"), "-q", "--resume"]) == 0
    output.write_text(output.read_text().replace("photo", "drawing"))
    assert main([*arguments, "-o", str(tmp_path / "r.jsonl"), "-q", "--resume"]) == 2
