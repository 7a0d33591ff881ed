"""The history: what is asked of it, and that its file survives."""

import re
import sqlite3
from pathlib import Path

import msgspec
import pytest

from live.event import LiveEvent
from live.history import FILE, History, connect, iso, milliseconds
from live.history_schema import VERSION
from live.keeper import Keeper
from pipeline.errors import OutputError
from pipeline.result import ClipRecord
from tests.live.stream import BEGIN, record, stream


def event(
    number: int, camera: str = "door", kind: str = "label", state: str = "closed", length_s: int = 4
) -> LiveEvent:
    start_ms = round(BEGIN.timestamp() * 1000) + number * 60_000
    return LiveEvent(
        id=f"{camera}-{number:04}",
        camera=camera,
        kind=kind,  # type: ignore[arg-type]
        name="dog barking",
        state=state,  # type: ignore[arg-type]
        start=iso(start_ms),
        end=iso(start_ms + 1000 * length_s) if state == "closed" else "",
        duration_s=float(length_s),
    )


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    keeper = Keeper(tmp_path / FILE, "run")
    assert not keeper.open()
    with keeper.transaction():
        keeper.begin_run()
    return keeper


def ids(events: list[LiveEvent]) -> list[str]:
    return [each.id for each in events]


def test_events_are_found_by_camera_kind_and_time_a_page_at_a_time(keeper: Keeper, tmp_path: Path) -> None:
    for number in range(40):
        keeper.put_event(event(number, "door" if number % 2 else "yard", "rule" if number % 4 == 1 else "label"))
    keeper.put_event(msgspec.structs.replace(event(39), id="door-0039b"))  # begins at the same instant
    history = History(tmp_path / FILE)
    first = history.events(camera="door", limit=3)
    assert ids(first) == ["door-0039b", "door-0039", "door-0037"]
    assert ids(history.events(camera="door", before=first[0].id, limit=2)) == ["door-0039", "door-0037"]
    assert ids(history.events(camera="door", kind="rule", before=first[-1].id, limit=2)) == ["door-0033", "door-0029"]
    assert ids(history.events(before=event(10).start, limit=2)) == ["door-0009", "yard-0008"]
    assert history.event("door-0039") == event(39, kind="label")
    assert history.event("door-9999") is None
    with pytest.raises(ValueError, match="Invalid isoformat"):
        history.events(before="yesterday")
    with pytest.raises(ValueError, match="has no offset"):
        history.events(before="2026-01-31T12:00:00")
    history.close()


def test_an_event_has_one_row_from_its_beginning_to_its_end(keeper: Keeper, tmp_path: Path) -> None:
    keeper.put_event(event(1, state="open"))
    history = History(tmp_path / FILE)
    assert ids(history.open_events()) == ids(history.open_events("door")) == ["door-0001"]
    assert history.open_events("yard") == []
    keeper.put_event(event(1, length_s=9))
    assert history.open_events() == []
    assert history.events() == [event(1, length_s=9)]
    history.close()


def test_a_timeline_has_what_touches_its_stretch(keeper: Keeper, tmp_path: Path) -> None:
    long, old = event(-1000, length_s=61_000), event(-900, state="open")
    for each in (
        long,
        old,
        event(1, length_s=30),
        event(2, length_s=90),
        event(3, state="open"),
        event(9),
        event(3, "yard"),
    ):
        keeper.put_event(each)
    for each in stream(200, "door", "yard"):
        keeper.add_clip(each)
    history = History(tmp_path / FILE)
    minute = {number: event(number).start for number in range(6)}
    found = history.timeline("door", minute[3], minute[4])
    assert ids(found.events) == [long.id, old.id, "door-0002", "door-0003"]
    assert [each.clip for each in found.clips] == list(range(90, 120))
    assert found.clips[0].start == minute[3]
    assert found.clips[15].labels == {"dog barking": 0.9, "siren": 0.01}
    assert not found.has_more
    short = history.timeline("door", minute[3], minute[4], limit=10)
    assert [each.clip for each in short.clips] == list(range(90, 100))
    assert short.has_more
    assert [each.clip for each in history.latest_clips("yard", 2)] == [198, 199]
    history.close()


