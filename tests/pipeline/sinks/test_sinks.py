"""What every sink must do, whichever it is."""

import time
from pathlib import Path

import msgspec
import pytest

from pipeline.errors import ConfigError, OutputError
from pipeline.result import ClipRecord
from pipeline.sinks.kinds import KINDS, make_sink, resolved
from pipeline.sinks.paths import check_outputs, source_paths
from pipeline.sinks.sink import Sink, SinkOptions
from pipeline.status import OutputSpec
from tests.pipeline.sinks.records import failed, feed, gap, result

SUFFIX = {name: kind.suffixes[0] if kind.suffixes else kind.per_source or ".jsonl" for name, kind in KINDS.items()}
TEXT = sorted(KINDS.keys() - {"video"})
WHOLE = sorted(KINDS.keys() - {"jsonl"})
"""Kinds whose files are only valid whole."""


def spec(kind: str, folder: Path, *sources: str, **more: object) -> OutputSpec:
    return made(kind, str(folder / f"out{SUFFIX[kind]}"), *sources, **more)


def made(kind: str, path: str, *sources: str, **more: object) -> OutputSpec:
    return resolved(OutputSpec(kind=kind, path=path, sources=sources or ("talk.mp4",), **more), {})  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_records_at_all(kind: str, tmp_path: Path) -> None:
    feed(make_sink(spec(kind, tmp_path)), [])
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_errors_only(kind: str, tmp_path: Path) -> None:
    feed(make_sink(spec(kind, tmp_path)), [failed(-1)])
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", TEXT)
def test_a_gap_and_odd_names(kind: str, tmp_path: Path) -> None:
    name = 'a "b", <c> --> d\ne.mp4'
    records = [result(0, name, **{'x_"y",_<z>_\n_-->': 0.9}), gap(2, 30, name), result(1, name, epoch=1)]
    feed(make_sink(spec(kind, tmp_path, name)), records)
    text = (tmp_path / f"out{SUFFIX[kind]}").read_text()
    assert "y" in text
    assert "-->\n" not in text.replace(" ", "") or kind == "csv"


@pytest.mark.parametrize("kind", WHOLE)
def test_an_incomplete_run_leaves_no_final_file(kind: str, tmp_path: Path) -> None:
    feed(make_sink(spec(kind, tmp_path)), [result(0, rain=0.9)], complete=False, end=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_existing_file_is_never_overwritten_unasked(kind: str, tmp_path: Path) -> None:
    (tmp_path / f"out{SUFFIX[kind]}").write_text("mine")
    with pytest.raises(ConfigError, match=r"exists already\. Choose another name, or add --overwrite"):
        check_outputs([spec(kind, tmp_path)])
    check_outputs([spec(kind, tmp_path, overwrite=True)])


@pytest.mark.parametrize("kind", ["events", "csv"])
def test_a_full_disk_is_said(kind: str) -> None:
    sink = make_sink(made(kind, "/dev/full"))
    with pytest.raises(OutputError, match="cannot write /dev/full: no space left on device"):
        feed(sink, [result(0, rain=0.9)])


@pytest.mark.parametrize("kind", sorted(name for name, kind in KINDS.items() if kind.per_source))
def test_sources_of_one_name_get_files_of_their_own(kind: str, tmp_path: Path) -> None:
    paths = source_paths(made(kind, str(tmp_path), "a/talk.mp4", "b/talk.mkv", "c.mp4"))
    assert [Path(path).stem for path in paths.values()] == ["talk", "talk-2", "c"]


def test_problems_are_told_all_at_once(tmp_path: Path) -> None:
    source = tmp_path / "talk.mp4"
    source.write_bytes(b"")
    with pytest.raises(ConfigError) as error:
        check_outputs(
            [
                made("jsonl", str(tmp_path / "no" / "out.jsonl")),
                made("jsonl", "-", resume=True),
                made("csv", str(tmp_path)),
                made("video", str(source), str(source), overwrite=True),
            ]
        )
    text = str(error.value)
    assert "does not exist. Make it first: mkdir -p" in text
    assert "--resume needs a file" in text
    assert "is a folder; expected a file" in text
    assert "is a source of this run and would be overwritten" in text


def test_a_kind_that_does_not_exist_is_refused_by_its_name() -> None:
    with pytest.raises(ConfigError, match=r"there is no kind 'jsnl' \(did you mean 'jsonl'\?\)"):
        made("jsnl", "out")
    with pytest.raises(ConfigError, match=r'Known: jsonl, .*; or give \[sinks.counts\] class = "package.module:Class"'):
        made("counts", "out.counts")


OWN = "tests.pipeline.sinks.test_sinks"


class Counted(Sink):
    class Options(SinkOptions):
        start: int = 0

    def open(self) -> None:
        self.count = self.options.start

    def write(self, record: ClipRecord) -> None:
        self.count += 1

    def close(self, complete: bool) -> None: ...


def test_a_config_adds_a_kind_with_options_of_its_own() -> None:
    spec = resolved(OutputSpec(kind="counts", path="x"), {"counts": {"class": f"{OWN}:Counted", "start": 3}})
    sink = make_sink(spec)
    feed(sink, [result(0), result(1)])
    assert isinstance(sink, Counted)
    assert sink.count == 5


@pytest.mark.parametrize(
    ("sinks", "problem"),
    [
        ({"csv": {"class": f"{OWN}:Counted"}}, "sinks.csv: is a built-in kind; choose another name"),
        ({"counts": {}}, 'sinks.counts: expected class = "package.module:Class"'),
        ({"counts": {"class": f"{OWN}:Counted", "suffixes": "x"}}, r"sinks.counts.suffixes is 'x'; expected a list"),
        ({"counts": {"class": f"{OWN}:Nothing"}}, r"sinks.counts.class: .* cannot be imported"),
        ({"counts": {"class": f"{OWN}:OWN"}}, r"sinks.counts.class: .* is not a sink; expected a subclass of"),
        ({"counts": {"class": f"{OWN}:Counted", "strat": 1}}, r"unknown field `strat` - at `\$.sinks.counts`.*'start'"),
    ],
)
def test_a_kind_of_the_config_that_is_wrong_is_refused(sinks: dict[str, dict[str, object]], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        make_sink(resolved(OutputSpec(kind=next(iter(sinks)), path="x"), sinks))


def test_ten_thousand_sources_of_one_name_are_named_at_once() -> None:
    sources = tuple(f"{number}/clip.mp4" for number in range(10_000))
    named = spec("vtt", Path("out"), *sources)
    named = msgspec.structs.replace(named, path="out")
    began_s = time.process_time()
    check_outputs([named])
    assert time.process_time() - began_s < 3.0
    assert len(set(source_paths(named).values())) == 10_000
