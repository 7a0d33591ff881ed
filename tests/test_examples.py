"""Every script and the notebook of examples/ are run, on the bundled sample or on records that the test writes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.result import ClipRecord, Label, encode_json
from tests.conftest import ROOT

FOLDER = ROOT / "examples"
SAMPLE = ROOT / "engines" / "bundled" / "sample.mp4"
NOTEBOOK = FOLDER / "first_look.ipynb"
LONGEST = 40
"""Lines of an example."""


def run(script: str, *arguments: str | Path) -> list[str]:
    """The lines that an example prints."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / script), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_there_are_five_short_scripts() -> None:
    scripts = sorted(FOLDER.glob("*.py"))
    assert [path.name for path in scripts] == [
        "days.py", "label_table.py", "moments.py", "paths.py", "seen_or_heard.py",
    ]  # fmt: skip
    assert all(len(path.read_text(encoding="utf-8").splitlines()) < LONGEST for path in scripts)


@pytest.mark.slow
def test_a_table_of_labels() -> None:
    head, *rows = run("label_table.py", SAMPLE, "dog|hound", "sheep", "rain")
    assert head.split() == ["time", "dog", "sheep", "rain"]
    assert [row.split()[0] for row in rows] == [f"{2 * clip:.1f}" for clip in range(8)]
    seconds_of_sheep = [float(row.split()[0]) for row in rows if int(row.split()[2].rstrip("%")) >= 50]
    assert seconds_of_sheep == [4.0, 6.0]


@pytest.mark.slow
def test_the_moments_of_a_word_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    video = shutil.copy(SAMPLE, tmp_path / "below" / "walk.mp4")
    assert run("moments.py", "sheep", tmp_path) == [f"{video}  4.0–8.0 s"]


@pytest.mark.slow
def test_what_is_seen_and_what_is_heard() -> None:
    lines = run("seen_or_heard.py", SAMPLE, "sheep", "rain", "thunder")
    verdicts = {line.split()[0]: line.rpartition("%")[2].strip() for line in lines}
    assert verdicts == {"sheep": "seen", "rain": "heard", "thunder": "neither"}


@pytest.mark.slow
def test_the_paths_of_objects() -> None:
    """The sheep walks to the right, then the ball bounces to the left: docs/sample.md."""
    lines = {line.split()[1]: line for line in run("paths.py", SAMPLE, "sheep", "baseball")}
    lefts = [[int(part.split("%")[0]) for part in lines[name].split("(")[1:]] for name in ("sheep", "ball")]
    assert lefts[0][0] < lefts[0][1]
    assert lefts[1][0] > lefts[1][1]


def test_a_csv_for_each_day(tmp_path: Path) -> None:
    """A recording that begins two seconds before midnight."""
    lines = [
        ClipRecord(
            source="2026-03-01_23-59-58.mp4", epoch=0, clip=clip, start_s=2.0 * clip, end_s=2.0 * clip + 2,
            parts={"labels": [Label("owl", probability, probability, {})]},
        )
        for clip, probability in enumerate([0.9, 0.8, 0.2])
    ]  # fmt: skip
    (tmp_path / "all.jsonl").write_text("".join(encode_json(line).decode() + "\n" for line in lines))
    run("days.py", tmp_path / "all.jsonl", tmp_path / "diary")
    assert {path.name: path.read_text().splitlines()[1:] for path in (tmp_path / "diary").iterdir()} == {
        "2026-03-01.csv": ["23:59:58,owl,0.90,2026-03-01_23-59-58.mp4"],
        "2026-03-02.csv": ["00:00:00,owl,0.80,2026-03-01_23-59-58.mp4"],
    }


def test_the_notebook_is_kept_without_outputs() -> None:
    import nbformat

    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


@pytest.mark.slow
def test_the_notebook_runs() -> None:
    code = (
        "import nbformat, nbclient; "
        f"book = nbclient.execute(nbformat.read({str(NOTEBOOK)!r}, as_version=4), cwd={str(FOLDER)!r}, timeout=150); "
        "print(next(text for cell in book.cells for out in cell.get('outputs', ()) "
        "if 'sheep {' in (text := str(out.get('text')))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    sheep, rain = done.stdout.strip().splitlines()
    assert sheep.startswith("sheep {")
    assert rain.startswith("rain {")
