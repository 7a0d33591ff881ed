"""The results files of a watch."""

import os
from pathlib import Path

import pytest

from live.results import Place, Results
from pipeline.result import decode_json, encode_json
from tests.live.stream import record


def line(clip: int) -> bytes:
    return encode_json(record(clip)) + b"\n"


def clips(directory: Path) -> dict[str, list[int]]:
    return {
        path.name: [decode_json(each).clip for each in path.read_bytes().splitlines()]
        for path in sorted(directory.iterdir())
    }


def opened(
    directory: Path, kept: Place | None = None, limit_bytes: int = 10_000_000, day: str = "2026-01-31"
) -> Results:
    results = Results(directory, limit_bytes, lambda: day)
    results.open(kept)
    return results


def test_a_file_ends_at_its_size_and_at_the_end_of_the_day(tmp_path: Path) -> None:
    days = ["2026-01-31"]
    results = Results(tmp_path, 3 * len(line(10)), lambda: days[-1])
    results.open(None)
    for clip in range(10, 18):
        if clip == 17:
            days.append("2026-02-01")
        results.append(line(clip))
    assert clips(tmp_path) == {
        "2026-01-31-0001.jsonl": [10, 11, 12],
        "2026-01-31-0002.jsonl": [13, 14, 15],
        "2026-01-31-0003.jsonl": [16],
        "2026-02-01-0001.jsonl": [17],
    }
    days.append("2026-01-31")  # the clock was set back: names stay in order
    results.append(line(18))
    assert clips(tmp_path)["2026-02-01-0001.jsonl"] == [17, 18]
    results.close()


def test_a_line_that_is_larger_than_the_limit_is_written_all_the_same(tmp_path: Path) -> None:
    results = opened(tmp_path, limit_bytes=10)
    results.append(line(1))
    results.append(line(2))
    assert clips(tmp_path) == {"2026-01-31-0001.jsonl": [1], "2026-01-31-0002.jsonl": [2]}
    results.close()


def test_lines_that_the_history_does_not_know_are_found_and_a_torn_one_is_cut_off(tmp_path: Path) -> None:
    results = opened(tmp_path, limit_bytes=3 * len(line(10)))
    for clip in range(10, 12):
        results.append(line(clip))
    kept = results.place
    for clip in range(12, 15):
        results.append(line(clip))
    results.close()
    last = tmp_path / "2026-01-31-0002.jsonl"
    with last.open("ab") as file:
        file.write(line(15)[:-7])
    again = Results(tmp_path, 10_000_000, lambda: "2026-01-31")
    assert [found.clip for found in again.open(kept)] == [12, 13, 14]
    again.append(line(15))
    again.close()
    assert clips(tmp_path) == {"2026-01-31-0001.jsonl": [10, 11, 12], last.name: [13, 14, 15]}


def test_a_file_that_lost_its_end_with_the_power_is_continued_after_its_last_whole_line(tmp_path: Path) -> None:
    results = opened(tmp_path)
    for clip in range(10, 14):
        results.append(line(clip))
    kept = results.place
    results.close()
    path = tmp_path / kept.file
    os.truncate(path, kept.size_bytes - len(line(13)) - 5)
    results = opened(tmp_path, kept)
    results.append(line(14))
    results.close()
    assert clips(tmp_path) == {kept.file: [10, 11, 14]}


def test_zeros_that_a_file_system_left_are_cut_off(tmp_path: Path) -> None:
    results = opened(tmp_path)
    results.append(line(10))
    kept = results.place
    results.append(line(11))
    results.close()
    with (tmp_path / kept.file).open("ab") as file:
        file.write(bytes(5000))
    again = Results(tmp_path, 10_000_000, lambda: "2026-01-31")
    assert [found.clip for found in again.open(kept)] == [11]
    again.close()
    assert clips(tmp_path) == {kept.file: [10, 11]}


def test_what_the_history_could_not_take_is_undone_also_in_a_new_file(tmp_path: Path) -> None:
    results = opened(tmp_path, limit_bytes=2 * len(line(10)))
    results.append(line(10))
    results.keep()
    results.append(line(11))
    results.undo()
    results.append(line(12))
    results.keep()
    results.append(line(13))
    results.undo()
    results.append(line(14))
    results.close()
    assert clips(tmp_path) == {"2026-01-31-0001.jsonl": [10, 12], "2026-01-31-0002.jsonl": [14]}


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = opened(tmp_path)
    results.append(line(10))
    write = os.write
    monkeypatch.setattr(os, "write", lambda out, content: write(out, content[:5]) if len(content) > 20 else _full())
    with pytest.raises(OSError, match="No space"):
        results.append(line(11))
    monkeypatch.undo()
    results.append(line(12))
    results.close()
    assert clips(tmp_path) == {"2026-01-31-0001.jsonl": [10, 12]}


def _full() -> int:
    raise OSError(28, "No space left on device")
