"""Batches hold every source once, are small, and close in on a source that kills."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.batches import (
    BATCHES_PER_SLOT,
    LEAST_BYTES,
    MOST_BYTES,
    MOST_SOURCES,
    Batch,
    Task,
    again,
    batches_of,
    order_of,
    read_order,
)
from pipeline.errors import ConfigError

SIZES = st.lists(st.integers(0, 2 * MOST_BYTES), max_size=300)


def tasks_of(sizes: list[int]) -> list[Task]:
    return [Task(f"/v/{number}.mp4", f"v/{number}.mp4", size) for number, size in enumerate(sizes)]


@given(SIZES, st.integers(0, 20))
def test_every_source_is_in_one_batch(sizes: list[int], slots: int) -> None:
    tasks = tasks_of(sizes)
    batches = batches_of(tasks, slots)
    assert sorted(task.name for batch in batches for task in batch.tasks) == sorted(task.name for task in tasks)
    for batch in batches:
        assert 1 <= len(batch.tasks) <= MOST_SOURCES
        assert batch.bytes <= MOST_BYTES or len(batch.tasks) == 1
    assert [batch.bytes for batch in batches] == sorted((batch.bytes for batch in batches), reverse=True)


def test_there_are_enough_batches_that_no_child_waits_long_for_the_last() -> None:
    batches = batches_of(tasks_of([LEAST_BYTES] * 100), slots=5)
    assert len(batches) >= 5 * BATCHES_PER_SLOT
    assert max(batch.bytes for batch in batches) <= 100 * LEAST_BYTES / 5 / BATCHES_PER_SLOT


def test_little_work_is_not_cut_into_more_batches_than_there_are_children() -> None:
    assert [len(batch.tasks) for batch in batches_of(tasks_of([1000] * 40), slots=4)] == [10] * 4
    assert [len(batch.tasks) for batch in batches_of(tasks_of([0] * 4), slots=8)] == [1] * 4


def test_what_is_left_after_progress_stays_together_and_is_halved_without() -> None:
    tasks = tasks_of([1] * 7)
    batch = Batch(tuple(tasks))
    assert again(batch, tasks[3:]) == [Batch(tuple(tasks[3:]))]
    assert again(batch, []) == []
    halves = again(batch, tasks)
    assert [len(half.tasks) for half in halves] == [3, 4]
    assert [half.deaths for half in halves] == [0, 0], "only a death alone tells which source it was"
    alone = again(Batch((tasks[0],)), tasks[:1])
    assert alone == [Batch((tasks[0],), deaths=1)]


def test_an_order_names_the_same_sources_to_a_machine_that_agrees() -> None:
    odd = os.fsdecode(b"/v/caf\xe9\n.mp4")
    order = order_of(Batch((Task(odd, "v/caf%E9.mp4"), Task("/v/b.mp4", "v/b.mp4"))), "c", "w")
    assert read_order(order, "c", "w") == {odd: "v/caf%E9.mp4", "/v/b.mp4": "v/b.mp4"}
    for config, words in (("other", "w"), ("c", "other")):
        with pytest.raises(ConfigError, match="differ from those of the run"):
            read_order(order, config, words)
