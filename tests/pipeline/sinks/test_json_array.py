"""A JSON array holds what JSON lines hold."""

import json
from pathlib import Path

from pipeline.sinks.kinds import make_sink
from tests.pipeline.sinks.records import failed, feed, gap, make_spec, result

RECORDS = [result(0, rain=0.9), failed(1), gap(4, 9), result(2, epoch=1, rain=0.2)]


def test_the_elements_are_the_lines(tmp_path: Path) -> None:
    for with_events in (False, True):
        spec = {kind: make_spec(kind, tmp_path, with_events=with_events) for kind in ("json", "jsonl")}
        for each in spec.values():
            feed(make_sink(each), RECORDS)
        lines = [json.loads(line) for line in Path(spec["jsonl"].path).read_text().splitlines()]
        assert json.loads(Path(spec["json"].path).read_text()) == lines
        assert any("event" in line for line in lines) == with_events


def test_a_run_without_clips_is_an_empty_array(tmp_path: Path) -> None:
    feed(make_sink(make_spec("json", tmp_path)), [])
    assert json.loads((tmp_path / "out.json").read_text()) == []
