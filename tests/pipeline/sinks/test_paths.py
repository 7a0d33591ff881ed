"""The files of an output, and whether a run may write them."""

import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.sinks.file import part_name
from pipeline.sinks.kinds import KINDS
from pipeline.sinks.paths import check_outputs, source_paths
from tests.pipeline.sinks.records import make_spec

PER_SOURCE = sorted(name for name, kind in KINDS.items() if kind.per_source)


def refused(*specs: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check_outputs(list(specs))
    return str(caught.value).splitlines()


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PER_SOURCE)
def test_sources_of_one_name_get_files_of_their_own(kind: str, tmp_path: Path) -> None:
    paths = source_paths(make_spec(kind, str(tmp_path), "a/talk.mp4", "b/talk.mkv", "c.mp4"))
    assert [Path(path).stem for path in paths.values()] == ["talk", "talk-2", "c"]
    assert {Path(path).suffix for path in paths.values()} == {KINDS[kind].per_source}


@given(st.lists(st.text("ab-2/.", min_size=1, max_size=6), unique=True, max_size=8))
@example(["a/x", "x-2", "b/x", "c/x"])
def test_no_two_sources_share_a_file(sources: list[str]) -> None:
    paths = source_paths(make_spec("vtt", "out", *sources, "one more"))
    assert len(set(paths.values())) == len(paths) == len({*sources, "one more"})
    assert all(os.path.dirname(path) == "out" for path in paths.values())


@pytest.mark.parametrize(
    ("path", "sources", "files"),
    [
        ("talk.vtt", ["a/b.mp4"], ["talk.vtt"]),
        ("out", ["a/b.mp4"], ["out/b.vtt"]),
        ("out", ["rtsp://cam/1/"], ["out/1.vtt"]),
        ("talk.vtt", ["a.mp4", "b.mp4"], ["talk.vtt/a.vtt", "talk.vtt/b.vtt"]),
        ("out/*.de.vtt", ["a.mp4", "b.mp4"], ["out/a.de.vtt", "out/b.de.vtt"]),
        ("*.vtt", ["a.mp4"], ["a.vtt"]),
    ],
    ids=["a file", "a folder", "a stream", "a folder for two", "a pattern", "a pattern for one"],
)
def test_a_path_is_a_file_a_folder_or_a_pattern(path: str, sources: list[str], files: list[str]) -> None:
    assert list(source_paths(make_spec("vtt", path, *sources)).values()) == files


@pytest.mark.parametrize("path", ["out", "out/*.vtt", "out/of-*-in-german.vtt"])
@pytest.mark.parametrize("letter", ["x", "ä", "語"])
def test_long_names_are_shortened_and_stay_different(path: str, letter: str, tmp_path: Path) -> None:
    length = 251 // len(letter.encode())
    sources = [f"{folder}/{letter * (length - cut)}.mp4" for folder in "ab" for cut in (0, 1, 2)]
    files = [Path(file) for file in source_paths(make_spec("vtt", str(tmp_path / path), *sources)).values()]
    assert len(set(files)) == len(sources)
    for file in files:
        Path(part_name(str(file))).parent.mkdir(exist_ok=True)
        Path(part_name(str(file))).touch()
        file.touch()


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    (problem,) = refused(make_spec("jsonl", f"{tmp_path}/{'x' * 250}.jsonl"))
    assert problem.endswith("the name is longer than 255 bytes. Choose a shorter one.")


@pytest.mark.parametrize("path", ["taken", "taken/below", "taken/*.vtt"])
def test_a_folder_that_cannot_be_made_is_refused(path: str, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    (problem,) = refused(make_spec("vtt", str(tmp_path / path), "a.mp4"))
    assert problem.endswith(f"{tmp_path / 'taken'} is a file; expected a folder. Choose another one.")


def test_ten_thousand_sources_of_one_name_are_named_at_once() -> None:
    spec = make_spec("vtt", "out", *(f"{number}/clip.mp4" for number in range(10_000)))
    began_s = time.process_time()
    check_outputs([spec])
    assert time.process_time() - began_s < 3.0
    assert len(set(source_paths(spec).values())) == 10_000


# -- checks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"terminal"}))
def test_an_existing_file_is_overwritten_only_on_request(kind: str, tmp_path: Path) -> None:
    spec = make_spec(kind, tmp_path)
    Path(spec.path).write_text("mine")
    (problem,) = refused(spec)
    assert problem.startswith(f"{spec.path}: exists already. Choose another name, or add --overwrite")
    assert problem.endswith(", or --resume to continue it.") == (kind == "jsonl")
    check_outputs([msgspec.structs.replace(spec, overwrite=True)])
    check_outputs([msgspec.structs.replace(spec, resume=True)])


def test_a_device_or_a_pipe_may_exist(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_outputs([make_spec("jsonl", "/dev/null"), make_spec("jsonl", str(pipe)), make_spec("jsonl", "-")])


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    source = tmp_path / "talk.mp4"
    source.write_bytes(b"")
    missing, lines, video = (
        tmp_path / "no",
        make_spec("jsonl", "-", resume=True),
        make_spec("video", str(source), str(source)),
    )
    assert refused(
        make_spec("jsonl", str(missing / "out.jsonl")),
        lines,
        make_spec("csv", str(tmp_path)),
        msgspec.structs.replace(video, overwrite=True),
    ) == [
        f"{missing}/out.jsonl: the folder {missing} does not exist. Make it first: mkdir -p {missing}",
        "--resume needs a file to resume. Give one: -o results.jsonl",
        f"{tmp_path}: is a folder; expected a file, such as {tmp_path}/results.jsonl",
        f"{source}: is a source of this run and would be overwritten. Choose another output.",
    ]


def test_two_outputs_may_not_write_one_file(tmp_path: Path) -> None:
    table = make_spec("csv", str(tmp_path / "out.csv"))
    again = make_spec("events", f"{tmp_path}/../{tmp_path.name}/out.csv")
    assert refused(table, again) == [f"{tmp_path}/out.csv: two outputs would write this file. Give each its own."]
    check_outputs([make_spec("jsonl", "-"), make_spec("csv", "-")])


def test_several_sources_need_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "talk.vtt"
    file.write_text("mine")
    assert refused(make_spec("vtt", str(file), "a.mp4", "b.mp4", overwrite=True)) == [
        f"{file}: is a file; expected a folder for 2 sources."
    ]


def test_a_parquet_table_needs_a_file_that_can_be_renamed(tmp_path: Path) -> None:
    pipe = tmp_path / "out.parquet"
    os.mkfifo(pipe)
    (problem,) = refused(make_spec("parquet", tmp_path))
    assert problem == f"{pipe}: is a pipe or a device; a Parquet table needs a file, such as results.parquet"
