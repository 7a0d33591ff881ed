"""`percept.watch`: a loop and an asynchronous loop, which leave no process behind."""

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

import percept
from tests.conftest import ROOT
from tests.percept.marks import marked

SAMPLE = ROOT / "engines" / "bundled" / "sample.mp4"
LABELS = ["dog", "sheep", "rain"]


@pytest.fixture
def left_over(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """The processes of this test, besides its own."""
    mark = f"PERCEPT_TEST_{uuid.uuid4().hex}"
    monkeypatch.setenv(mark, "1")
    return lambda: marked(mark)


@pytest.mark.slow
def test_a_loop_gives_records_until_it_is_left(left_over: Callable[[], list[int]]) -> None:
    found = []
    places = {"find": "dog, sheep", "zone": "all:0,0;1,0;1,1;0,1", "line": ["gate:0.5,0;0.5,1"]}
    with percept.watch(SAMPLE, LABELS, realtime=True, loop=True, **places) as watch:
        for record in watch:
            found.append(record)
            if len(found) >= 3 and record.zones:
                break
        assert left_over()
    assert left_over() == []
    assert [record.clip for record in found] == list(range(len(found)))
    assert found[-1].zones
    assert found[-1].zones[0].zone == "all"
    assert found[-1].crossings is not None
    assert {track.label for record in found for track in record.tracks or ()} <= {"dog", "sheep"}
    assert {record.source for record in found} == {"sample"}
    assert next(watch, None) is None


@pytest.mark.slow
def test_an_asynchronous_loop_lets_others_work_and_ends_with_its_task(left_over: Callable[[], list[int]]) -> None:
    found: list[percept.ClipRecord] = []
    ticks = 0

    async def collect() -> None:
        async for record in percept.watch([SAMPLE], LABELS, realtime=True, loop=True):
            found.append(record)

    async def main() -> None:
        nonlocal ticks
        task = asyncio.create_task(collect())
        while len(found) < 2 and not task.done() and ticks < 6000:
            await asyncio.sleep(0.01)
            ticks += 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [record.clip for record in found[:2]] == [0, 1]
    assert ticks > 50
    assert left_over() == []


def test_what_is_wrong_is_raised_with_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(percept.ConfigError, match=r"cameras\.toml: cannot be read"):
        next(percept.watch(tmp_path / "cameras.toml"))
    with pytest.raises(percept.ConfigError, match="fps"):
        next(percept.watch("rtsp://me:hush@cam/1", fps=0.0))


def test_it_says_what_it_is_without_the_secrets_of_a_url() -> None:
    assert repr(percept.watch(["rtsp://me:hush@cam/1", "b"])) == (
        "<percept.watch of 2 cameras: a loop over it gives a record per clip>"
    )
