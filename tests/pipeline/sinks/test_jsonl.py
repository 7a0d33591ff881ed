"""JSON lines: each line is whole, an earlier run is continued, and a failed write is reported."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.errors import ConfigError, OutputError
from pipeline.result import decode_json, encode_json
from pipeline.sinks.done import read_done
from pipeline.sinks.jsonl import Jsonl
from pipeline.status import EventOptions, OutputSpec
from tests.pipeline.sinks.records import failed, feed, gap, result


def jsonl(path: Path, **more: object) -> Jsonl:
    return Jsonl(OutputSpec(path=str(path), sources=("talk.mp4",), **more))  # type: ignore[arg-type]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_object_per_clip_in_order(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    records = [result(0, rain=0.5), failed(1), gap(4, 9), result(2, epoch=1)]
    feed(jsonl(path), records)
    assert [decode_json(line) for line in path.read_bytes().splitlines()] == records


def test_every_line_is_on_disk_at_once(tmp_path: Path) -> None:
    sink = jsonl(tmp_path / "out.jsonl")
    sink.open()
    sink.write(result(0))
    assert len(lines(tmp_path / "out.jsonl")) == 1
    sink.close(complete=False)


def test_event_lines_follow_the_clip_that_closed_them(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    feed(jsonl(path, with_events=True), [result(0, rain=0.9), result(1), result(2, rain=0.9)])
    kinds = ["event" if "event" in line else "summary" if "summary" in line else "clip" for line in lines(path)]
    assert kinds == ["clip", "clip", "event", "clip", "event", "summary"]


def test_a_killed_run_continues_without_duplicates(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    feed(jsonl(path, with_events=True), [result(0, rain=0.9), result(1, rain=0.9)], complete=False, end=False)
    with path.open("ab") as file:
        file.write(b'{"source":"talk.mp4","epoch":0,"cl')
    assert read_done(str(path))["talk.mp4"].next_clip == 2
    feed(jsonl(path, with_events=True, resume=True), [result(2, rain=0.9)])
    found = lines(path)
    assert [line.get("clip") for line in found] == [0, 1, 2, None, None]
    assert found[3]["start_s"] == 0
    assert found[3]["end_s"] == 6.0
    assert found[4]["clips"] == 3


@pytest.mark.parametrize("cut", range(7))
def test_a_resumed_run_has_the_events_of_one_that_was_never_interrupted(tmp_path: Path, cut: int) -> None:
    near = "dog puppy"
    records = [
        result(0, near=near, street=0.9, puppy=0.4999999),
        result(1, near=near, street=0.9, dog=0.7, puppy=0.6),
        result(2, near=near, street=0.9, dog=0.7),
        result(3),
        result(4, near=near, dog=0.8, street=0.5),
        result(5),
    ]
    options = EventOptions(gap_s=2.0)
    for name, kept in (("once.jsonl", 0), ("twice.jsonl", cut)):
        path = tmp_path / name
        feed(jsonl(path, with_events=True, events=options), records[:kept], complete=False, end=False)
        feed(jsonl(path, with_events=True, events=options, resume=True), records[kept:])
    once, twice = (
        [line for line in lines(tmp_path / name) if "clip" not in line] for name in ("once.jsonl", "twice.jsonl")
    )
    assert once == twice
    events = [line for line in twice if "event" in line]
    assert [(line["event"], line["start_s"], line["end_s"], len(line.get("alternatives", ()))) for line in events] == [
        ("dog", 0, 10, 1),
        ("street", 0, 10, 0),
    ]


def test_a_run_that_is_cut_short_keeps_the_events_so_far(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    feed(jsonl(path, with_events=True), [result(0, rain=0.9), result(1, rain=0.9)], complete=False, end=False)
    (event,) = [line for line in lines(path) if "event" in line]
    assert (event["event"], event["end_s"]) == ("rain", 4.0)
    assert not [line for line in lines(path) if "summary" in line]


def test_track_ids_of_a_resumed_source_continue(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    feed(jsonl(path), [result(0), result(1)], complete=False, end=False)
    again = msgspec.structs.replace(result(2), parts=result(2).parts | {"tracks": result(0).tracks})
    feed(jsonl(path, resume=True), [again])
    assert [line["tracks"][0]["id"] for line in lines(path)] == [1, 2, 3]


def test_scores_have_six_significant_digits(tmp_path: Path) -> None:
    feed(jsonl(tmp_path / "out.jsonl"), [result(0, rain=0.123456789e-7)])
    assert lines(tmp_path / "out.jsonl")[0]["labels"][0]["probability"] == 1.23457e-08


def test_an_error_and_everything_after_it_is_done_again(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    feed(jsonl(path), [result(0), failed(1), result(2)])
    feed(jsonl(path, resume=True), [result(1), result(2)])
    assert [line["clip"] for line in lines(path)] == [0, 1, 2]


def test_a_source_without_errors_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    spec = OutputSpec(path=str(path), sources=("a.mp4", "b.mp4"))
    feed(Jsonl(spec), [result(0, "a.mp4"), result(0, "b.mp4"), failed(1, "b.mp4")])
    done = read_done(str(path))
    assert done["a.mp4"].complete
    assert not done["b.mp4"].complete


def test_a_file_with_other_settings_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    feed(jsonl(path, fingerprint="one"), [result(0)], complete=False)
    written = path.read_bytes()
    with pytest.raises(ConfigError, match="other labels"):
        jsonl(path, fingerprint="two", resume=True).open()
    assert path.read_bytes() == written


def test_a_file_that_is_not_ours_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("my diary\n")
    with pytest.raises(ConfigError, match="line 1 is not a result"):
        jsonl(path, resume=True).open()
    assert path.read_text() == "my diary\n"


def test_a_full_disk_is_reported_and_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    sink = jsonl(path)
    sink.open()
    size = len(encode_json(result(0)))
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * 2.5), old[1]))
    try:
        sink.write(result(0))
        sink.write(result(1))
        with pytest.raises(OutputError, match=r"limit reached; 2 results are safe\. Free space and run again"):
            sink.write(result(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    sink.close(complete=False)
    assert len(lines(path)) == 2


def test_a_full_device_is_reported() -> None:
    sink = Jsonl(OutputSpec(path="/dev/full"))
    sink.open()
    with pytest.raises(OutputError, match="cannot write /dev/full: no space left on device; 0 results are safe"):
        sink.write(result(0))
    sink.close(complete=False)


def test_a_closed_pipe_is_reported() -> None:
    code = (
        "import sys; sys.path[:0] = ['.']\n"
        "from tests.pipeline.sinks.records import result; from pipeline.sinks.jsonl import Jsonl\n"
        "from pipeline.status import OutputSpec\n"
        "sink = Jsonl(OutputSpec()); sink.open()\n"
        "for clip in range(100000): sink.write(result(clip))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout
    assert child.stderr
    assert decode_json(child.stdout.readline()).clip == 0
    child.stdout.close()
    error = child.stderr.read().decode()
    child.wait(timeout=20)
    child.stderr.close()
    assert "ReaderGone: cannot write to stdout: its reader has closed it after" in error


def test_a_name_that_is_not_utf8_does_not_stop_the_run(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    name = os.fsdecode(b"caf\xe9.mp4")
    feed(Jsonl(OutputSpec(path=str(path), sources=(name,))), [result(0, name)])
    assert lines(path)[0]["source"] == "caf\\udce9.mp4"
