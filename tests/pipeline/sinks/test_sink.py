"""The contract of every sink, over all built-in kinds."""

from pathlib import Path

import pytest

from pipeline.errors import OutputError
from pipeline.sinks.kinds import KINDS, TRACK_KINDS, make_sink
from tests.pipeline.sinks.records import failed, feed, gap, make_spec, result

TEXT = sorted(KINDS.keys() - {"video", "parquet", "terminal", *TRACK_KINDS.values()})
WHOLE = sorted(KINDS.keys() - {"jsonl"})
"""Kinds whose files are only valid whole."""


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_sink_that_is_not_open_has_touched_no_file_and_has_no_notes(kind: str, tmp_path: Path) -> None:
    sink = make_sink(make_spec(kind, tmp_path))
    assert sink.notes == []
    assert sink.summaries() == ()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_run_without_records_leaves_no_partial_file(kind: str, tmp_path: Path) -> None:
    feed(make_sink(make_spec(kind, tmp_path)), [])
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_run_with_errors_only_leaves_no_partial_file(kind: str, tmp_path: Path) -> None:
    feed(make_sink(make_spec(kind, tmp_path)), [failed(-1)])
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", TEXT)
def test_odd_names_of_sources_and_labels_and_a_gap_are_written(kind: str, tmp_path: Path) -> None:
    name = 'a "b", <c> --> d\ne.mp4'
    spec = make_spec(kind, tmp_path, name)
    records = [result(0, name, **{'x_"y",_<z>_\n_-->': 0.9}), gap(2, 30, name), result(1, name, epoch=1)]
    feed(make_sink(spec), records)
    text = Path(spec.path).read_text()
    assert "y" in text
    assert "-->\n" not in text.replace(" ", "") or kind == "csv"


@pytest.mark.parametrize("kind", sorted({*WHOLE} - {*TRACK_KINDS.values()}))  # files of tracks have what there is
def test_an_incomplete_run_leaves_no_final_file(kind: str, tmp_path: Path) -> None:
    feed(make_sink(make_spec(kind, tmp_path)), [result(0, rain=0.9)], complete=False, end=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["events", "csv", "json", "table"])
def test_a_full_disk_is_reported(kind: str) -> None:
    sink = make_sink(make_spec(kind, "/dev/full"))
    with pytest.raises(OutputError, match="cannot write /dev/full: no space left on device"):
        feed(sink, [result(0, rain=0.9)])
