"""Every record names the engine of the process that made it."""

from pathlib import Path

import pytest

from pipeline.facts import FactBook
from tests.pipeline.fakes import fake_config
from tests.pipeline.runs import run_fakes

TORCH, OPENVINO = {"engine": "torch-fp32", "model": "m"}, {"engine": "openvino-bf16", "model": "m"}


def test_a_record_names_the_engine_of_the_process_that_made_it(tmp_path: Path) -> None:
    config = fake_config()
    config["groups"][0] |= {"workers": 3}
    config["stages"]["fake_model"]["class"] = "tests.pipeline.fakes:SaysWhoItIs"
    # each death at clip 30 brings another process into the run
    ran = run_fakes(tmp_path, "fake:clips=60,die=30", groups=config["groups"], stages=config["stages"])
    made = [(record["engine"], record["labels"][0]["label"]) for record in ran.records if "labels" in record]
    assert len(made) == 59
    assert all(engine == process for engine, process in made), made
    assert len({engine for engine, _ in made}) > 1, "one process made all: the test shows nothing"
    assert all(record["model"] == "fake@1" for record in ran.records if "labels" in record)


def test_groups_say_their_part_in_their_order() -> None:
    book = FactBook()
    encode, flow = book.enter(1, TORCH), book.enter(0, {"flow": "dis", "model": "older"})
    assert book.of(book.join(encode, flow)) == book.of(book.join(flow, encode)) == {"flow": "dis", **TORCH}


def test_equal_sayings_are_one_number() -> None:
    book = FactBook()
    numbers = {book.join(0, book.enter(0, dict(TORCH))) for _ in range(9)}
    assert len(numbers) == 1
    assert book.enter(0, OPENVINO) not in numbers


@pytest.mark.parametrize(("second", "said"), [(TORCH, TORCH), (OPENVINO, {}), ({}, {})])
def test_what_no_worker_settled_carries_only_what_all_of_them_say(second: dict[str, str], said: dict[str, str]) -> None:
    book = FactBook()
    book.enter(0, TORCH)
    book.enter(0, second)
    assert book.of(0) == said


def test_a_reason_that_one_worker_gives_is_not_the_others() -> None:
    book = FactBook()
    fine, fallen = book.enter(0, TORCH), book.enter(0, OPENVINO | {"engine_reason": "not torch"})
    assert "engine_reason" not in book.of(fine)
    assert book.of(fallen)["engine_reason"] == "not torch"
