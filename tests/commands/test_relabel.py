"""`percept relabel` gives what a fresh run with the same words gives."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from archive.shard import facts_of, names_of_vectors, read_table
from commands.main import main
from tests.commands.test_label import SAMPLE, label

OLD, NEW = "dog, music", "animal > sheep, animal > dog, cup of coffee|mug, rain, birds singing, baseball"
CUT = ("--start", "3", "--end", "9", "-q")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`old` and `new`: the same seconds of the sample, labelled with other words."""
    folder = tmp_path_factory.mktemp("relabel")
    (folder / "videos").mkdir()
    shutil.copy(SAMPLE, folder / "videos" / "a.mp4")
    for name, words in (("old", OLD), ("new", NEW)):
        done = label(str(folder / "videos"), "-o", str(folder / name), "--labels", words, *CUT)
        assert done.returncode == 0, done.stderr
    (folder / "videos" / "a.mp4").unlink()
    return folder


def rows_of(folder: Path) -> Any:
    (path,) = folder.rglob("*.parquet")
    return facts_of(str(path), path.name), read_table(str(path))


@pytest.mark.slow
def test_relabelled_clips_are_those_of_a_fresh_run(archives: Path, tmp_path: Path) -> None:
    (archives / "words.txt").write_text(
        "animal\n  sheep\n  dog\ncup of coffee|mug\nrain\nbirds singing\nbaseball\n", encoding="utf-8"
    )
    words = str(archives / "words.txt")
    assert main(["relabel", str(archives / "old"), "-o", str(tmp_path), "--labels", words, "-q"]) == 0
    (facts, found), (fresh_facts, fresh) = rows_of(tmp_path), rows_of(archives / "new")
    assert (facts.labels, facts.words) == (fresh_facts.labels, fresh_facts.words)
    assert "fused_image" in names_of_vectors(found), "the fusion head counts"
    assert found.num_rows == fresh.num_rows >= 3
    for one, other in zip(found.to_pylist(), fresh.to_pylist(), strict=True):
        by_label = {row["label"]: row for row in other["labels"]}
        assert {row["label"] for row in one["labels"]} == set(by_label)
        for row in one["labels"]:
            its = by_label[row["label"]]
            assert row["probability"] == pytest.approx(its["probability"], abs=1e-3)
            assert row["share"] == pytest.approx(its["share"], abs=1e-3)
            assert row["near"] == its["near"]
            for name, evidence in row["evidence"].items():
                assert (evidence is None) == (its["evidence"][name] is None)
                for key, value in (evidence or {}).items():
                    assert value == pytest.approx(its["evidence"][name][key], abs=1e-3), (name, key)
        assert (one["category"] or {}).get("path") == (other["category"] or {}).get("path")
        assert one["open_set"] == other["open_set"]
    assert any(row["category"] for row in found.to_pylist())


@pytest.mark.slow
def test_in_place_once_and_with_fewer_labels(
    archives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(archives / "old", tmp_path / "labels")
    asked = ["relabel", str(tmp_path / "labels"), "--labels", "rain, sheep, music", "--top-k", "2"]
    beside = next((tmp_path / "labels").rglob("*.parquet")).with_suffix(".json")
    beside.write_text("old words")
    assert main(asked) == 0
    assert '"sheep"' in beside.read_text()
    assert "its fusion head counts" in capsys.readouterr().err
    facts, table = rows_of(tmp_path / "labels")
    assert facts.labels == ("rain", "sheep", "music")
    assert {len(row) for row in table["labels"].to_pylist()} == {2}
    assert main(asked) == 0
    assert "relabelled 0 of 1 files" in capsys.readouterr().err


@pytest.mark.slow
def test_another_model_and_templates_of_a_run_are_refused(
    archives: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["relabel", str(archives / "old"), "--labels", "rain", "--templates", "zpe"]) == 2
    assert "weighs templates on the clips of a run" in capsys.readouterr().err
    assert main(["relabel", str(tmp_path), "--labels", "rain"]) == 2
    assert main(["relabel", str(archives / "old")]) == 2, "the old words are not replaced by the default ones"
    assert "has no file of an archive" in capsys.readouterr().err
