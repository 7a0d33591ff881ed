"""What `--resume` keeps of the JSON lines of an earlier run."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, OutputError
from pipeline.result import ClipRecord, Crossing, Visit, ZoneVisits, encode_json
from pipeline.sinks.done import Done, Progress, after_track, kept_records, read_done
from tests.pipeline.sinks.records import failed, gap, result


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def write(path: Path, records: list[ClipRecord], tail: bytes = b"") -> None:
    path.write_bytes(b"".join(encode_json(record) + b"\n" for record in records) + tail)


def kept(path: Path) -> list[tuple[str, int]]:
    return [(record.source, record.clip) for record in kept_records(str(path))]


def test_nothing_is_done_without_a_file(path: Path) -> None:
    assert read_done(str(path)) == {}
    assert kept(path) == []
    assert read_done("/dev/null") == read_done("-") == {}


def test_everything_before_the_first_error_is_kept(path: Path) -> None:
    write(path, [result(0), failed(1), result(2)])
    assert read_done(str(path)) == {"talk.mp4": Done(next_clip=1, results=1, end_s=2.0, last_track_id=1)}
    assert kept(path) == [("talk.mp4", 0)]


def test_everything_before_a_missing_clip_is_kept(path: Path) -> None:
    write(path, [result(0), result(2), result(3)])
    assert read_done(str(path))["talk.mp4"].next_clip == 1
    assert kept(path) == [("talk.mp4", 0)]


def test_a_gap_between_clips_is_kept_and_one_at_the_end_is_not(path: Path) -> None:
    write(path, [result(0), gap(2, 30), result(1, epoch=1), gap(60, 90, epoch=2)])
    done = read_done(str(path))["talk.mp4"]
    assert (done.next_clip, done.epoch, done.gaps) == (2, 1, 1)
    assert kept(path) == [("talk.mp4", 0), ("talk.mp4", -1), ("talk.mp4", 1)]


def test_each_source_is_kept_on_its_own(path: Path) -> None:
    write(path, [result(0, "a"), result(0, "b"), failed(1, "a"), result(1, "b"), failed(-1, "c")])
    assert {source: done.next_clip for source, done in read_done(str(path)).items()} == {"a": 1, "b": 2, "c": 0}
    assert kept(path) == [("a", 0), ("b", 0), ("b", 1)]


def test_event_lines_and_a_torn_last_line_are_skipped(path: Path) -> None:
    event, summary = b'{"source":"talk.mp4","event":"rain"}\n', b'{"source":"talk.mp4","summary":{}}\n'
    whole = encode_json(result(1))
    write(path, [result(0)], event + whole + b"\n" + summary + encode_json(result(2)))
    assert kept(path) == [("talk.mp4", 0), ("talk.mp4", 1)]


@pytest.mark.parametrize("line", [b"my diary", b'{"source":"talk.mp4"}', b"\xff\xfe", b'{"event":"rain"}'])
def test_a_file_that_is_not_ours_is_refused_with_the_line(path: Path, line: bytes) -> None:
    write(path, [result(0)], line + b"\n")
    with pytest.raises(ConfigError, match=r"out\.jsonl: line 2 is not a result of percept .* Use --overwrite"):
        read_done(str(path))


kinds = st.lists(st.sampled_from(["result", "result", "result", "error", "gap", "skip"]), max_size=12)


@given(st.dictionaries(st.sampled_from("ab"), kinds))
def test_a_second_run_adds_exactly_the_clips_that_are_not_kept(
    tmp_path_factory: pytest.TempPathFactory, wishes: dict[str, list[str]]
) -> None:
    """Clips [0, next_clip) are kept once each, in order."""
    records = []
    for source, wished in wishes.items():
        index = epoch = 0
        for kind in wished:
            epoch += kind == "gap"
            records += {
                "result": [result(index, source, epoch=epoch)],
                "error": [failed(index, source)],
                "gap": [gap(index * 2, index * 2 + 9, source, epoch)],
            }.get(kind, [])
            index += kind != "gap"
    path = tmp_path_factory.mktemp("done") / "out.jsonl"
    write(path, records)
    done = read_done(str(path))
    for source in wishes.keys() & done.keys():
        mine = [clip for name, clip in kept(path) if name == source and clip >= 0]
        assert mine == list(range(done[source].next_clip))
        assert done[source].results == len(mine)


# -- the file next to the output --------------------------------------------------------------------------------------


def test_complete_sources_are_kept_whole_with_their_last_gap(path: Path) -> None:
    write(path, [result(0), gap(2, 9)])
    progress = Progress(str(path))
    progress.start("settings")
    assert not read_done(str(path))["talk.mp4"].complete
    progress.complete("talk.mp4")
    assert read_done(str(path))["talk.mp4"].complete
    assert kept(path) == [("talk.mp4", 0), ("talk.mp4", -1)]


def test_a_complete_source_with_an_error_is_done_again(path: Path) -> None:
    write(path, [failed(0)])
    Progress(str(path)).start("settings", ["talk.mp4", "empty.mp4"])
    done = read_done(str(path))
    assert not done["talk.mp4"].complete
    assert done["empty.mp4"] == Done(complete=True)


def test_other_settings_are_refused_and_unknown_ones_are_not(path: Path) -> None:
    progress = Progress(str(path))
    progress.check("one")
    progress.start("one")
    progress.check("one")
    progress.check("")
    with pytest.raises(ConfigError, match=r"out\.jsonl: was written with other labels"):
        progress.check("two")


def test_a_torn_line_of_the_progress_is_skipped(path: Path) -> None:
    progress = Progress(str(path))
    progress.start("one", ["a", "caf\udce9"])
    with open(progress.path, "ab") as file:
        file.write(b'{"complete":"b')
    assert progress.read() == ("one", {"a", "caf\\udce9"})


def test_stdout_and_devices_have_no_progress() -> None:
    for output in ("-", "/dev/null"):
        progress = Progress(output)
        progress.start("one", ["a"])
        progress.complete("a")
        assert progress.read() == (None, set())


def test_a_progress_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*\.progress: the folder does not exist"):
        Progress(str(tmp_path / "no" / "out.jsonl")).complete("a")


@pytest.mark.parametrize(("last", "ids"), [(0, [1]), (7, [8])])
def test_track_ids_continue_those_of_the_earlier_run(last: int, ids: list[int]) -> None:
    record = result(0)
    assert [track.id for track in after_track(record, last).tracks or ()] == ids
    assert after_track(record, last).labels == record.labels
    visits = [ZoneVisits("yard", visits=[Visit(1, 0.0, 1.0, 1.0)])]
    parts = record.parts | {"zones": visits, "crossings": [Crossing("gate", 1, 0.5, "in")]}
    counted: Any = after_track(msgspec.structs.replace(record, parts=parts), last)
    assert [counted.zones[0].visits[0].track, counted.crossings[0].track] == ids * 2
    without: Any = msgspec.structs.replace(record, parts={})
    assert after_track(without, last) == without
