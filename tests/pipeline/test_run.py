"""Whole runs of fake stages with real processes: order, gaps, sources, ends."""

from pathlib import Path

import pytest

from tests.pipeline.fakes import fake_config
from tests.pipeline.runs import run_fakes


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
    told = [(record["source"], record["clip"]) for record in ran.records]
    assert told == [(source, index) for source, count in zip(sources, (5, 6, 7), strict=True) for index in range(count)]
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


def test_when_no_source_can_be_opened_the_exit_code_says_so(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=9,unopenable=1")
    assert ran.account.exit_code == 3


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


def test_losing_the_labels_makes_a_clip_an_error_and_nothing_else(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=10,raise=4")
    assert [record["clip"] for record in ran.records if "error" in record] == [4]
    assert ran.records[4]["error"] == "fake_model: ValueError: asked to fail"
    assert (ran.account.results, ran.account.errors, ran.account.exit_code) == (9, 1, 1)


@pytest.mark.parametrize("slots", [1, 2])
def test_few_slots_and_many_decoders_end(tmp_path: Path, slots: int) -> None:
    sources = [f"fake:clips={count}" for count in (0, 3, 0, 5, 2)]
    ran = run_fakes(tmp_path, *sources, decode=fake_config()["decode"] | {"workers": 3}, queue={"slots": slots})
    assert ran.account.results == 10


def test_a_run_over_nothing_prepares_and_ends(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path)
    assert (ran.account.exit_code, ran.records) == (0, [])


def test_a_source_with_nothing_in_it_is_answered(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=0", "fake:clips=2")
    assert [(record["clip"], "nothing to label" in record.get("error", "")) for record in ran.records] == [
        (-1, True),
        (0, False),
        (1, False),
    ]
    assert ran.account.exit_code == 1
