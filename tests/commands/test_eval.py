"""`percept eval` from end to end, with the bundled model and a random fusion head, on the bundled sample."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from commands.eval import main, make_parser
from pipeline.errors import ConfigError, SourceError
from stages.words.word import BUNDLED_MODEL
from tests.fusion_heads import add_head, make_head

SAMPLE = BUNDLED_MODEL.parent / "sample.mp4"
LABELS = "dog, sheep, rain, cup of coffee, siren, <b>bold</b>"
ROWS = (("dog", 0, 2), ("sheep", 4, 6), ("rain", 6, 8), ("cup_of_coffee", 8, 10))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Done(NamedTuple):
    code: int
    out: str
    report: Path
    arguments: list[str]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """An evaluation of four parts of the sample, a broken file, and an example with another label."""
    root = tmp_path_factory.mktemp("eval")
    model = root / "model"
    shutil.copytree(BUNDLED_MODEL, model)
    add_head(model, make_head(gate=0.2, image=384, audio=384), "dog\nrain\n")
    (root / "broken <file>.mp4").write_bytes(b"no video at all")
    with (root / "clips.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "label", "start_s", "end_s"])
        table.writerows((SAMPLE, *row) for row in ROWS)
        table.writerows([("broken <file>.mp4", "dog", "", ""), (SAMPLE, "another label", 0, 2)])
    arguments = [
        str(root / "clips.csv"),
        "--model",
        str(model),
        "--labels",
        LABELS,
        "--engine",
        "torch",
        "--modalities",
        "image,audio",
    ]
    arguments += ["-o", str(root / "report"), "--features", str(root / "features"), "-q"]
    arguments += ["--set", f"model.cache_directory={json.dumps(str(root / 'cache'))}"]
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", lambda *words: printed.append(" ".join(map(str, words))))
        code = main(arguments)
    return Done(code, "\n".join(printed), root / "report", arguments)


@pytest.fixture(scope="module")
def metrics(done: Done) -> Any:
    return json.loads((done.report / "metrics.json").read_text())


def test_single_modalities_all_modalities_and_the_head_are_reported_with_intervals(done: Done, metrics: Any) -> None:
    assert [view["view"] for view in metrics["views"]][-2:] == ["pooled", "fused"]
    assert {"image", "audio"} <= {view["view"] for view in metrics["views"]}
    assert metrics["view"] == "fused"
    for view in metrics["views"]:
        top1, top5 = view["top1"], view["top5"]
        assert top1["low"] <= top1["share"] <= top1["high"]
        assert top1["hits"] <= top5["hits"] <= top5["count"] == view["count"]
    assert metrics["views"][-1]["count"] == 4
    assert re.search(r"all modalities, with the fusion head +4 +\d+\.\d% \[\d+\.\d, \d+\.\d\]", done.out)
    assert "calibration error of probability" in done.out


def test_a_broken_file_costs_only_itself_and_is_reported(done: Done, metrics: Any) -> None:
    assert done.code == 1
    assert [failure["label"] for failure in metrics["failures"]] == ["dog"]
    assert "Invalid data" in metrics["failures"][0]["reason"]
    assert "1 example failed" in done.out


def test_examples_of_other_labels_are_skipped_and_reported(metrics: Any) -> None:
    assert any("1 example skipped" in note and "another label" in note for note in metrics["about"]["notes"])


def test_base_labels_are_those_of_the_head(metrics: Any) -> None:
    assert set(metrics["about"]["novel"]) == {"sheep", "cup of coffee", "siren", "<b>bold</b>"}
    assert {of["label"]: of["side"] for of in metrics["labels"]} == {
        "dog": "base",
        "rain": "base",
        "sheep": "novel",
        "cup of coffee": "novel",
    }
    side = metrics["sides"][-1]
    assert (side["base"]["count"], side["novel"]["count"]) == (2, 2)
    assert side["base"]["hits"] >= side["base_among_all"]["hits"], "fewer labels to choose from cannot be harder"


def test_predictions_have_a_row_for_every_example(done: Done, metrics: Any) -> None:
    with (done.report / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["dog", "sheep", "rain", "cup of coffee", "dog"]
    assert rows[-1]["error"]
    assert not rows[-1]["answer"]
    assert sum(row["right"] == "1" for row in rows) == metrics["views"][-1]["top1"]["hits"]
    for row in rows[:-1]:
        assert (row["fused_rank"] == "1") == (row["answer"] == row["label"]) == (row["right"] == "1")
        assert 0 <= float(row["probability"]) <= 1
        assert row["top5"].split("; ")[0] == row["answer"]


class Links(HTMLParser):
    """Everything that a page would fetch, and every element that is not closed."""

    VOID = ("meta", "img", "br", "path", "circle", "rect", "i", "u")

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe", "object"), tag
        self.fetched += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_self_contained(done: Done) -> None:
    text = (done.report / "report.html").read_text()
    links = Links()
    links.feed(text)
    assert links.open == []
    assert len(links.fetched) == 1
    assert links.fetched[0].startswith("data:image/png;base64,")
    assert "url(" not in text
    assert "@import" not in text
    assert "<b>bold</b>" not in text
    assert "broken &lt;file&gt;.mp4" in text
    assert "percept eval" in text
    for part in ("By modality", "Base and novel labels", "Effect of combining modalities", "by label", "Failed"):
        assert part in text


def test_an_existing_report_is_not_replaced_without_overwrite(done: Done) -> None:
    with pytest.raises(ConfigError, match=r"already contains report\.html, .* Choose another folder, or use --overw"):
        main(done.arguments)


def test_the_middle_picture_alone_can_be_used(done: Done, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [word for word in done.arguments if word not in ("-o", str(done.report))]
    assert main([*arguments, "--middle-picture"]) == 1
    out = capsys.readouterr().out
    assert "sound alone" not in out
    assert re.search(r"picture alone +4 ", out)


def test_no_readable_example_is_an_error(done: Done, tmp_path: Path) -> None:
    (tmp_path / "rain").mkdir()
    (tmp_path / "rain" / "a.mp4").write_bytes(b"no video at all")
    with pytest.raises(SourceError, match=r"none of 1 examples could be scored; the first: .*a\.mp4: Invalid data"):
        main([str(tmp_path), *done.arguments[1:3], "--engine", "torch", "-q", *done.arguments[-2:]])


def test_templates_that_are_weighted_during_a_run_are_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--templates zpe: .* percept labels weigh"):
        main([str(tmp_path), "--templates", "zpe"])


def test_the_help_lists_layouts_and_exit_codes() -> None:
    text = " ".join(make_parser().format_help().split())
    assert "csv, ucf101, hmdb51, esc50, ave, vggsound, kinetics, folder" in text
    assert "1 finished but some examples failed" in text
