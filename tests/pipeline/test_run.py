"""Whole runs of fake stages with real processes: order, gaps, sources, resume, the end."""

import os
import signal
from pathlib import Path

import pytest

from pipeline.bus import address
from pipeline.config import make_config
from pipeline.errors import ConfigError
from pipeline.run import private_directory, run
from pipeline.status import OutputSpec
from tests.pipeline.fakes import FakeModel, fake_config
from tests.pipeline.runs import read_records, run_fakes


def test_every_clip_comes_out_in_order(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=30")
    assert ran.account.exit_code == 0
    assert ran.clips() == list(range(30))
    assert [record["tracks"][0]["id"] for record in ran.records] == list(range(1, 31))
    assert [record["labels"][0]["label"] for record in ran.records] == [f"mean {index}" for index in range(30)]
    assert ran.notices == []


def test_sources_come_out_in_the_order_they_were_given(tmp_path: Path) -> None:
    sources = ("fake:clips=5,slow_decode_ms=40", "fake:clips=6", "fake:clips=7")
    ran = run_fakes(tmp_path, *sources, decode=fake_config()["decode"] | {"workers": 3})
    found = [(record["source"], record["clip"]) for record in ran.records]
    assert found == [
        (source, index) for source, count in zip(sources, (5, 6, 7), strict=True) for index in range(count)
    ]
    assert ran.account.exit_code == 0


def test_a_source_that_cannot_be_opened_is_one_error_record(tmp_path: Path) -> None:
    sources = ("fake:clips=2", "fake:clips=9,unopenable=1", "fake:clips=3")
    ran = run_fakes(tmp_path, *sources)
    assert [(record["source"], record["clip"]) for record in ran.records] == [
        (sources[0], 0),
        (sources[0], 1),
        (sources[1], -1),
        *((sources[2], index) for index in range(3)),
    ]
    assert ran.records[2]["error"] == f"{sources[1]}: cannot be opened. Give a file that can."
    assert (ran.account.sources_failed, ran.account.exit_code) == (1, 1)


def test_a_gap_is_one_record_between_its_neighbours(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=6,gap=2+4")
    assert [(record["clip"], record["epoch"], record.get("gap", False)) for record in ran.records] == [
        (0, 0, False), (1, 0, False),
        (-1, 1, True), (2, 1, False), (3, 1, False),
        (-1, 2, True), (4, 2, False), (5, 2, False),
    ]  # fmt: skip
    assert ran.account.gaps == 2


def test_a_stage_that_raises_costs_only_its_own_outputs(tmp_path: Path) -> None:
    config = fake_config()
    config["stages"]["fake_side"] = {"class": "tests.pipeline.fakes:FakeSide"}
    config["groups"][0]["stages"] = ["fake_side", "fake_model"]
    ran = run_fakes(tmp_path, "fake:clips=8,raise_aside=3", groups=config["groups"], stages=config["stages"])
    assert ran.clips() == list(range(8))
    assert all("labels" in record for record in ran.records)
    assert [record["clip"] for record in ran.records if "failed" in record] == [3]
    assert ran.records[3]["failed"] == {"fake_side": "ValueError: asked to fail"}


def test_a_clip_without_labels_is_an_error_and_the_others_are_not(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=10,raise=4")
    assert [record["clip"] for record in ran.records if "error" in record] == [4]
    assert ran.records[4]["error"] == "fake_model: ValueError: asked to fail"
    assert (ran.account.results, ran.account.errors, ran.account.exit_code) == (9, 1, 1)


@pytest.mark.parametrize("slots", [1, 2])
def test_a_run_with_few_slots_and_many_decoders_ends(tmp_path: Path, slots: int) -> None:
    sources = [f"fake:clips={count}" for count in (0, 3, 0, 5, 2)]
    ran = run_fakes(tmp_path, *sources, decode=fake_config()["decode"] | {"workers": 3}, queue={"slots": slots})
    assert ran.account.results == 10


def test_a_run_without_sources_prepares_and_ends(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path)
    assert (ran.account.exit_code, ran.records) == (0, [])


def test_an_empty_source_is_one_error_record(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=0", "fake:clips=2")
    assert [(record["clip"], "nothing to label" in record.get("error", "")) for record in ran.records] == [
        (-1, True),
        (0, False),
        (1, False),
    ]
    assert ran.account.exit_code == 1


def test_a_resumed_run_continues_before_the_first_error_and_skips_complete_sources(tmp_path: Path) -> None:
    path, sources = tmp_path / "out.jsonl", ("fake:clips=4", "fake:clips=6,raise=3")
    config = make_config(fake_config())
    run(config, sources, [OutputSpec(path=str(path), sources=sources)])
    account = run(config, sources, [OutputSpec(path=str(path), sources=sources, resume=True)])
    assert (account.clips_before, account.clips_in) == (4 + 3, 3)
    assert [record["clip"] for record in read_records(path)] == [*range(4), *range(6)]


class LeavesAFile(FakeModel):
    def conclude(self) -> dict[str, bytes]:
        return {".notes.txt": b"done"}


def test_a_stage_can_leave_a_file_next_to_the_results(tmp_path: Path) -> None:
    stages = fake_config()["stages"] | {"fake_model": {"class": f"{__name__}:LeavesAFile"}}
    run_fakes(tmp_path, "fake:clips=1", stages=stages)
    assert (tmp_path / "out.jsonl.notes.txt").read_bytes() == b"done"
    assert {path.name for path in tmp_path.iterdir()} == {"out.jsonl", "out.jsonl.progress", "out.jsonl.notes.txt"}


def test_all_problems_are_reported_before_anything_starts(tmp_path: Path) -> None:
    config = make_config(fake_config(groups=[{"stages": ["fake_model"]}]))
    with pytest.raises(ConfigError) as caught:
        run(config, ["fake:clips=1"], [OutputSpec(kind="cvs", path=str(tmp_path / "x"))])
    unused, kind = str(caught.value).splitlines()
    assert unused.startswith("stages.fake_track: no group runs it")
    assert "there is no kind 'cvs' (did you mean 'csv'?)" in kind
    assert list(tmp_path.iterdir()) == []


def test_the_private_directory_is_private_and_its_path_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket's address has at most 107 bytes."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with private_directory() as directory:
        assert os.stat(directory).st_mode & 0o777 == 0o700
        assert len(address(directory)) < 100
    assert not os.path.exists(directory)


def test_the_signal_handlers_of_the_caller_are_restored(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run_fakes(tmp_path, "fake:clips=1")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
