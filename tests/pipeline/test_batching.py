"""Whole runs in batches, with real processes: each clip gets what it would have got alone."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.fakes import fake_config
from tests.pipeline.harassed import Killer, assert_nothing_leaked, harassed_run
from tests.pipeline.runs import Ran, run_fakes


def batched(batch: int = 4, workers: int = 1, wait_ms: float = 100.0, **sections: Any) -> dict[str, Any]:
    """The fakes, with a model that runs clips in batches."""
    stages = fake_config()["stages"] | {"fake_model": {"class": "tests.pipeline.fakes:FakeBatch"}}
    model = {"name": "model", "stages": ["fake_model"], "workers": workers, "batch": batch, "wait_ms": wait_ms}
    return {"stages": stages, "groups": [model, {"name": "track", "stages": ["fake_track"]}], **sections}


def batches(ran: Ran) -> list[str]:
    """ "4 of 2" for every clip that was run in a batch of four clips of two sources."""
    return [record["labels"][1]["label"] for record in ran.records if len(record.get("labels", ())) > 1]


def without_batches(ran: Ran) -> list[dict[str, Any]]:
    """The records without the label that names the batch, and without tries."""
    return [
        {key: value for key, value in record.items() if key != "tries"} | {"labels": record.get("labels", [])[:1]}
        for record in ran.records
    ]


def test_clips_of_sources_that_are_decoded_at_once_share_batches(tmp_path: Path) -> None:
    sources = ("fake:clips=40,slow_decode_ms=2", "fake:clips=40,slow_decode_ms=2")
    alone = run_fakes(tmp_path, *sources, **batched(batch=1))
    together = run_fakes(tmp_path, *sources, **batched(decode={**fake_config()["decode"], "workers": 2}))
    assert without_batches(together) == without_batches(alone)
    assert batches(alone) == []
    sizes = Counter(batches(together))
    assert set(sizes) & {"2 of 2", "3 of 2", "4 of 2"}, sizes
    assert together.account.mean_batch["model"] > 1.5, sizes
    assert alone.account.mean_batch == {}
    assert "track" not in together.account.mean_batch


def test_the_last_clips_wait_no_longer_than_they_may(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=6", **batched(batch=4, wait_ms=1500.0))
    assert ran.account.results == 6
    assert Counter(batches(ran)) == {"4 of 1": 4, "2 of 1": 2}
    assert ran.account.elapsed_s > 1.5


def test_fewer_slots_than_a_batch_make_smaller_batches(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=12", **batched(batch=16, wait_ms=50.0, queue={"slots": 3}))
    assert ran.account.results == 12
    assert 1 <= ran.account.mean_batch["model"] <= 3


@pytest.mark.parametrize("wish", ["die", "raise"])
def test_a_bad_clip_in_a_batch_becomes_the_only_error_record(tmp_path: Path, wish: str) -> None:
    ran = run_fakes(tmp_path, f"fake:clips=24,{wish}=9", "fake:clips=8", **batched(wait_ms=500.0))
    assert ran.clips() == [*range(24), *range(8)]
    assert [record["clip"] for record in ran.records if "error" in record] == [9]
    errors = {
        "die": "model: killed by SIGKILL; given up after 3 tries",
        "raise": "fake_model: ValueError: asked to fail",
    }
    assert ran.records[9]["error"] == errors[wish]
    assert all(record.get("tries", 1) == 1 for record in ran.records if record["clip"] != 9)
    assert (ran.account.results, ran.account.errors) == (31, 1)
    assert ran.account.mean_batch["model"] > 1.5
    assert "4 of 1" in batches(ran), "later clips run in batches again"


def test_suspect_clips_run_alone_and_at_once(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=8,die=5", **batched(wait_ms=4000.0))
    assert [record["clip"] for record in ran.records if "error" in record] == [5]
    assert ran.clips() == list(range(8))
    # The first four ran together, unless their answer died with the worker; the other four are tried one by one.
    assert batches(ran) in (["4 of 1"] * 4, [])
    assert ran.account.elapsed_s - ran.account.ready_s < 20, "six trials that wait would take 24 s"


def test_a_batch_that_is_too_large_is_reported_and_costs_no_clip(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=12,raise_together=1", **batched())
    assert ran.account.results == 12
    assert len(ran.account.messages) == 1
    assert "clips failed, but each clip alone did not (MemoryError: too many at once)" in ran.account.messages[0]


@pytest.mark.slow
def test_a_clip_that_hangs_in_a_batch_is_found(tmp_path: Path) -> None:
    ran = run_fakes(tmp_path, "fake:clips=12,hang=5", **batched(wait_ms=100.0, deadlines={"clip_s": 0.5}))
    assert ran.clips() == list(range(12))
    assert [record["clip"] for record in ran.records if "error" in record] == [5]
    assert "model: hung: working clip 5 of source 0" in ran.records[5]["error"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_clip_has_one_outcome_whatever_fails(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    sources, bad = [], []
    for _ in range(3):
        count = chance.randint(5, 30)
        wrong = chance.sample(range(3, count), min(count - 3, chance.randint(0, 4)))
        killers = wrong[: len(wrong) // 2]
        wishes = [f"{name}={'+'.join(map(str, chosen))}"
                  for name, chosen in (("die", killers), ("raise", wrong[len(killers) :])) if chosen]  # fmt: skip
        sources.append(",".join([f"fake:clips={count}", "slow_decode_ms=1", *wishes]))
        bad.append(sorted(wrong))
    ran = run_fakes(
        tmp_path,
        *sources,
        **batched(
            batch=chance.choice([2, 5, 16]),
            workers=chance.choice([1, 2]),
            wait_ms=chance.choice([0.0, 20.0, 200.0]),
            decode={**fake_config()["decode"], "workers": 2},
        ),
    )
    for index, source in enumerate(sources):
        mine = [record for record in ran.records if record["source"] == source]
        if sources.count(source) == 1:
            assert [record["clip"] for record in mine] == list(range(int(source.split("=")[1].split(",")[0])))
            assert [record["clip"] for record in mine if "error" in record] == bad[index], source
    assert ran.account.errors == sum(map(len, bad))


@pytest.mark.slow
def test_after_random_kills_batches_give_the_results_of_a_clean_run(tmp_path: Path) -> None:
    sources = ("fake:clips=120,slow_decode_ms=5", "fake:clips=120,slow_decode_ms=5")
    sections = batched(workers=2, wait_ms=30.0)
    sections["stages"]["fake_model"] |= {"busy_ms": 10.0}
    clean = run_fakes(tmp_path, *sources, **sections)
    killer = Killer(5, kills=16, every_clips=12)
    ran, supervisor = harassed_run(tmp_path, killer, *sources, **sections)
    assert killer.left == 0, "the run ended before all kills"
    assert ran.account.errors == 0, [record["error"] for record in ran.records if "error" in record]
    assert without_batches(ran) == without_batches(clean)
    assert_nothing_leaked(supervisor)