def test_a_clip_has_one_row_and_the_cursor_passes_only_forward(keeper: Keeper) -> None:
    gap = ClipRecord(source="door", epoch=1, clip=-1, start_s=4.0, end_s=9.0, gap=True, wall_time=iso(4000))
    order = [record(0), record(1), gap, record(2, epoch=1)]
    for each in order:
        assert keeper.is_new(each)
        keeper.add_clip(each)
        keeper.add_clip(each)
        keeper.passed(each)
    assert not any(keeper.is_new(each) for each in order)
    assert keeper.is_new(record(0, "yard"))
    states = keeper.connection.execute("SELECT state FROM clips ORDER BY epoch, clip").fetchall()
    assert states == [("result",), ("result",), ("gap",), ("result",)]


def test_the_cursor_survives_in_its_run_and_begins_anew_in_the_next(keeper: Keeper, tmp_path: Path) -> None:
    with keeper.transaction():
        keeper.add_clip(record(7))
        keeper.save_state("door", "moments", b"all that it needs")
    keeper.close()
    same = Keeper(tmp_path / FILE, "run")
    assert same.open()
    assert not same.is_new(record(7))
    assert same.is_new(record(8))
    assert same.state("door", "moments") == b"all that it needs"
    same.close()
    other = Keeper(tmp_path / FILE, "another")
    assert not other.open()
    with other.transaction():
        other.begin_run()
    assert other.is_new(record(0))
    assert other.state("door", "moments") == b"all that it needs"
    assert other.state("yard", "moments") is None
    other.close()


def test_an_event_that_an_earlier_run_left_open_ends_with_its_cameras_last_clip(keeper: Keeper, tmp_path: Path) -> None:
    keeper.put_event(event(1, state="open"))
    for each in stream(40):
        keeper.add_clip(each)
    ended = keeper.ended(event(1, state="open"), "the watch ended")
    assert (ended.state, ended.duration_s, ended.text) == ("closed", 20.0, "the watch ended")
    assert milliseconds(ended.end) == round(BEGIN.timestamp() * 1000) + 80_000


def test_a_transaction_that_fails_changes_nothing(keeper: Keeper) -> None:
    def write() -> None:
        with keeper.transaction():
            keeper.put_event(event(1))
            keeper.save("key", b"value")
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert keeper.event("door-0001") is None
    assert keeper.load("key") is None


def test_a_damaged_history_is_put_aside_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_bytes(b"SQLite format 3\0" + b"no database" * 1000)
    keeper = Keeper(path, "run")
    assert not keeper.open()
    assert "is damaged" in keeper.told[0]
    assert len(list(tmp_path.glob("history-damaged-*.sqlite"))) == 1
    keeper.connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    keeper.close()
    with pytest.raises(OutputError, match="newer percept"):
        Keeper(path, "run").open()
    assert path.exists()


def test_a_reader_cannot_write(keeper: Keeper, tmp_path: Path) -> None:
    history = History(tmp_path / FILE)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        history._connection.execute("DELETE FROM events")
    history.close()


def test_questions_use_indexes(keeper: Keeper, tmp_path: Path) -> None:
    """With many rows, one that did not would be noticed by users only."""
    history = History(tmp_path / FILE)
    asked: list[str] = []
    history._connection.set_trace_callback(asked.append)
    history.events(limit=1)
    history.events(camera="a", limit=1)
    history.events(kind="label", limit=1)
    history.events(camera="a", kind="label", before=event(1).start, limit=1)
    history.open_events("a")
    history.timeline("a", event(1).start, event(2).start)
    history.latest_clips("a")
    history._connection.set_trace_callback(None)
    plans = {query: connect_plan(tmp_path, query) for query in asked}
    assert len(plans) >= 8
    unindexed = re.compile(r"SCAN (events|clips)(?! USING (COVERING )?INDEX)")
    assert not [query for query, plan in plans.items() if unindexed.search(plan)]
    assert not [query for query, plan in plans.items() if "TEMP B-TREE" in plan and "'open'" not in query]
    (timeline,) = [plan for query, plan in plans.items() if "UNION" in query]
    assert "events_long" in timeline
    history.close()


def connect_plan(directory: Path, query: str) -> str:
    connection = connect(directory / FILE, read_only=True)
    try:
        return " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
    finally:
        connection.close()
