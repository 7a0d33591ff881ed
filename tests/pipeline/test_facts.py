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
    config["stages"]["fake_model"]["class"] = "tests.pipeline.fakes:NamesItsProcess"
    # after each death at clip 30 another process joins the run
    ran = run_fakes(tmp_path, "fake:clips=60,die=30", groups=config["groups"], stages=config["stages"])
    made = [(record["engine"], record["labels"][0]["label"]) for record in ran.records if "labels" in record]
    assert len(made) == 59
    assert all(engine == process for engine, process in made), made
    assert len({engine for engine, _ in made}) > 1, "one process made all clips: the test shows nothing"
    assert all(record["model"] == "fake@1" for record in ran.records if "labels" in record)


def test_the_facts_of_groups_are_merged_in_their_order() -> None:
    book = FactBook()
    encode, flow = book.enter(1, TORCH), book.enter(0, {"flow": "dis", "model": "older"})
    assert book.of(book.join(encode, flow)) == book.of(book.join(flow, encode)) == {"flow": "dis", **TORCH}


def test_equal_facts_have_one_number() -> None:
    book = FactBook()
    numbers = {book.join(0, book.enter(0, dict(TORCH))) for _ in range(9)}
    assert len(numbers) == 1
    assert book.enter(0, OPENVINO) not in numbers


@pytest.mark.parametrize(("second", "common"), [(TORCH, TORCH), (OPENVINO, {}), ({}, {})])
def test_a_clip_that_no_worker_settled_has_only_the_facts_of_all_workers(
    second: dict[str, str], common: dict[str, str]
) -> None:
    book = FactBook()
    book.enter(0, TORCH)
    book.enter(0, second)
    assert book.of(0) == common


def test_a_reason_of_one_worker_does_not_apply_to_another() -> None:
    book = FactBook()
    fine, fallen = book.enter(0, TORCH), book.enter(0, OPENVINO | {"engine_reason": "not torch"})
    assert "engine_reason" not in book.of(fine)
    assert book.of(fallen)["engine_reason"] == "not torch"
