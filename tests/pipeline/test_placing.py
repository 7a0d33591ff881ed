"""How many processes a run gets, by what clips have cost before."""

from pathlib import Path

import pytest

from pipeline.config import Config, make_config
from pipeline.costs import Costs, known_costs, remember_costs
from pipeline.placing import Placing
from pipeline.status import Account

STAGES = ("flow", "encode")
PLENTY = 1 << 40


def placed(cores: int, sources: int, decode_ms: float, memory_bytes: int = PLENTY) -> tuple[int, int]:
    """Decoders and workers, if 100 ms of a clip are work of the group."""
    costs = Costs({"decode": decode_ms, "flow": 40.0, "encode": 60.0})
    placing = Placing(cores, sources, memory_bytes, costs)
    return placing.decoders, placing.workers(STAGES)


@pytest.mark.parametrize(
    ("cores", "sources", "decode_ms", "wanted"),
    [
        (2, 9, 50.0, (1, 2)),
        (2, 9, 200.0, (2, 2)),  # large pictures: decoding is most of the work
        (2, 1, 200.0, (1, 2)),
        (16, 9, 50.0, (6, 11)),
        (16, 1, 50.0, (1, 11)),
        (16, 9, 2.0, (1, 16)),  # a large model
        (64, 99, 100.0, (32, 32)),
    ],
)
def test_each_gets_its_share_of_the_cores(cores: int, sources: int, decode_ms: float, wanted: tuple[int, int]) -> None:
    assert placed(cores, sources, decode_ms) == wanted


def test_workers_are_no_more_than_fit_into_memory_and_never_fewer_than_usual() -> None:
    assert placed(64, 99, 100.0, memory_bytes=5 << 30) == (32, 10)
    assert placed(64, 99, 100.0, memory_bytes=1 << 30) == (32, 8)


def test_without_costs_it_is_a_worker_per_core_and_a_decoder_for_four() -> None:
    placing = Placing(16, 9, PLENTY, None)
    assert (placing.decoders, placing.workers(STAGES)) == (4, 8)
    assert (Placing(2, 9, PLENTY, None).decoders, Placing(2, 9, PLENTY, None).workers(STAGES)) == (1, 2)


def account(clips: int, decode_s: float, encode_s: float, reused: int = 0) -> Account:
    return Account(
        clips_in=clips,
        results=clips,
        errors=0,
        drops=0,
        in_flight=0,
        reused=reused,
        gaps=0,
        sources=1,
        sources_failed=0,
        clips_before=0,
        elapsed_s=60.0,
        ready_s=1.0,
        media_s=2.0 * clips,
        interrupted=False,
        exit_code=0,
        messages=(),
        summaries=(),
        mean_batch={},
        stage_s={"decode": decode_s, "encode": encode_s},
    )


def test_what_a_run_measures_is_known_to_the_next_one_with_the_same_model(tmp_path: Path) -> None:
    config = make_config({})
    remember_costs(tmp_path, config, account(100, 5.0, 10.0, reused=50))
    assert known_costs(tmp_path, config) == Costs({"decode": 50.0, "encode": 200.0}, 50)
    remember_costs(tmp_path, config, account(100, 10.0, 10.0))
    assert known_costs(tmp_path, config) == Costs({"decode": 75.0, "encode": 150.0}, 100)
    assert known_costs(tmp_path, make_config({"model": {"path": "another"}})) is None


@pytest.mark.parametrize("ran", [account(10, 5.0, 10.0), account(1000, 1.0, 2.0)], ids=["few clips", "short"])
def test_a_run_that_measured_little_tells_nothing(tmp_path: Path, ran: Account) -> None:
    config: Config = make_config({})
    remember_costs(tmp_path, config, ran)
    assert known_costs(tmp_path, config) is None


def test_a_damaged_file_is_as_none(tmp_path: Path) -> None:
    config = make_config({})
    remember_costs(tmp_path, config, account(100, 5.0, 10.0))
    (file,) = tmp_path.rglob("*.json")
    file.write_text("{")
    assert known_costs(tmp_path, config) is None
