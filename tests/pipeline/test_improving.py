"""Engines that are built while clips are already processed: workers are replaced, and nothing is lost."""

import os
import signal
import time
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import make_config
from pipeline.run import run
from pipeline.status import Notice, OutputSpec, Status
from pipeline.supervisor import STILL_BUILDING, Supervisor
from tests.pipeline.fakes import fake_config
from tests.pipeline.harassed import assert_nothing_leaked, harassed_run
from tests.pipeline.runs import read_records, run_fakes

LONG = "fake:clips=200,slow_decode_ms=10"


def improving(**options: Any) -> dict[str, Any]:
    """The fakes with a model that improves."""
    return {"stages": fake_config()["stages"] | {"fake_model": {"class": "tests.pipeline.fakes:Improves", **options}}}


def grades(records: list[dict[str, Any]]) -> list[str]:
    """The engine of each clip, repetitions left out; every clip says truly what it ran on."""
    assert all(record["labels"][0]["label"] == record["engine"] for record in records)
    return [grade for grade, _ in groupby(record["engine"] for record in records)]


def test_workers_are_replaced_during_a_run_and_no_clip_is_lost(tmp_path: Path) -> None:
    ran, supervisor = harassed_run(tmp_path, lambda supervisor: None, LONG, LONG, **improving(build_s=0.3))
    assert ran.clips() == [*range(200), *range(200)]
    assert [record["tracks"][0]["id"] for record in ran.records] == [*range(1, 201), *range(1, 201)]
    assert ran.account.exit_code == 0
    assert ran.account.errors == 0
    assert grades(ran.records)[0] == "first"
    assert grades(ran.records)[-1] == "better"
    assert {record["engine"] for record in ran.records[350:]} == {"better"}
    assert supervisor.ledger.counts.deaths == 0
    assert_nothing_leaked(supervisor)


@pytest.mark.parametrize(
    "groups",
    [
        [{"name": "all", "stages": ["fake_model", "fake_track"]}],
        [{"name": "model", "stages": ["fake_model"], "batch": 4, "wait_ms": 20.0}, fake_config()["groups"][1]],
    ],
    ids=["ordered", "batching"],
)
def test_every_kind_of_group_is_replaced(tmp_path: Path, groups: list[dict[str, Any]]) -> None:
    ran = run_fakes(tmp_path, LONG, groups=groups, **improving(build_s=0.3))
    assert ran.clips() == list(range(200))
    assert [record["tracks"][0]["id"] for record in ran.records] == list(range(1, 201))
    assert grades(ran.records)[0] == "first"
    assert ran.records[-1]["engine"] == "better"


def test_what_is_no_better_replaces_nobody(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, LONG, **improving(fate="same"))
    assert grades(ran.records) == ["first"]


def test_a_short_run_writes_all_results_and_then_waits_for_the_build(tmp_path: Path) -> None:
    path, sources, phases = tmp_path / "out.jsonl", ("fake:clips=3",), set[str]()
    written: list[int] = []

    def note(notice: Notice) -> None:
        if notice.text == STILL_BUILDING:
            written.append(len(read_records(path)))

    def look(status: Status) -> None:
        phases.add(status.phase)

    config = make_config(fake_config(**improving(build_s=2.5)))
    outputs = [OutputSpec(path=str(path), sources=sources)]
    began_s = time.monotonic()
    account = run(config, sources, outputs, on_notice=note, on_status=look)
    assert time.monotonic() - began_s > 2.5
    assert account.exit_code == 0
    assert written == [3]
    assert "build" in phases


def test_ctrl_c_while_only_engines_are_built_ends_a_complete_run(tmp_path: Path) -> None:
    def interrupt(supervisor: Supervisor) -> None:
        if supervisor.outlet.is_closed and not supervisor._interrupts:
            supervisor.interrupt()

    ran, _ = harassed_run(tmp_path, interrupt, "fake:clips=3", **improving(build_s=600.0))
    assert ran.clips() == [0, 1, 2]
    assert ran.account.exit_code == 0
    assert not ran.account.interrupted
    assert not ran.notices_with("interrupted")


def test_the_death_of_the_builder_after_the_last_result_ends_the_run(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=3", **improving(fate="die", build_s=3.0))
    assert ran.account.exit_code == 0
    assert ran.clips() == [0, 1, 2]
    assert {notice.level for notice in ran.notices_with("engines are built in a later run")} == {"warning"}


def test_the_account_comes_before_the_build_and_does_not_count_it(tmp_path: Path) -> None:
    path, sources, order = tmp_path / "out.jsonl", ("fake:clips=3",), list[str]()
    outputs = [OutputSpec(path=str(path), sources=sources)]
    account = run(
        make_config(fake_config(**improving(build_s=3.0))),
        sources,
        outputs,
        on_notice=lambda notice: order.append(notice.text),
        on_complete=lambda account: order.append(f"complete: {account.results}"),
    )
    assert order.index("complete: 3") < order.index(STILL_BUILDING)
    assert sum(text.startswith("complete") for text in order) == 1
    assert account.elapsed_s < 3.0


def test_a_worker_that_dies_while_its_successor_loads_is_replaced_once(tmp_path: Path) -> None:
    killed: list[int] = []
    crowd: list[int] = []

    def kill(supervisor: Supervisor) -> None:
        workers = supervisor.processes.workers.values()
        crowd.append(sum(each.role == "group" and each.group == 0 for each in workers))
        for before in supervisor._successors.values():
            if before.pid and before.pid not in killed:
                os.kill(before.pid, signal.SIGKILL)
                killed.append(before.pid)

    ran, supervisor = harassed_run(tmp_path, kill, LONG, LONG, **improving(build_s=0.2, load_s=1.0))
    assert len(killed) == 2
    assert ran.clips() == [*range(200), *range(200)]
    assert grades(ran.records)[-1] == "better"
    assert max(crowd) <= 4  # two, and for a while their successors
    assert crowd[-1] <= 2
    assert_nothing_leaked(supervisor)


@pytest.mark.parametrize(
    ("fate", "warning"),
    [
        ("raise", "fake_model: nothing faster could be built: ValueError: asked to fail"),
        ("die", "killed by SIGKILL"),
        ("closed", "better.bin: cannot be opened.; the worker that it should have replaced goes on"),
    ],
)
def test_a_failed_improvement_is_a_warning(tmp_path: Path, fate: str, warning: str) -> None:
    ran = run_fakes(tmp_path, LONG, **improving(fate=fate, build_s=0.2))
    assert ran.account.exit_code == 0
    assert ran.clips() == list(range(200))
    assert grades(ran.records) == ["first"]
    assert {notice.level for notice in ran.notices_with(warning)} == {"warning"}


def test_a_successor_that_is_killed_while_it_loads_leaves_the_old_worker_in_place(tmp_path: Path) -> None:
    killed: list[int] = []

    def kill(supervisor: Supervisor) -> None:
        for each in supervisor.processes.workers.values():
            if each.id in supervisor._successors and each.pid and each.pid not in killed:
                os.kill(each.pid, signal.SIGKILL)
                killed.append(each.pid)

    ran, supervisor = harassed_run(tmp_path, kill, LONG, **improving(build_s=0.2, load_s=30.0))
    assert len(killed) == 2
    assert grades(ran.records) == ["first"]
    assert ran.clips() == list(range(200))
    assert ran.account.exit_code == 0
    assert_nothing_leaked(supervisor)
