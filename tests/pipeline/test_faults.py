"""What dies, hangs or fails costs only itself, and is named. Real processes, fake stages."""

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.build import make_plan
from pipeline.config import make_config
from pipeline.run import place, private_directory
from pipeline.status import Account, OutputSpec
from pipeline.supervisor import Supervisor
from tests.pipeline.fakes import fake_config
from tests.pipeline.runs import Ran, check_balance, read_records, run_fakes, without_tries

QUICK = {"deadlines": {"clip_s": 1.0, "decode_s": 1.0, "open_s": 1.0}}


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


def test_several_poisonous_clips_cost_one_record_each(tmp_path: Path) -> None:
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
def test_a_worker_that_hangs_is_named_killed_and_replaced(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=8,hang=3", **QUICK)
    assert ran.clips() == list(range(8))
    assert "error" in ran.records[3]
    assert "model: hung: working clip 3 of source 0" in ran.records[3]["error"]
    assert [record["clip"] for record in ran.records if "error" in record] == [3]
    hung = ran.told("hung: working clip 3 of source 0 for")
    assert hung[0].text.startswith(("model-1 (pid ", "model-2 (pid "))
    dumps = [notice.fields["detail"] for notice in hung if notice.fields]
    assert dumps
    assert all("fakes.py" in str(dump) and "in process" in str(dump) for dump in dumps), dumps


@pytest.mark.slow
def test_a_decoder_that_hangs_has_a_deadline_of_its_own(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=6,decode_hang=2", deadlines={"decode_s": 1.0})
    assert ran.clips() == list(range(6))
    assert [record["clip"] for record in ran.records if "error" in record] == [2]
    assert "decode: hung: decoding clip 2 of source 0" in ran.records[2]["error"]


@pytest.mark.slow
def test_a_source_that_hangs_while_it_opens_is_given_up(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=6,open_hang=1", "fake:clips=2", **QUICK)
    assert ran.clips() == [-1, 0, 1]
    assert "decode: hung: opening" in ran.records[0]["error"]
    assert ran.account.sources_failed == 1


@pytest.mark.slow
def test_after_an_interrupt_what_hangs_is_waited_for_only_so_long(tmp_path: Path) -> None:
    def interrupt(supervisor: Supervisor) -> None:
        if supervisor.ledger.counts.results >= 3 and not supervisor._interrupts:
            supervisor.interrupt()

    ran, _ = harassed_run(tmp_path, interrupt, "fake:clips=300,hang=3,slow_decode_ms=5", deadlines={"drain_s": 1.0})
    assert ran.account.exit_code == 130
    assert ran.account.in_flight > 0
    assert ran.clips() == [0, 1, 2]


@pytest.mark.slow
def test_a_decoder_that_hangs_after_an_interrupt_is_killed_and_not_replaced(tmp_path: Path) -> None:
    def interrupt(supervisor: Supervisor) -> None:
        if supervisor.ledger.counts.results >= 3 and not supervisor._interrupts:
            supervisor.interrupt()

    ran, _ = harassed_run(tmp_path, interrupt, "fake:clips=50,decode_hang=3", deadlines={"decode_s": 1.0})
    assert ran.clips() == [0, 1, 2]
    assert (ran.account.exit_code, ran.account.in_flight) == (130, 0)
    assert ran.account.elapsed_s < 40, "a drain takes 60 s at most"


def test_a_run_that_fails_before_its_output_is_ready_still_closes_it(tmp_path: Path) -> None:
    def hold_the_sink(supervisor: Supervisor) -> None:
        sink = supervisor.outlet.worker
        if sink and sink.pid and supervisor.processes.workers.get(sink.id) is sink:
            failed_a_while_ago = supervisor.outlet.stopping_s(time.monotonic()) > 0.5
            os.kill(sink.pid, signal.SIGCONT if failed_a_while_ago else signal.SIGSTOP)

    config = staged("fake_track", **{"class": "tests.pipeline.fakes:CannotPrepare"})
    ran, supervisor = harassed_run(tmp_path, hold_the_sink, "fake:clips=5", **config)
    assert ran.account.exit_code == 4
    assert supervisor.outlet.is_closed


# -- decode that does not keep its word -------------------------------------------------------------------------------


def test_a_clip_that_decode_leaves_out_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=6,skip=3", "fake:clips=2")
    assert ran.clips() == [0, 1, 2, -1, 0, 1]
    assert ran.records[3]["error"].endswith("decode sent 6 clips; expected them in order, got 3")
    assert ran.account.exit_code == 1


def test_a_reader_that_breaks_ends_its_source_behind_what_it_gave(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=6,break=3", "fake:clips=2")
    assert ran.clips() == [0, 1, 2, -1, 0, 1]
    assert ran.records[3]["error"] == "fake:clips=6,break=3: ValueError: the container is broken"


# -- the model or the config is at fault ------------------------------------------------------------------------------


def test_when_the_first_clips_all_fail_the_same_way_the_run_stops_and_says_so(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=500,raise_always=1")
    assert ran.account.exit_code == 4
    assert ran.account.messages == ("the first clips all failed the same way: ValueError: asked to fail",)
    assert ran.account.results == 0
    assert len(ran.records) < 400


def test_when_the_first_clips_all_kill_their_worker_the_run_stops_and_says_so(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=50,die=" + "+".join(map(str, range(50))))
    assert ran.account.exit_code == 4
    assert ran.account.messages == ("the first clips all failed the same way: killed by SIGKILL",)


def test_a_stage_that_dies_while_loading_stops_the_run_with_its_last_words(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=5", **staged("fake_track", **{"class": "tests.pipeline.fakes:DiesLoading"}))
    assert ran.account.exit_code == 4
    assert "track: exited with code 7, 3 times while loading" in ran.account.messages[0]
    assert "these are my last words" in ran.account.messages[0]


def test_a_stage_that_cannot_open_stops_the_run_with_its_reason(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=5", **staged("fake_track", **{"class": "tests.pipeline.fakes:CannotOpen"}))
    assert ran.account.exit_code == 4
    assert ran.account.messages == ("track: model.bin: is missing. Download it.",)


def test_a_stage_that_cannot_prepare_stops_the_run_with_its_reason(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=5", **staged("fake_track", **{"class": "tests.pipeline.fakes:CannotPrepare"}))
    assert ran.account.exit_code == 4
    assert ran.account.messages == ("model.bin: is missing. Download it.",)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("oversize", "fake_greedy: SlotError: big: float32 (1000,) (4,000 bytes) does not fit"),
        ("wrong_type", "fake_greedy: ValueError: big must be float32 (N), got float64 (10,)"),
        ("wrong_shape", "fake_greedy: ValueError: big must be float32 (N), got float32 (2, 5)"),
        ("forgotten", "fake_greedy: KeyError: 'big was declared but not given"),
        ("unpackable", "fake_greedy: TypeError: Encoding objects of type"),
    ],
)
def test_an_output_that_cannot_be_handed_on_costs_only_itself(tmp_path: Path, wish: str, said: str) -> None:
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
    assert ran.records[2]["failed"]["fake_greedy"].startswith(said.removeprefix("fake_greedy: "))


# -- random kills -----------------------------------------------------------------------------------------------------


class Harassed(Supervisor):
    """A supervisor whose processes are killed or stopped from time to time: `harass(self)` runs between steps."""

    harass: Any = None

    def _step(self) -> None:
        super()._step()
        self.harass(self)


def harassed_run(tmp_path: Path, harass: Any, *sources: str, **sections: Any) -> tuple[Ran, Harassed]:
    path, notices = tmp_path / "harassed.jsonl", []
    with private_directory() as directory:
        config = make_config(fake_config(**sections))
        plan = place(make_plan(config, len(sources)), directory, [OutputSpec(path=str(path), sources=sources)])
        supervisor = Harassed(plan, list(sources), on_notice=notices.append)
        supervisor.harass = harass
        account: Account = supervisor.run()
    check_balance(account)
    return Ran(account, read_records(path), notices), supervisor


class Killer:
    """Kills a random ready worker after every so many clips, and now and then a fork server."""

    def __init__(self, seed: int, kills: int, every_clips: int) -> None:
        self.chance = random.Random(seed)
        self.left = kills
        self.every_clips = every_clips
        self.next_clip = every_clips

    def __call__(self, supervisor: Supervisor) -> None:
        processes = supervisor.processes
        ready = [worker for worker in processes.workers.values() if worker.ready and worker.role in ("group", "decode")]
        if not self.left or supervisor.ledger.counts.results < self.next_clip or len(ready) < 4:
            return
        self.left -= 1
        self.next_clip += self.every_clips
        if self.left % 10 == 5:
            server = self.chance.choice([processes._servers["light"], processes._servers["heavy"]])
            os.kill(server.process.pid, signal.SIGKILL)
        else:
            os.kill(self.chance.choice(ready).pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_after_many_random_kills_the_results_are_those_of_a_clean_run(tmp_path: Path, seed: int) -> None:
    sources = ("fake:clips=150,slow_decode_ms=5,gap=60", "fake:clips=0", "fake:clips=150,slow_decode_ms=5")
    sections = staged("fake_model", busy_ms=10.0)
    clean = run_fakes(tmp_path, *sources, **sections)
    killer = Killer(seed, kills=24, every_clips=10)
    ran, supervisor = harassed_run(tmp_path, killer, *sources, **sections)
    assert killer.left == 0, "the run was over too early to be killed often enough"
    assert ran.account.errors == 0, [record["error"] for record in ran.records if "error" in record]
    assert without_tries(ran.records) == without_tries(clean.records)
    assert_nothing_leaked(supervisor)


def assert_nothing_leaked(supervisor: Supervisor) -> None:
    """Every slot is free, or granted to a decoder that lives."""
    feed = supervisor.feed
    assert sorted(feed._free) == list(range(supervisor.slots.count))
    assert not supervisor.processes.workers
    assert not any(supervisor.ledger.leases.values())


@pytest.mark.slow
def test_slots_and_memory_stay_where_they_are_over_thousands_of_clips(tmp_path: Path) -> None:
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
def test_a_worker_that_is_stopped_is_taken_for_hung(tmp_path: Path, role: str) -> None:
    stopped: list[int] = []

    def stop_one(supervisor: Supervisor) -> None:
        if not stopped and supervisor.ledger.counts.results > 5:
            worker = next(each for each in supervisor.processes.workers.values() if each.ready and each.role == role)
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
            os.kill(server.process.pid, signal.SIGSTOP)
            victim = next(each for each in supervisor.processes.workers.values() if each.name == "track")
            os.kill(victim.pid, signal.SIGKILL)
            stopped.append(server.process.pid)

    ran, _ = harassed_run(tmp_path, stop_server, "fake:clips=60,slow_decode_ms=10", deadlines={"load_s": 2.0})
    assert ran.clips() == list(range(60))
    assert ran.account.results == 60


def test_the_death_of_the_output_process_is_said(tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_sink(supervisor: Supervisor) -> None:
        if supervisor.ledger.counts.results > 5 and not killed:
            killed.append(next(each.pid for each in supervisor.processes.workers.values() if each.role == "sink"))
            os.kill(killed[0], signal.SIGKILL)

    ran, _ = harassed_run(tmp_path, kill_sink, "fake:clips=300,slow_decode_ms=5")
    assert ran.account.exit_code == 5
    assert ran.account.messages == ("the output process killed by SIGKILL; use --resume to continue",)
