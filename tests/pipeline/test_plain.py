"""The plain loop does in one process what the processes of a run do together."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.build import make_plan
from pipeline.config import make_config
from pipeline.errors import ModelError, PerceptError, SourceError
from pipeline.plain import PlainLoop, make_reader, refuse_failed
from pipeline.plan import Plan
from pipeline.result import Label, Track
from pipeline.stage import Resources
from tests.pipeline.fakes import CLIP_NS, FakeModel, FakeReader, FakeTrack, ReaderOptions, fake_config
from tests.pipeline.runs import run_fakes

HERE = "tests.pipeline.test_plain"
made: list["Watched"] = []
"""The readers of this module, in the order they were made."""


class Watched(FakeReader):
    """A reader whose clips are as long as its options say, and that records whether it is closed."""

    def __init__(self, source: str, source_index: int, options: ReaderOptions) -> None:
        super().__init__(source, source_index, options)
        self.options, self.closed = options, 0
        made.append(self)

    def close(self) -> None:
        self.closed += 1


class Watching(FakeModel):
    """Reports what it prepares, and counts how often it is open."""

    open_now = 0

    def prepare(self, report: Callable[[str], None]) -> None:
        report("building nothing")

    def open(self, resources: Resources) -> None:
        type(self).open_now += 1

    def close(self) -> None:
        type(self).open_now -= 1


class CannotOpen(FakeTrack):
    def open(self, resources: Resources) -> None:
        raise ModelError("model.bin: is missing")


def plan_of(**classes: str) -> Plan:
    """The fakes, with other classes for some stages, and the reader of this module."""
    config = fake_config()
    config["decode"]["factory"] = f"{HERE}:Watched"
    for name, path in classes.items():
        config["stages"][name] = {"class": path if ":" in path else f"tests.pipeline.fakes:{path}"}
    return make_plan(make_config(config))


@pytest.fixture(autouse=True)
def readers() -> Iterator[list[Watched]]:
    made.clear()
    yield made
    assert all(reader.closed == 1 for reader in made)


def values(passed: Any, name: str) -> list[Any]:
    return [each.values.get(name) for each in passed]


def test_it_gives_what_a_run_gives(tmp_path: Path) -> None:
    source = "fake:clips=12,gap=5"
    ran = run_fakes(tmp_path, source)
    with PlainLoop(plan_of()) as loop:
        passed = list(loop.run(source))
    records = [record for record in ran.records if not record.get("gap")]
    assert [each.info.index for each in passed] == [record["clip"] for record in records]
    for name, kind in (("labels", list[Label]), ("tracks", list[Track])):
        assert [msgspec.convert(each.values[name], kind) for each in passed] == [
            msgspec.convert(record[name], kind) for record in records
        ]
    assert all(each.absent == {"audio": "no_stream"} and not each.failed for each in passed)
    assert all("frames" in each.values for each in passed), "what was decoded is there as well"


@pytest.mark.parametrize("batch", [1, 5])
def test_clips_that_show_the_same_have_the_answers_of_the_kept_one_and_tracks_of_their_own(
    tmp_path: Path, batch: int
) -> None:
    source = "fake:clips=12,kept=1+6,same=2+3+7+8+11"
    ran = run_fakes(tmp_path, source)
    with PlainLoop(plan_of()) as loop:
        passed = list(loop.run(source, batch=batch))
    means = [0, 1, 1, 1, 4, 5, 6, 6, 6, 9, 10, 6]
    assert [labels[0]["label"] for labels in values(passed, "labels")] == [f"mean {mean}" for mean in means]
    assert [record["labels"][0]["label"] for record in ran.records] == [f"mean {mean}" for mean in means]
    assert [record["clip"] for record in ran.records if record.get("reused")] == [2, 3, 7, 8, 11]
    assert [[track["id"] for track in record["tracks"]] for record in ran.records] == [
        [track["id"] for track in tracks] for tracks in values(passed, "tracks")
    ]
    assert ran.account.reused == 5


def test_only_the_stages_of_the_arrays_asked_for_run() -> None:
    with PlainLoop(plan_of()) as loop:
        assert list(loop.stages) == ["fake_model", "fake_track"]
    with PlainLoop(plan_of(), arrays={"mean"}) as loop:
        assert list(loop.stages) == ["fake_model"]
        (passed,) = loop.run("fake:clips=1")
    assert "labels" in passed.values
    assert "tracks" not in passed.values


def test_groups_run_in_the_order_of_their_needs_not_of_the_config() -> None:
    config = fake_config()
    config["groups"].reverse()
    with PlainLoop(make_plan(make_config(config))) as loop:
        assert list(loop.stages) == ["fake_model", "fake_track"]
        assert [tracks[0]["id"] for tracks in values(loop.run("fake:clips=3"), "tracks")] == [1, 2, 3]


def test_a_fold_carries_its_state_through_a_source_and_begins_again_with_the_next() -> None:
    with PlainLoop(plan_of()) as loop:
        for batch in (1, 3):
            for source in ("fake:clips=4", "fake:clips=2"):
                ids = [tracks[0]["id"] for tracks in values(loop.run(source, batch=batch), "tracks")]
                assert ids == list(range(1, 1 + int(source[-1])))


def test_a_batch_goes_through_the_stages_together() -> None:
    with PlainLoop(plan_of(fake_model="FakeBatch")) as loop:
        last = [labels[-1]["label"] for labels in values(loop.run("fake:clips=5", batch=2), "labels")]
        assert last == [*["2 of 1"] * 4, "mean 4"]


def test_a_stage_that_fails_costs_only_its_own_values() -> None:
    with PlainLoop(plan_of()) as loop:
        passed = list(loop.run("fake:clips=3,raise=1"))
    assert [each.failed for each in passed] == [{}, {"fake_model": "ValueError: asked to fail"}, {}]
    assert passed[1].absent["labels"] == "failed"
    with pytest.raises(PerceptError, match="talk: clip 1: fake_model: ValueError: asked to fail"):
        refuse_failed(passed, "talk")
    refuse_failed(passed[:1], "talk")


@pytest.mark.parametrize(
    ("source", "error"), [("fake:unopenable=1", SourceError), ("fake:clips=5,break=2", ValueError)]
)
def test_the_reader_is_closed_when_it_fails(source: str, error: type[Exception], readers: list[Watched]) -> None:
    with PlainLoop(plan_of()) as loop, pytest.raises(error):
        list(loop.run(source))
    assert [reader.closed for reader in readers] == [1]


def test_the_reader_is_closed_when_the_rest_is_not_wanted(readers: list[Watched]) -> None:
    with PlainLoop(plan_of()) as loop:
        clips = loop.run("fake:clips=5")
        next(clips)
        clips.close()  # type: ignore[attr-defined]
    assert [reader.closed for reader in readers] == [1]


def test_changes_replace_options_of_the_reader(readers: list[Watched]) -> None:
    with PlainLoop(plan_of()) as loop:
        list(loop.run("fake:clips=1"))
        list(loop.run("fake:clips=1", source_index=4, clip_ns=5))
    assert [(reader.options.clip_ns, reader.source_index) for reader in readers] == [(CLIP_NS, 0), (5, 4)]
    reader = make_reader(plan_of(), "fake:clips=1", clip_ns=7)
    assert readers[-1] is reader
    assert readers[-1].options.clip_ns == 7
    reader.close()


def test_stages_are_prepared_opened_and_closed() -> None:
    steps: list[str] = []
    with PlainLoop(plan_of(fake_model=f"{HERE}:Watching"), report=steps.append):
        assert Watching.open_now == 1
    assert steps == ["building nothing"]
    assert Watching.open_now == 0


def test_when_a_stage_cannot_open_the_others_are_closed() -> None:
    plan = plan_of(fake_model=f"{HERE}:Watching", fake_track=f"{HERE}:CannotOpen")
    with pytest.raises(ModelError, match=r"model\.bin: is missing"), PlainLoop(plan):
        pass
    assert Watching.open_now == 0
