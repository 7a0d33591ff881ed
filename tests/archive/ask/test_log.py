"""Logs as they lie: results, the folder of a watch, an archive."""

from pathlib import Path

import pytest

from archive.ask.answering import answer
from archive.ask.log import as_plain, read_log
from pipeline.errors import ConfigError
from pipeline.result import ClipRecord, Label, encode_json
from pipeline.status import EventOptions
from tests.archive.made import clip_of, write_shard
from tests.pages.records import written

DOG = [("dog barking", 0.9)]


def test_an_archive_and_results_are_asked_alike(tmp_path: Path) -> None:
    records = [clip_of("/data/a.mp4", clip, labels=DOG if clip in (1, 2, 4) else ()) for clip in range(6)]
    write_shard(tmp_path / "labels", "a.mp4", records, labels=("dog barking", "car|automobile"))
    archive = read_log(str(tmp_path / "labels"), EventOptions())
    results = read_log(str(written(tmp_path / "out.jsonl", records)), EventOptions())
    for log in (archive, results):
        assert answer("when did the dog bark?", log).value == [2.0, 8.0]
    assert archive.labels == {"dog barking", "car"}  # those that no clip has among its best, too
    assert as_plain(archive)["sources"] == as_plain(results)["sources"]


def test_two_runs_of_a_watch_do_not_mix_their_clocks(tmp_path: Path) -> None:
    """The second run begins at 0 again, and what it has is after the first."""
    labels = {0: ["siren"], 3: ["dog barking"], 4: ["dog barking"]}

    def record(run: int, clip: int) -> ClipRecord:
        names = labels.get(3 * run + clip, [])
        parts = {"labels": [Label(name, 0.9, 0.9) for name in names]}
        return ClipRecord(source="yard", epoch=0, clip=clip, start_s=2.0 * clip, end_s=2.0 * clip + 2, parts=parts)

    (tmp_path / "results").mkdir()
    for run in (0, 1):
        lines = [encode_json(record(run, clip)) + b"\n" for clip in range(3)]
        (tmp_path / "results" / f"2026-01-0{run + 1}-0000.jsonl").write_bytes(b"".join(lines))
    log = read_log(str(tmp_path), EventOptions())
    assert answer("how long did the dog bark after the siren?", log).value == 4.0
    assert answer("how often did the dog bark within 10 s of the siren?", log).value == 0


def test_a_log_without_results_is_refused(tmp_path: Path) -> None:
    path = written(
        tmp_path / "out.jsonl", [ClipRecord(source="a", epoch=0, clip=0, start_s=0, end_s=2, error="broken")]
    )
    with pytest.raises(ConfigError, match="nothing to ask"):
        read_log(str(path), EventOptions())
