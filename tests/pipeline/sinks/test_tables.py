"""Events as a table for spreadsheets."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pipeline.result import ClipRecord
from pipeline.sinks.tables import BOM, Csv, neutral
from pipeline.status import OutputSpec
from tests.pipeline.sinks.records import feed, result

WALL = "2026-05-06T12:00:00.000+02:00"
NASTY = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1+1", "\u200b@x", "−1"]


def written(path: Path, records: list[ClipRecord], source: str = "talk.mp4") -> Path:
    feed(Csv(OutputSpec(kind="csv", path=str(path), sources=(source,))), records)
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    first = msgspec.structs.replace(result(0, rain=0.9, near="rain drizzle", drizzle=0.6), wall_time=WALL)
    return written(tmp_path / "out.csv", [first, result(1, rain=0.8, Ärger=0.75), result(2, Ärger=0.75)])


def test_csv_has_one_row_per_event_in_order_of_start(table: Path) -> None:
    with table.open(encoding="utf-8-sig", newline="") as file:
        rain, other = csv.DictReader(file)
    assert rain == {
        "source": "talk.mp4", "label": "rain",
        "start": "00:00:00.000", "end": "00:00:04.000", "duration": "00:00:04.000",
        "start_s": "0.000", "end_s": "4.000", "duration_s": "4.000",
        "probability": "0.85", "peak": "0.9", "clips": "2", "alternatives": "drizzle (0.60)",
        "start_wall": WALL, "end_wall": "2026-05-06T12:00:04.000+02:00",
    }  # fmt: skip
    assert (other["label"], other["start"], other["start_wall"], other["alternatives"]) == (
        "Ärger",
        "00:00:02.000",
        "",
        "",
    )


def test_pandas_and_polars_read_numbers_as_numbers(table: Path) -> None:
    import pandas
    import polars

    for frame in (pandas.read_csv(table), polars.read_csv(table)):
        assert list(frame.columns) == list(Csv.COLUMNS)
        assert list(frame["label"]) == ["rain", "Ärger"]
        assert sum(frame["duration_s"]) == 8.0
        assert sum(frame["clips"]) == 4
        assert max(frame["probability"]) == 0.85


@pytest.mark.parametrize("text", NASTY)
def test_no_text_is_taken_for_a_formula(text: str, tmp_path: Path) -> None:
    path = written(tmp_path / "out.csv", [result(0, text, **{text: 0.9})], text)
    with path.open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["source"], row["label"], row["start_s"]) == (f"'{text}", f"'{text}", "0.000")


@pytest.mark.parametrize("text", ["dog", "a=b", "100 m", "1-2", "'quoted'", "", " dog", "犬"])
def test_other_texts_are_as_they_were(text: str) -> None:
    assert neutral(text) == text


def test_a_file_tells_spreadsheets_its_encoding_and_a_pipe_has_no_mark(table: Path) -> None:
    assert table.read_text(encoding="utf-8").startswith(f"{BOM}source,label,start,")
    code = (
        "from pipeline.sinks.tables import Csv\nfrom pipeline.status import OutputSpec\n"
        "sink = Csv(OutputSpec(kind='csv', path='-'))\nsink.open()\nsink.close(True)"
    )
    env = os.environ | {"PYTHONPATH": os.getcwd()}
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60, env=env)
    assert piped.stdout.startswith(b"source,label,start,")
