import json
import tomllib
from pathlib import Path

from benchmarks.watched import ResultFiles, end_of, is_result, toml


def test_settings_come_back_from_toml() -> None:
    settings = {
        "clip_seconds": 2.0,
        "labels": ["dog", 'a "cat"'],
        "alerts": {"mqtt": {"host": "localhost", "port": 1883}, "webhooks": [{"url": "http://a/"}]},
        "cameras": [{"name": "yard", "url": "rtsp://a/1", "zones": {"drive": [[0, 0], [1, 0], [1, 1]]}}, {"name": "é"}],
    }
    assert tomllib.loads(toml(settings)) == settings


def test_lines_are_read_once_across_files_and_only_when_they_are_whole(tmp_path: Path) -> None:
    files = ResultFiles(tmp_path)
    assert files.new() == []
    (tmp_path / "2026-11-28-9.jsonl").write_text('{"clip": 0}\n{"clip": 1}\n')
    (tmp_path / "2026-11-28-10.jsonl").write_text('{"clip": 2}\n{"cl')
    assert [line["clip"] for line in files.new()] == [0, 1, 2]
    with (tmp_path / "2026-11-28-10.jsonl").open("a") as file:
        file.write('ip": 3}\n')
    assert [line["clip"] for line in files.new()] == [3]
    assert files.new() == []


def test_the_end_of_a_clip_is_its_wall_time_and_its_length() -> None:
    record = {"wall_time": "2026-11-28T12:00:00.500+01:00", "start_s": 10.0, "end_s": 12.0}
    assert end_of(record) == 1795863602.5


def test_errors_drops_and_gaps_are_no_results() -> None:
    lines = [{"clip": 3}, {"clip": 3, "error": "x"}, {"clip": 3, "dropped": "superseded"}, {"clip": -1, "gap": True}]
    assert [is_result(json.loads(json.dumps(line))) for line in lines] == [True, False, False, False]


def test_lines_that_are_taken_back_and_written_again_do_not_end_the_reading(tmp_path: Path) -> None:
    files, path = ResultFiles(tmp_path), tmp_path / "2026-11-28-1.jsonl"
    path.write_text('{"clip": 0}\n{"clip": 1}\n')
    assert [line["clip"] for line in files.new()] == [0, 1]
    path.write_text('{"clip": 0}\n')
    assert files.new() == []
    path.write_text('{"clip": 0}\n{"clip": 1}\n{"clip": 2}\n')
    assert [line["clip"] for line in files.new()] == [1, 2]
    path.write_text('{"clip": 0}\n{"clip": 1, "longer": true}\n{"clip": 2}\n{"clip": 3}\n')
    assert [line["clip"] for line in files.new()] == [2, 3]
