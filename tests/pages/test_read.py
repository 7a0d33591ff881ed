"""Results are read from JSON lines and arrays, and anything else is refused with what to do."""

from pathlib import Path

import msgspec
import pytest

from pages.read import read_results
from pipeline.errors import ConfigError
from pipeline.result import ClipRecord, encode_json
from pipeline.status import EventRecord
from tests.pages.records import clip, label

RECORDS = [clip("talk.mp4", index, [label("dog", 0.9, image=0.8)]) for index in range(3)]
EVENT = EventRecord(source="talk.mp4", event="dog", start_s=0, end_s=6, probability=0.9, peak=0.9, clips=3)
SUMMARY = b'{"source":"talk.mp4","summary":{"dog":6.0},"clips":3,"seconds":6.0,"seconds_labelled":6.0,"events":1}'
LINES = [*map(encode_json, RECORDS), msgspec.json.encode(EVENT), SUMMARY]


def test_lines_and_an_array_give_the_same_records(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(LINES) + b"\n")
    (tmp_path / "a.json").write_bytes(b" [" + b",\n".join(LINES) + b"]\n")
    for name in ("a.jsonl", "a.json"):
        found = list(read_results(str(tmp_path / name)))
        assert [record.clip for record in found if isinstance(record, ClipRecord)] == [0, 1, 2]
        assert found[-1] == EVENT
        assert isinstance(found[0], ClipRecord)
        assert found[0].labels == RECORDS[0].labels


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINES[0] + b"\n" + LINES[1][:40])
    assert len(list(read_results(str(tmp_path / "a.jsonl")))) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", "a.jsonl: has no results. Make them with: percept run talk.mp4 -o "),
        ("a.jsonl", b'{"source": "x"}\n', "line 1 is not a result of percept"),
        ("a.jsonl", LINES[0] + b"\nhello\n", "line 2 is not a result of percept"),
        ("a.jsonl", b"\xff\xfe\x00", "line 1 is not a result of percept"),
        ("a.json", b"[1, 2", "is not a JSON array of results"),
        ("a.csv", b"source,label\n", "a.csv: is a table of events; expected results as JSON lines"),
        ("a.mp4", b"", "a.mp4: is a video; expected results as JSON lines"),
    ],
)
def test_what_is_no_file_of_results_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        list(read_results(str(tmp_path / name)))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        list(read_results(str(tmp_path / "gone.jsonl")))
    with pytest.raises(ConfigError, match="cannot be read"):
        list(read_results(str(tmp_path)))
