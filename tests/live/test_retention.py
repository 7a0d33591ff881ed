"""What goes when there is too much, and what never goes."""

import itertools
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from live.event import LiveEvent
from live.history import FILE, iso
from live.keeper import Keeper
from live.retention import SLICE_S, Retention, _size_bytes
from live.settings import Keep
from tests.live.stream import BEGIN, record

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()
DAY_S = 86400.0


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    (tmp_path / "state").mkdir()
    keeper = Keeper(tmp_path / "state" / FILE, "run")
    keeper.open()
    keeper.begin_run()
    return keeper


def day(ago: int) -> str:
    return datetime.fromtimestamp(NOW - ago * DAY_S, UTC).strftime("%Y-%m-%d")


def put(directory: Path, name: str, size: int = 1000) -> str:
    path = directory / "state" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return name


def put_event(keeper: Keeper, ago: int, number: int, state: str = "closed") -> LiveEvent:
    """An event of a day, with a snapshot and a film."""
    start = iso(round((NOW - ago * DAY_S + number) * 1000))
    name = f"door-{ago:03}-{number}"
    event = LiveEvent(
        id=name,
        camera="door",
        kind="label",
        name="dog barking",
        state=state,  # type: ignore[arg-type]
        start=start,
        end=start if state == "closed" else "",
        snapshot=f"{day(ago)}/{name}.jpg",
        recording=f"{day(ago)}/{name}.mp4",
    )
    keeper.put_event(event)
    return event


def clean(directory: Path, keeper: Keeper, keep: Keep, full: bool = False, free: int = 1 << 40) -> Retention:
    retention = Retention(directory / "state", keep, lambda: NOW, lambda path: free)
    for _ in range(1000):
        retention.step(keeper.connection, full)
        if retention._round is None:
            return retention
    raise AssertionError("a round never ends")


def files(directory: Path) -> set[str]:
    root = directory / "state"
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith(FILE)}


def test_files_and_rows_of_more_than_so_many_days_ago_go(tmp_path: Path, keeper: Keeper) -> None:
    for ago in (9, 8, 7, 1, 0):
        put(tmp_path, f"results/{day(ago)}-0001.jsonl")
        event = put_event(keeper, ago, 1)
        put(tmp_path, f"media/{event.snapshot}")
    clean(tmp_path, keeper, Keep(days=7.0))
    expected = {f"results/{day(ago)}-0001.jsonl" for ago in (7, 1, 0)} | {
        f"media/{day(ago)}/door-{ago:03}-1.jpg" for ago in (7, 1, 0)
    }
    assert files(tmp_path) == expected
    assert keeper.connection.execute("SELECT id FROM events ORDER BY id").fetchall() == [
        ("door-000-1",),
        ("door-001-1",),
        ("door-007-1",),
    ]
    assert sorted(path.name for path in (tmp_path / "state/media").iterdir()) == sorted(day(ago) for ago in (7, 1, 0))


def test_of_too_many_gigabytes_the_oldest_go_first_and_their_events_do_not_name_them_any_more(
    tmp_path: Path, keeper: Keeper
) -> None:
    events = [put_event(keeper, ago, 1) for ago in (4, 3, 2, 1)]
    for event in events:
        put(tmp_path, f"media/{event.snapshot}", 1000)
        put(tmp_path, f"media/{event.recording}", 9000)
    put(tmp_path, f"results/{day(4)}-0001.jsonl", 5000)
    put(tmp_path, f"results/{day(0)}-0001.jsonl", 5000)
    retention = clean(tmp_path, keeper, Keep(gigabytes=31_000 / 1e9))
    assert retention.removed_bytes == 15_000
    assert files(tmp_path) == {f"media/{each.snapshot}" for each in events[1:]} | {
        f"media/{each.recording}" for each in events[1:]
    } | {f"results/{day(0)}-0001.jsonl"}
    assert keeper.event(events[0].id) == msgspec.structs.replace(events[0], snapshot="", recording="")
    assert keeper.event(events[1].id) == events[1]


def test_files_of_events_that_go_on_and_the_newest_results_stay(tmp_path: Path, keeper: Keeper) -> None:
    going = put_event(keeper, 100, 1, "open")
    stay = {
        put(tmp_path, f"media/{going.snapshot}"),
        put(tmp_path, f"media/{going.recording}"),
        put(tmp_path, f"results/{day(99)}-0002.jsonl"),
    }
    put(tmp_path, f"results/{day(99)}-0001.jsonl")
    put(tmp_path, f"media/{put_event(keeper, 100, 2).snapshot}")
    clean(tmp_path, keeper, Keep(days=0.0, gigabytes=0.0))
    assert files(tmp_path) == stay
    assert [event.id for event in keeper.open_events()] == [going.id]


