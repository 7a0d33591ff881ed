"""A clip, a process or a source that fails costs only itself and is named. Real processes, fake stages."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from pipeline.supervisor import Supervisor
from tests.pipeline.fakes import fake_config
from tests.pipeline.harassed import Killer, assert_nothing_leaked, harassed_run
from tests.pipeline.runs import run_fakes, without_tries

QUICK = {"deadlines": {"clip_s": 0.5, "decode_s": 0.5, "open_s": 0.5}}


def staged(name: str, **options: Any) -> dict[str, Any]:
    """The fakes with another class, or other options, for one stage."""
    stages = fake_config()["stages"]
    stages[name] = stages[name] | options
    return {"stages": stages}


# -- deaths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wish", ["die", "track_die", "decode_die"])
def test_a_clip_that_kills_its_worker_becomes_one_error_record(tmp_path: Path, wish: str) -> None:
    ran = run_fakes(tmp_path, f"fake:clips=20,{wish}=7", "fake:clips=4")
    assert ran.clips() == [*range(20), *range(4)]
    assert [record["clip"] for record in ran.records if "error" in record] == [7]
    where = {"die": "model", "track_die": "track", "decode_die": "decode"}[wish]
    assert ran.records[7]["error"] == f"{where}: killed by SIGKILL; given up after 3 tries"
    assert (ran.account.results, ran.account.errors, ran.account.exit_code) == (23, 1, 1)
    assert all(record.get("tries", 1) == 1 for record in ran.records if record["clip"] != 7)
    ids = [record["tracks"][0]["id"] for record in ran.records[:20] if "error" not in record]
    assert ids == list(range(1, 20)), "a retry repeats nothing in the fold"


def test_several_clips_that_kill_cost_one_record_each(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=30,die=3+4+20,decode_die=9+10,track_die=15")
    assert ran.clips() == list(range(30))
    assert [record["clip"] for record in ran.records if "error" in record] == [3, 4, 9, 10, 15, 20]


def test_a_source_that_no_decoder_survives_is_given_up(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=40,decode_die=" + "+".join(map(str, range(2, 40))), "fake:clips=3")
    assert [record["clip"] for record in ran.records] == [*range(7), -1, 0, 1, 2]
    assert "given up after 3 tries" in ran.records[7]["error"]
    assert (ran.account.results, ran.account.sources_failed) == (5, 1)


# -- hangs ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_worker_that_hangs_is_reported_killed_and_replaced(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=8,hang=3", **QUICK)
    assert ran.clips() == list(range(8))
    assert "error" in ran.records[3]
    assert "model: hung: working clip 3 of source 0" in ran.records[3]["error"]
    assert [record["clip"] for record in ran.records if "error" in record] == [3]
    hung = ran.notices_with("hung: working clip 3 of source 0 for")
    assert hung[0].text.startswith(("model-1 (pid ", "model-2 (pid "))
    dumps = [notice.fields["detail"] for notice in hung if notice.fields]
    assert dumps
    assert all("fakes.py" in str(dump) and "in process" in str(dump) for dump in dumps), dumps


@pytest.mark.slow
def test_a_decoder_that_hangs_has_a_deadline_of_its_own(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=6,decode_hang=2", deadlines={"decode_s": 0.5})
    assert ran.clips() == list(range(6))
    assert [record["clip"] for record in ran.records if "error" in record] == [2]
    assert "decode: hung: decoding clip 2 of source 0" in ran.records[2]["error"]


@pytest.mark.slow
def test_a_source_that_hangs_while_it_opens_is_given_up(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=6,open_hang=1", "fake:clips=2", **QUICK)
    assert ran.clips() == [-1, 0, 1]
    assert "decode: hung: opening" in ran.records[0]["error"]
    assert ran.account.sources_failed == 1


# -- readers and stages that break their promises ---------------------------------------------------------------------


def test_a_clip_that_decode_leaves_out_is_reported(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=6,skip=3", "fake:clips=2")
    assert ran.clips() == [0, 1, 2, -1, 0, 1]
    assert ran.records[3]["error"].endswith("decode sent 6 clips; expected them in order, got 3")
    assert ran.account.exit_code == 1


def test_a_reader_that_breaks_ends_its_source_after_the_clips_it_sent(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=6,break=3", "fake:clips=2")
    assert ran.clips() == [0, 1, 2, -1, 0, 1]
    assert ran.records[3]["error"] == "fake:clips=6,break=3: ValueError: the container is broken"


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ("oversize", "SlotError: big: float32 (1000,) (4,000 bytes) does not fit"),
        ("wrong_type", "ValueError: big must be float32 (N), got float64 (10,)"),
        ("wrong_shape", "ValueError: big must be float32 (N), got float32 (2, 5)"),
        ("forgotten", "KeyError: 'big was declared but not given"),
        ("unpackable", "TypeError: Encoding objects of type"),
    ],
)
def test_an_output_that_cannot_be_passed_on_costs_only_itself(tmp_path: Path, wish: str, error: str) -> None:
    config = fake_config()
    config["stages"] |= {
        "fake_greedy": {"class": "tests.pipeline.fakes:Greedy"},
        "fake_reader": {"class": "tests.pipeline.fakes:ReadsGreedy"},
    }
    config["groups"].insert(0, {"stages": ["fake_greedy"], "name": "greedy"})
    config["groups"].append({"stages": ["fake_reader"], "name": "reader"})
    ran = run_fakes(tmp_path, f"fake:clips=6,{wish}=2", groups=config["groups"], stages=config["stages"])
    assert ran.notices == []
    assert ran.account.results == 6
    assert [record["clip"] for record in ran.records if "failed" in record] == [2]
    assert ran.records[2]["failed"]["fake_greedy"].startswith(error)


# -- random kills -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_after_many_random_kills_the_results_are_those_of_a_clean_run(tmp_path: Path, seed: int) -> None:
    sources = ("fake:clips=150,slow_decode_ms=5,gap=60", "fake:clips=0", "fake:clips=150,slow_decode_ms=5")
    sections = staged("fake_model", busy_ms=10.0)
    clean = run_fakes(tmp_path, *sources, **sections)
    killer = Killer(seed, kills=24, every_clips=10)
    ran, supervisor = harassed_run(tmp_path, killer, *sources, **sections)
    assert killer.left == 0, "the run ended before all kills"
    assert ran.account.errors == 0, [record["error"] for record in ran.records if "error" in record]
    assert without_tries(ran.records) == without_tries(clean.records)
    assert_nothing_leaked(supervisor)


@pytest.mark.slow
def test_slots_and_memory_do_not_grow_over_thousands_of_clips(tmp_path: Path) -> None:
    samples: list[tuple[int, int]] = []
    killer = Killer(3, kills=10, every_clips=350)

    def harass(supervisor: Supervisor) -> None:
        killer(supervisor)
        samples.append((supervisor.ledger.counts.clips_in, resident_bytes()))

    ran, supervisor = harassed_run(tmp_path, harass, "fake:clips=2500", "fake:clips=2500")
    assert ran.account.results == 5_000
    assert_nothing_leaked(supervisor)
    early = max(size for clips, size in samples if 1_000 <= clips <= 2_500)
    late = max(size for clips, size in samples if clips >= 2_500)
    assert late - early < 2_000_000, (early, late)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.parametrize("role", ["group", "decode"])
def test_a_worker_that_is_stopped_counts_as_hung(tmp_path: Path, role: str) -> None:
    stopped: list[int] = []

    def stop_one(supervisor: Supervisor) -> None:
        if not stopped and supervisor.ledger.counts.results > 5:
            workers = supervisor.processes.workers.values()
            known = [each for each in workers if each.ready and each.pid and each.role == role]
            for worker in known[:1]:
                os.kill(worker.pid, signal.SIGSTOP)
                stopped.append(worker.pid)

    ran, _ = harassed_run(tmp_path, stop_one, "fake:clips=60,slow_decode_ms=10", **QUICK)
    assert ran.clips() == list(range(60))
    assert ran.account.results == 60
    assert stopped
    assert any(f"(pid {stopped[0]}) hung: " in notice.text for notice in ran.notices)


@pytest.mark.slow
def test_a_fork_server_that_is_stopped_is_replaced(tmp_path: Path) -> None:
    stopped: list[int] = []

    def stop_server(supervisor: Supervisor) -> None:
        if not stopped and supervisor.ledger.counts.results > 5:
            server = supervisor.processes._servers["light"]
            workers = supervisor.processes.workers.values()
            for victim in [each for each in workers if each.name == "track" and each.pid][:1]:
                os.kill(server.process.pid, signal.SIGSTOP)
                os.kill(victim.pid, signal.SIGKILL)
                stopped.append(server.process.pid)

    ran, _ = harassed_run(tmp_path, stop_server, "fake:clips=60,slow_decode_ms=10", deadlines={"load_s": 2.0})
    assert ran.clips() == list(range(60))
    assert ran.account.results == 60
