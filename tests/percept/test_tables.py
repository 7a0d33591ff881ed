"""Records as tables of pandas and polars, and from files."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas
import pytest

import percept
from pipeline.result import encode_json
from tests.conftest import ROOT

EVIDENCE = {"image": percept.Evidence(0.9, 0.4, 0.6), "audio": percept.Evidence(0.2, 0.1, 0.4)}
BOXES = [(0.0, 1.0, 2.0, 3.0, 4.0), (1.0, 2.0, 3.0, 4.0, 5.0)]
SUMMARY = b'{"source":"a.mp4","summary":{"dog":2.0},"clips":1,"seconds":2.0,"seconds_labelled":2.0,"events":1}\n'
EVENT = b'{"source":"a.mp4","event":"dog","start_s":0.0,"end_s":2.0,"probability":0.8,"peak":0.8,"clips":1}\n'


def record(clip: int, **more: Any) -> percept.ClipRecord:
    times = {"start_s": 2.0 * clip, "end_s": 2.0 * clip + 2}
    return percept.ClipRecord(source="a.mp4", epoch=0, clip=clip, **times, **more)


RECORDS = [
    record(
        0,
        width=320,
        height=240,
        model="mini@1",
        parts={
            "labels": [percept.Label("dog", 0.8, 0.7, EVIDENCE), percept.Label("rain", 0.1, 0.3)],
            "tracks": [percept.Track(7, BOXES, "dog", 0.9), percept.Track(8, BOXES[:1])],
            "category": percept.Category("animal", 0.7, ["animal"]),
        },
    ),
    record(1, error="cannot be decoded"),
    record(-1, gap=True),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"".join(encode_json(each) + b"\n" + EVENT for each in RECORDS) + SUMMARY)
    return path


def test_labels_have_a_row_each_and_nothing_is_lost() -> None:
    table = percept.to_pandas(RECORDS)
    assert table["label"].fillna("-").tolist() == ["dog", "rain", "-", "-"]
    assert table["image_probability"].tolist()[0] == 0.9
    assert table[["motion_probability"]].isna().all().item()
    assert table["probability"].sum() == pytest.approx(0.9)
    assert table["error"].fillna("-").tolist() == ["-", "-", "cannot be decoded", "-"]
    assert table["gap"].tolist() == [False, False, False, True]
    assert table["start_s"].tolist() == [0.0, 0.0, 2.0, -2.0]
    assert {name: str(kind) for name, kind in table.dtypes.items()} == {
        "source": "string", "epoch": "int64", "clip": "int64", "start_s": "float64", "end_s": "float64",
        "label": "string", "probability": "float64", "share": "float64", "image_probability": "float64",
        "motion_probability": "float64", "audio_probability": "float64", "error": "string", "dropped": "string",
        "gap": "bool",
    }  # fmt: skip


def test_tracks_have_a_row_for_each_box() -> None:
    table = percept.to_pandas(iter(RECORDS), what="tracks")
    assert table["track"].tolist() == [7, 7, 8]
    assert table["x1"].tolist() == [3.0, 4.0, 3.0]
    assert table["time_s"].tolist() == [0.0, 1.0, 0.0]


def test_clips_have_a_row_each() -> None:
    table = percept.to_pandas(RECORDS, what="clips")
    assert table["tracks"].tolist() == [2, 0, 0]
    assert table["category"].fillna("-").tolist() == ["animal", "-", "-"]
    assert table["label"].fillna("-").tolist() == ["dog", "-", "-"]
    assert table["none_of_these"].isna().all()


@pytest.mark.parametrize("what", ["labels", "tracks", "clips"])
def test_polars_has_the_same_tables(what: Any) -> None:
    ours, theirs = percept.to_polars(RECORDS, what), percept.to_pandas(RECORDS, what)
    assert ours.columns == list(theirs.columns)
    rows = [[None if pandas.isna(value) else value for value in row] for row in theirs.itertuples(index=False)]
    assert [list(row) for row in ours.iter_rows()] == rows


@pytest.mark.parametrize("what", ["labels", "tracks", "clips"])
def test_no_records_are_an_empty_table_with_its_types(what: Any) -> None:
    assert percept.to_pandas([], what).dtypes.equals(percept.to_pandas(RECORDS[:1], what).dtypes) or what == "clips"
    assert percept.to_polars([], what).schema == percept.to_polars(RECORDS, what).schema


def test_one_record_and_a_file_are_accepted(file: Path) -> None:
    assert len(percept.to_pandas(RECORDS[0])) == 2
    assert percept.to_pandas(str(file)).equals(percept.to_pandas(RECORDS))
    assert percept.to_polars(file).equals(percept.to_polars(RECORDS))
    with pytest.raises(ValueError, match="what is 'boxes'; expected labels, tracks, visits"):
        percept.to_polars(file, "boxes")  # type: ignore[arg-type]


def test_a_file_is_read_without_its_events(file: Path, tmp_path: Path) -> None:
    assert list(percept.read(file)) == RECORDS
    array = tmp_path / "out.json"
    array.write_bytes(b"[" + b",\n".join(map(encode_json, RECORDS)) + b"]\n")
    assert list(percept.read(array)) == RECORDS


def test_a_line_that_is_still_being_written_is_passed_over(file: Path) -> None:
    with file.open("ab") as out:
        out.write(encode_json(RECORDS[0])[:-30])
    assert list(percept.read(file)) == RECORDS


def test_a_file_of_something_else_is_refused_with_the_line(file: Path, tmp_path: Path) -> None:
    with file.open("ab") as out:
        out.write(b'{"name": "x"}\n')
    with pytest.raises(percept.ConfigError, match=r"out\.jsonl:8: is not a record .*expected JSON lines"):
        list(percept.read(file))
    newer = tmp_path / "newer.jsonl"
    newer.write_bytes(encode_json(RECORDS[0]).replace(b'"schema_version":2', b'"schema_version":99'))
    with pytest.raises(percept.ConfigError, match=r"newer\.jsonl:1: .*use a newer percept"):
        list(percept.read(newer))
    with pytest.raises(FileNotFoundError):
        list(percept.read(tmp_path / "missing.jsonl"))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_missing_library_is_named_with_its_command(library: str) -> None:
    code = (
        f"import sys; sys.modules[{library!r}] = None\n"
        f"import percept\ntry: percept.to_{library}([])\nexcept ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{library} is not installed. Run: pip install 'percept-av[{library}]'\n"


def test_tables_are_not_imported_with_percept() -> None:
    code = "import sys, percept; percept.to_pandas; sys.exit(bool({'pandas', 'polars', 'IPython'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