def test_nothing_else_is_touched(tmp_path: Path, keeper: Keeper) -> None:
    """Neither what is outside the folder, nor what has a name that is not ours, nor what a link leads to."""
    outside = tmp_path / "outside"
    (outside / day(90)).mkdir(parents=True)
    (outside / day(90) / "film.mp4").write_bytes(b"mine")
    stay = {
        put(tmp_path, "results/notes.jsonl"),
        put(tmp_path, "media/holiday/film.mp4"),
        put(tmp_path, "README.txt"),
        put(tmp_path, f"{day(90)}/film.mp4"),
        put(tmp_path, f"results/{day(0)}-0001.jsonl"),
    }
    (tmp_path / "state/media" / day(90)).symlink_to(outside / day(90))
    (tmp_path / "state/results" / f"{day(91)}-0001.jsonl").symlink_to(outside / day(90) / "film.mp4")
    clean(tmp_path, keeper, Keep(days=0.0, gigabytes=0.0))
    assert (outside / day(90) / "film.mp4").read_bytes() == b"mine"
    assert stay <= files(tmp_path)
    assert (tmp_path / "state/media" / day(90)).is_symlink()


def test_a_full_disk_costs_old_files_but_none_of_today(tmp_path: Path, keeper: Keeper) -> None:
    for ago in (2, 1, 0):
        put(tmp_path, f"media/{day(ago)}/a.jpg")
        put(tmp_path, f"results/{day(ago)}-0001.jsonl")
    clean(tmp_path, keeper, Keep(), full=True, free=1 << 40)
    assert len(files(tmp_path)) == 6
    clean(tmp_path, keeper, Keep(), full=True, free=0)
    assert files(tmp_path) == {f"media/{day(0)}/a.jpg", f"results/{day(0)}-0001.jsonl"}


def test_the_history_is_bounded_by_age_and_by_size(
    tmp_path: Path, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clips go before events, the oldest of all cameras first, and open events stay."""
    monkeypatch.setattr("live.retention.ROWS_A_STEP", 50)
    with keeper.transaction():
        for number in range(30):
            put_event(keeper, 1, number, "closed" if number else "open")
        for clip in range(1000):
            keeper.add_clip(record(clip))
            if clip >= 600:
                keeper.add_clip(record(clip, "yard"))
    days = (NOW - BEGIN.timestamp()) / DAY_S
    clean(tmp_path, keeper, Keep(days=days - 1000 / DAY_S))  # the first 500 clips are older
    assert clips(keeper) == [("door", 500, 999, 500), ("yard", 600, 999, 400)]
    before = _size_bytes(keeper.connection)
    monkeypatch.setattr("live.retention.MOST_HISTORY_BYTES", before - 20_000)
    clean(tmp_path, keeper, Keep(days=days))
    (_, door, _, _), (_, yard, _, _) = clips(keeper)
    assert 600 <= door <= yard + 50 <= 1000
    assert len(keeper.connection.execute("SELECT id FROM events").fetchall()) == 30
    monkeypatch.setattr("live.retention.MOST_HISTORY_BYTES", 0)
    clean(tmp_path, keeper, Keep(days=days))
    assert clips(keeper) == []
    assert keeper.connection.execute("SELECT id FROM events").fetchall() == [("door-001-0",)]


def clips(keeper: Keeper) -> list[tuple[str, int, int, int]]:
    """First, last and number of the clips of each camera."""
    query = "SELECT camera, min(clip), max(clip), count(*) FROM clips GROUP BY camera ORDER BY camera"
    return keeper.connection.execute(query).fetchall()


def test_the_history_gives_its_room_back(tmp_path: Path, keeper: Keeper) -> None:
    with keeper.transaction():
        for number in range(16_000):
            keeper.put_event(
                LiveEvent(
                    id=str(number),
                    camera="door",
                    kind="label",
                    name="dog",
                    state="closed",
                    start=BEGIN.isoformat(),
                    text="x" * 400,
                )
            )
    keeper.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = (tmp_path / "state" / FILE).stat().st_size
    clean(tmp_path, keeper, Keep(days=1.0))
    keeper.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert before > 10_000_000
    assert (tmp_path / "state" / FILE).stat().st_size < 9_000_000


def test_work_is_done_in_slices(tmp_path: Path, keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each file took a millisecond."""
    now_s = itertools.count(0.0, 0.001)
    monkeypatch.setattr("live.retention.time.monotonic", lambda: next(now_s))
    for number in range(1000):
        put(tmp_path, f"media/{day(50)}/{number}.jpg", 1)
    retention = Retention(tmp_path / "state", Keep(days=1.0), lambda: NOW)
    slices = []
    while not slices or retention._round is not None:
        slices.append(retention.step(keeper.connection))
    assert max(slices) <= 1000 * SLICE_S
    assert len(slices) >= 1000 / (1000 * SLICE_S)
    assert retention.removed_files == 1000
    assert not os.path.exists(tmp_path / "state/media" / day(50))
