"""What every sink must do, whichever it is."""

import time
from pathlib import Path

import msgspec
import pytest

from pipeline.errors import ConfigError, OutputError
from pipeline.sinks.sink import PER_SOURCE, check_outputs, make_sink, source_paths
from pipeline.status import OutputKind, OutputSpec
from tests.pipeline.sinks.records import failed, feed, gap, result

KINDS: tuple[OutputKind, ...] = ("jsonl", "events", "csv", "vtt", "srt", "video")
SUFFIX = {"jsonl": ".jsonl", "events": ".jsonl", "csv": ".csv", "vtt": ".vtt", "srt": ".srt", "video": ".mp4"}


def spec(kind: OutputKind, folder: Path, *sources: str, **more: object) -> OutputSpec:
    return OutputSpec(kind=kind, path=str(folder / f"out{SUFFIX[kind]}"), sources=sources or ("talk.mp4",), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_no_records_at_all(kind: OutputKind, tmp_path: Path) -> None:
    feed(make_sink(spec(kind, tmp_path)), [])
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", KINDS)
def test_errors_only(kind: OutputKind, tmp_path: Path) -> None:
    feed(make_sink(spec(kind, tmp_path)), [failed(-1)])
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_a_gap_and_odd_names(kind: OutputKind, tmp_path: Path) -> None:
    name = 'a "b", <c> --> d\ne.mp4'
    records = [result(0, name, **{'x_"y",_<z>_\n_-->': 0.9}), gap(2, 30, name), result(1, name, epoch=1)]
    feed(make_sink(spec(kind, tmp_path, name)), records)
    text = (tmp_path / f"out{SUFFIX[kind]}").read_text()
    assert "y" in text
    assert "-->\n" not in text.replace(" ", "") or kind == "csv"


@pytest.mark.parametrize("kind", ["events", "csv", "vtt", "srt", "video"])
def test_an_incomplete_run_leaves_no_final_file(kind: OutputKind, tmp_path: Path) -> None:
    feed(make_sink(spec(kind, tmp_path)), [result(0, rain=0.9)], complete=False, end=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_existing_file_is_never_overwritten_unasked(kind: OutputKind, tmp_path: Path) -> None:
    (tmp_path / f"out{SUFFIX[kind]}").write_text("mine")
    with pytest.raises(ConfigError, match=r"exists already\. Choose another name, or add --overwrite"):
        check_outputs([spec(kind, tmp_path)])
    check_outputs([spec(kind, tmp_path, overwrite=True)])


@pytest.mark.parametrize("kind", ["events", "csv"])
def test_a_full_disk_is_said(kind: OutputKind) -> None:
    sink = make_sink(OutputSpec(kind=kind, path="/dev/full", sources=("talk.mp4",)))
    with pytest.raises(OutputError, match="cannot write /dev/full: no space left on device"):
        feed(sink, [result(0, rain=0.9)])


@pytest.mark.parametrize("kind", sorted(PER_SOURCE))
def test_sources_of_one_name_get_files_of_their_own(kind: OutputKind, tmp_path: Path) -> None:
    paths = source_paths(OutputSpec(kind=kind, path=str(tmp_path), sources=("a/talk.mp4", "b/talk.mkv", "c.mp4")))
    assert [Path(path).stem for path in paths.values()] == ["talk", "talk-2", "c"]


def test_problems_are_told_all_at_once(tmp_path: Path) -> None:
    source = tmp_path / "talk.mp4"
    source.write_bytes(b"")
    with pytest.raises(ConfigError) as error:
        check_outputs(
            [
                OutputSpec(path=str(tmp_path / "no" / "out.jsonl")),
                OutputSpec(path="-", resume=True),
                OutputSpec(kind="csv", path=str(tmp_path)),
                OutputSpec(kind="video", path=str(source), sources=(str(source),), overwrite=True),
            ]
        )
    text = str(error.value)
    assert "does not exist. Make it first: mkdir -p" in text
    assert "--resume needs a file" in text
    assert "is a folder; expected a file" in text
    assert "is a source of this run and would be overwritten" in text


def test_ten_thousand_sources_of_one_name_are_named_at_once() -> None:
    sources = tuple(f"{number}/clip.mp4" for number in range(10_000))
    named = spec("vtt", Path("out"), *sources)
    named = msgspec.structs.replace(named, path="out")
    began_s = time.process_time()
    check_outputs([named])
    assert time.process_time() - began_s < 3.0
    assert len(set(source_paths(named).values())) == 10_000
