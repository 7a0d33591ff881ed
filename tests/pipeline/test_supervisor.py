"""When a supervisor ends a run, with which exit code and which reports. Real processes, fake stages."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import make_config
from pipeline.processes import Processes, Worker
from pipeline.run import run
from pipeline.status import OutputSpec, Status
from pipeline.supervisor import Supervisor
from tests.pipeline.fakes import fake_config
from tests.pipeline.harassed import harassed_run
from tests.pipeline.runs import run_fakes


def with_track(name: str) -> dict[str, Any]:
    """The fakes with another class for the stage `fake_track`."""
    return {"stages": fake_config()["stages"] | {"fake_track": {"class": f"tests.pipeline.fakes:{name}"}}}


@pytest.mark.parametrize(
    ("sources", "exit_code"),
    [
        (["fake:clips=2"], 0),
        (["fake:clips=3,raise=1"], 1),
        (["fake:unopenable=1", "fake:clips=1"], 1),
        (["fake:unopenable=1", "fake:unopenable=1"], 3),
    ],
    ids=["all well", "a clip failed", "a source failed", "every source failed"],
)
def test_the_exit_code_depends_on_how_much_failed(tmp_path: Path, sources: list[str], exit_code: int) -> None:
    assert run_fakes(tmp_path, *sources).account.exit_code == exit_code


def test_the_status_adds_up_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.supervisor.STATUS_S", 0.0)
    monkeypatch.setattr("pipeline.supervisor.TIMER_S", 0.0)
    seen: list[Status] = []
    sources = ("fake:clips=40,slow_decode_ms=5,raise=7", "fake:clips=2")
    outputs = [OutputSpec(path=str(tmp_path / "out.jsonl"), sources=sources)]
    run(make_config(fake_config()), sources, outputs, on_status=seen.append)
    assert all(each.clips_in == each.results + each.errors + each.drops + each.in_flight for each in seen)
    assert [phase for phase in ("prepare", "run") if phase in {each.phase for each in seen}] == ["prepare", "run"]
    assert max(each.in_flight for each in seen) > 0
    assert [each.results for each in seen] == sorted(each.results for each in seen)
    assert {each.position.source_count for each in seen} == {2}


# -- stages that open early --------------------------------------------------------------------------------------------

EARLY = {
    "fake_model": {"class": "tests.pipeline.fakes:OpensEarly"},
    "fake_track": {"class": "tests.pipeline.fakes:PreparesLate"},
}


@pytest.mark.parametrize("groups", [2, 1])
def test_a_stage_that_needs_nothing_prepared_opens_beside_it(tmp_path: Path, groups: int) -> None:
    together = [{"name": "all", "stages": ["fake_model", "fake_track"]}]
    sections: dict[str, Any] = {"groups": together} if groups == 1 else {}
    late = EARLY["fake_track"] | {"opened": groups}
    ran = run_fakes(tmp_path, "fake:clips=5", stages=EARLY | {"fake_track": late}, **sections)
    assert ran.account.exit_code == 0
    assert ran.clips() == list(range(5))


def test_a_worker_that_dies_while_it_waits_for_what_is_prepared_is_replaced(tmp_path: Path) -> None:
    killed = list[int]()

    def kill_one(supervisor: Supervisor) -> None:
        if not killed and supervisor._half_open:
            os.kill(supervisor._half_open[0].pid, signal.SIGKILL)
            killed.append(supervisor._half_open[0].pid)

    late = EARLY["fake_track"] | {"opened": 3}
    ran, _ = harassed_run(tmp_path, kill_one, "fake:clips=5", stages=EARLY | {"fake_track": late})
    assert killed
    assert ran.account.exit_code == 0
    assert ran.clips() == list(range(5))


# -- the model or the config is at fault ------------------------------------------------------------------------------


def test_a_run_whose_first_clips_all_fail_the_same_way_stops_with_the_reason(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=500,raise_always=1")
    assert ran.account.exit_code == 4
    assert ran.account.messages == ("the first clips all failed the same way: ValueError: asked to fail",)
    assert ran.account.results == 0
    assert len(ran.records) < 400


def test_a_run_whose_first_clips_all_kill_their_worker_stops_with_the_reason(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=50,die=" + "+".join(map(str, range(50))))
    assert ran.account.exit_code == 4
    assert ran.account.messages == ("the first clips all failed the same way: killed by SIGKILL",)


def test_a_stage_that_dies_while_loading_stops_the_run_with_its_last_words(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=5", **with_track("DiesLoading"))
    assert ran.account.exit_code == 4
    assert "track: exited with code 7, 3 times while loading" in ran.account.messages[0]
    assert "these are my last words" in ran.account.messages[0]


def test_a_stage_that_cannot_open_stops_the_run_with_its_reason(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=5", **with_track("CannotOpen"))
    assert ran.account.exit_code == 4
    assert ran.account.messages == ("track: model.bin: is missing. Download it.",)


def test_a_stage_that_cannot_prepare_stops_the_run_with_its_reason(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=5", **with_track("CannotPrepare"))
    assert ran.account.exit_code == 4
    assert ran.account.messages == ("model.bin: is missing. Download it.",)


def test_a_run_that_fails_before_its_output_is_ready_still_closes_it(tmp_path: Path) -> None:
    def hold_the_sink(supervisor: Supervisor) -> None:
        sink = supervisor.outlet.worker
        if sink and sink.pid and supervisor.processes.workers.get(sink.id) is sink:
            failed_a_while_ago = supervisor.outlet.stopping_s(time.monotonic()) > 0.5
            os.kill(sink.pid, signal.SIGCONT if failed_a_while_ago else signal.SIGSTOP)

    ran, supervisor = harassed_run(tmp_path, hold_the_sink, "fake:clips=5", **with_track("CannotPrepare"))
    assert ran.account.exit_code == 4
    assert supervisor.outlet.is_closed


# -- the output process -----------------------------------------------------------------------------------------------


def test_the_death_of_the_output_process_ends_the_run(tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_sink(supervisor: Supervisor) -> None:
        sink = next((each for each in supervisor.processes.workers.values() if each.role == "sink"), None)
        if supervisor.ledger.counts.results > 5 and not killed and sink is not None and sink.pid:
            killed.append(sink.pid)
            os.kill(sink.pid, signal.SIGKILL)

    ran, _ = harassed_run(tmp_path, kill_sink, "fake:clips=300,slow_decode_ms=5")
    assert ran.account.exit_code == 5
    assert ran.account.messages == ("the output process killed by SIGKILL; use --resume to continue",)


def test_the_last_message_of_the_output_process_counts_even_after_its_exit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = Supervisor._receive

    def late(supervisor: Supervisor, most: int = 1_000) -> bool:
        """Its last message arrives after its exit was noticed."""
        output = supervisor.outlet.worker
        if supervisor.outlet.stopping_s(time.monotonic()) and output is not None and output.status is None:
            return False
        return receive(supervisor, most)

    monkeypatch.setattr(Supervisor, "_receive", late)
    ran = run_fakes(tmp_path, "fake:clips=5")
    assert (ran.account.exit_code, ran.account.messages, ran.clips()) == (0, (), list(range(5)))


@pytest.mark.parametrize(
    ("name", "stage", "messages"),
    [("prepare", "FakeTrack", ()), ("track", "CannotOpen", ("track: model.bin: is missing. Download it.",))],
)
def test_the_last_message_of_a_process_counts_even_after_its_exit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, stage: str, messages: tuple[str, ...]
) -> None:
    """On a busy machine an exit may be noticed before the message that was sent first."""
    receive = Supervisor._receive

    def late(supervisor: Supervisor, most: int = 1_000) -> bool:
        """No message arrives before the exit of this process was noticed."""
        if any(worker.name == name for worker in supervisor.processes.workers.values()):
            return False
        return receive(supervisor, most)

    monkeypatch.setattr(Supervisor, "_receive", late)
    ran = run_fakes(tmp_path, "fake:clips=5", **with_track(stage))
    assert [notice.text for notice in ran.notices if notice.level != "debug"] == []
    assert ran.account.messages == messages


def test_the_last_messages_of_processes_that_exit_together_all_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive, died = Supervisor._receive, Processes.died
    ended: dict[str, tuple[Worker, str]] = {}

    def together(processes: Processes) -> list[tuple[Worker, str]]:
        """The deaths of both are noticed in one call."""
        dead = died(processes)
        if len(ended) == 2:
            return dead
        ended.update({worker.name: (worker, cause) for worker, cause in dead})
        return list(ended.values()) if len(ended) == 2 else []

    def late(supervisor: Supervisor, most: int = 1_000) -> bool:
        """No message arrives between the start of the stage and the death of both."""
        names = {worker.name for worker in supervisor.processes.workers.values()}
        return False if len(ended) < 2 and "track" in names | set(ended) else receive(supervisor, most)

    monkeypatch.setattr(Supervisor, "_receive", late)
    monkeypatch.setattr(Processes, "died", together)
    ran = run_fakes(tmp_path, "fake:clips=5", **with_track("CannotOpen"))
    assert set(ended) == {"prepare", "track"}
    assert [notice.text for notice in ran.notices if notice.level != "debug"] == []
    assert ran.account.messages == ("track: model.bin: is missing. Download it.",)


# -- an interrupt -----------------------------------------------------------------------------------------------------


def interrupt(supervisor: Supervisor) -> None:
    if supervisor.ledger.counts.results >= 3 and not supervisor._interrupts:
        supervisor.interrupt()


@pytest.mark.slow
def test_after_an_interrupt_a_hung_clip_is_waited_for_only_until_the_deadline(tmp_path: Path) -> None:
    model = {
        "name": "model",
        "stages": ["fake_model"],
        "workers": 2,
        "latest": True,
    }  # no answer waits for the next clip
    groups = [model, {"name": "track", "stages": ["fake_track"]}]
    sections = {"groups": groups, "queue": {"credit": 1}, "deadlines": {"drain_s": 1.0}}
    ran, _ = harassed_run(tmp_path, interrupt, "fake:clips=300,hang=3,slow_decode_ms=5", **sections)
    assert ran.account.exit_code == 130
    assert ran.account.in_flight > 0
    assert ran.clips() == [0, 1, 2]


@pytest.mark.slow
def test_a_decoder_that_hangs_after_an_interrupt_is_killed_and_not_replaced(tmp_path: Path) -> None:
    ran, _ = harassed_run(tmp_path, interrupt, "fake:clips=50,decode_hang=3", deadlines={"decode_s": 1.0})
    assert ran.clips() == [0, 1, 2]
    assert (ran.account.exit_code, ran.account.in_flight) == (130, 0)
    assert ran.account.elapsed_s < 40, "a drain takes 60 s at most"
