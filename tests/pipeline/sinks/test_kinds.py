"""The kinds of output: built-in ones, and those that a config adds."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.result import ClipRecord
from pipeline.sinks.jsonl import Jsonl
from pipeline.sinks.kinds import KINDS, kinds_of, make_sink, resolved, sink_class
from pipeline.sinks.resumed import Resumed
from pipeline.sinks.sink import Sink, SinkOptions
from pipeline.status import OutputSpec
from tests.pipeline.sinks.records import feed, result

OWN = "tests.pipeline.sinks.test_kinds"


class Counted(Sink):
    class Options(SinkOptions):
        start: int = 0

    def open(self) -> None:
        self.count = self.options.start

    def write(self, record: ClipRecord) -> None:
        self.count += 1

    def close(self, complete: bool) -> None: ...


def made(kind: str, path: str = "x", sinks: dict[str, dict[str, Any]] | None = None, **more: Any) -> Sink:
    return make_sink(resolved(OutputSpec(kind=kind, path=path, **more), sinks or {}))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_built_in_kind_names_a_sink(kind: str) -> None:
    spec = resolved(OutputSpec(kind=kind), {})
    assert issubclass(sink_class(spec), Sink)
    assert spec.per_source == KINDS[kind].per_source


def test_no_two_kinds_share_a_suffix() -> None:
    suffixes = [suffix for kind in KINDS.values() for suffix in kind.suffixes]
    assert len(suffixes) == len(set(suffixes))


def test_a_kind_that_does_not_exist_is_refused_by_its_name() -> None:
    with pytest.raises(ConfigError, match=r"there is no kind 'jsnl' \(did you mean 'jsonl'\?\)"):
        made("jsnl")
    with pytest.raises(ConfigError, match=r'Known: jsonl, .*; or give \[sinks.counts\] class = "package.module:Class"'):
        made("counts")


def test_a_config_adds_a_kind_with_options_of_its_own() -> None:
    sink = made("counts", sinks={"counts": {"class": f"{OWN}:Counted", "start": 3}})
    feed(sink, [result(0), result(1)])
    assert isinstance(sink, Counted)
    assert sink.count == 5


@pytest.mark.parametrize(
    ("options", "suffixes", "per_source"),
    [
        ({}, (".counts",), ""),
        ({"suffixes": [".count", ".cnt"]}, (".count", ".cnt"), ""),
        ({"suffixes": [".count", ".cnt"], "per_source": True}, (".count", ".cnt"), ".count"),
        ({"suffixes": [], "per_source": True}, (), ""),
    ],
)
def test_a_kind_of_the_config_has_the_suffix_of_its_name_or_those_it_is_given(
    options: dict[str, Any], suffixes: tuple[str, ...], per_source: str
) -> None:
    kind = kinds_of({"counts": {"class": f"{OWN}:Counted", **options}})["counts"]
    assert (kind.suffixes, kind.per_source) == (suffixes, per_source)


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
        made(next(iter(sinks)), sinks=sinks)


def test_all_wrong_kinds_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        kinds_of({"csv": {}, "counts": {}, "more": {"class": f"{OWN}:Counted", "suffixes": [5]}})
    assert len(str(caught.value).splitlines()) == 3


def test_only_a_kind_other_than_json_lines_is_replayed_on_resume(tmp_path: Path) -> None:
    lines = str(tmp_path / "out.jsonl")
    assert isinstance(made("csv", resume=True, resume_from=lines), Resumed)
    assert not isinstance(made("csv", resume=True), Resumed), "there is nothing to replay"
    assert not isinstance(made("csv", resume_from=lines), Resumed)
    assert isinstance(made("jsonl", lines, resume=True, resume_from=lines), Jsonl)
