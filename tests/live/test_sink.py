"""The output of a watch, with real files; a real process where it is killed."""

import json
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from live.event import LiveEvent
from live.history import FILE, History
from live.sentence import sentence
from live.settings import Alerts, Mqtt, Settings, Webhook
from pipeline.errors import OutputError
from pipeline.messages import Configured, FilmWritten
from pipeline.sinks.jsonl import encode_record
from tests.live.receivers import Hook, broker, hook, listener, wait_until
from tests.live.sink_process import write_through_kills
from tests.live.stream import camera, make_sink, picture, record, settings, stream

NOWHERE = Alerts(webhooks=(Webhook(url="http://127.0.0.1:9/never"),))


@pytest.fixture(autouse=True)
def _no_long_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("live.delivery.LEAVING_S", 0.3)


def lines(directory: Path) -> list[bytes]:
    return [line for path in sorted((directory / "state/results").iterdir()) for line in path.read_bytes().splitlines()]


def rows(directory: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(directory / "state" / FILE)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def kept(directory: Path) -> dict[str, object]:
    """Everything that is kept, without the time at which it was written."""
    return {
        "lines": lines(directory),
        "events": rows(directory, "SELECT id, camera, state, body FROM events ORDER BY id"),
        "clips": rows(directory, "SELECT camera, epoch, clip, state, labels FROM clips ORDER BY camera, epoch, clip"),
        "spool": [json.loads(str(body, "utf-8")) for (body,) in rows(directory, "SELECT body FROM spool ORDER BY id")],
        "states": rows(directory, "SELECT * FROM states ORDER BY camera, part"),
    }


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_history_that_is_removed_or_replaced_is_an_error(
    tmp_path: Path, is_replaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.sink.TEND_NS", 0)
    sink = make_sink(tmp_path)
    sink.open()
    sink.write(record(0))
    sink.tick()
    history = tmp_path / "state" / FILE
    history.rename(tmp_path / "moved")
    if is_replaced:
        history.write_bytes(b"")
    with pytest.raises(OutputError, match=f"{FILE}: was removed or replaced"):
        sink.tick()
    sink.close(False)


def test_no_picture_makes_a_state_folder_anew_that_the_next_watch_would_not_take_for_its_own(tmp_path: Path) -> None:
    sink = make_sink(tmp_path)
    sink.open()
    picture(tmp_path, "door", 0)
    shutil.rmtree(tmp_path / "state")
    sink.write(record(0, dog=0.9))
    sink.close(False)
    assert not (tmp_path / "state").exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_a_process_that_is_killed_50_times_keeps_what_an_undisturbed_one_keeps(tmp_path: Path, seed: int) -> None:
    of = settings(camera("door"), camera("yard"), alerts=NOWHERE)
    records = stream(1500, "door", "yard")
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    assert write_through_kills(records, calm, of, 0, seed) == 0
    assert write_through_kills(records, killed, of, 50, seed) == 50
    assert kept(killed) == kept(calm)
    assert len(lines(killed)) == len(records)
    assert len(rows(killed, "SELECT * FROM spool")) == 2 * len(rows(killed, "SELECT * FROM events")) > 300


@pytest.mark.slow
def test_every_alert_of_a_process_that_is_killed_20_times_arrives_in_order(tmp_path: Path) -> None:
    """An alert may arrive twice: again, with the same id, after what came before it was delivered."""
    with hook() as server:
        of = settings(camera("door"), alerts=Alerts(webhooks=(Webhook(url=server.url),)))
        write_through_kills(stream(600), tmp_path, of, 20, seed=2, leaving_s=20.0)
    got = [headers["X-Percept-Id"] for headers, _ in server.requests]
    found = sorted(events(tmp_path), key=lambda event: event.start)
    steps = [(each.start, each.id, "open") for each in found] + [(each.end, each.id, "closed") for each in found]
    assert set(got) == {f"{id}:{state}" for _, id, state in steps}
    first = list(dict.fromkeys(got))
    assert all(first.index(f"{each.id}:open") < first.index(f"{each.id}:closed") for each in found)
    opened = [each for each in first if each.endswith(":open")]
    assert opened == [f"{each.id}:open" for each in found]
    again = [each for index, each in enumerate(got) if each in got[:index]]
    assert len(again) <= 20
    assert all(got[index - 1] == each for index, each in enumerate(got) if each in got[:index])
    assert rows(tmp_path, "SELECT * FROM spool") == []


def events(directory: Path, **asked: Any) -> list[LiveEvent]:
    history = History(directory / "state" / FILE)
    try:
        return history.events(limit=10_000, **asked)
    finally:
        history.close()


def state_of(directory: Path, path: str) -> Path:
    return directory / "state" / path


def test_a_dog_that_barks_for_six_seconds_is_one_event(tmp_path: Path) -> None:
    sink = make_sink(tmp_path)
    sink.open()
    for each in stream(20):
        sink.write(each)
    sink.close(True)
    (event,) = events(tmp_path)
    assert (event.name, event.state, event.duration_s, event.peak) == ("dog barking", "closed", 6.0, 0.9)
    assert event.start == "2026-01-31T12:00:10.000+00:00"
    assert sink.counts == {"door": 1}
    began = msgspec.structs.replace(event, state="open")
    assert [each.text for each in sink.told] == [sentence(began), sentence(event)]
    assert lines(tmp_path) == [encode_record(each) for each in stream(20)]
    assert state_of(tmp_path, "").stat().st_mode & 0o777 == 0o700


def test_the_same_records_once_more_change_nothing(tmp_path: Path) -> None:
    sink = make_sink(tmp_path)
    sink.open()
    for each in stream(30):
        sink.write(each)
    for each in stream(30):
        sink.write(each)
    sink.close(True)
    assert len(lines(tmp_path)) == 30
    assert [each.start[11:19] for each in events(tmp_path)] == ["12:00:50", "12:00:10"]


def test_a_new_watch_in_the_same_folder_counts_anew_and_closes_what_the_last_one_left(tmp_path: Path) -> None:
    first = make_sink(tmp_path, of := settings(camera("door"), camera("gone"), alerts=NOWHERE))
    first.open()
    for each in stream(7, "door", "gone"):
        first.write(each)  # and it is killed: nothing is closed
    first._delivery.close()
    assert [each.state for each in events(tmp_path)] == ["open", "open"]
    later = [msgspec.structs.replace(each, wall_time=f"2026-02-01{each.wall_time[10:]}") for each in stream(20)]
    second = make_sink(tmp_path, msgspec.structs.replace(of, cameras=(camera("door"),)), run="second")
    second.open()
    gone, door = sorted(events(tmp_path), key=lambda event: event.camera, reverse=True)
    assert (door.state, door.duration_s, door.clips) == ("closed", 4.0, 2)
    assert (gone.state, gone.duration_s, gone.text) == ("closed", 4.0, "the watch ended")
    for each in later:
        second.write(each)
    second.close(True)
    assert len(lines(tmp_path)) == 14 + 20
    assert second.counts == {"door": 1}
    assert len(events(tmp_path)) == 3
    alerts = rows(tmp_path, "SELECT body FROM spool ORDER BY id")
    states = [json.loads(str(body, "utf-8"))["state"] for (body,) in alerts]
    assert states == ["open", "open", "closed", "closed", "open", "closed"]


def test_what_a_budget_has_learned_goes_on_in_the_next_watch(tmp_path: Path) -> None:
    of = settings(camera("door", false_alarms_per_day=5.0))
    for run in ("first", "second"):
        sink = make_sink(tmp_path, of, run=run)
        sink.open()
        days = sink._cameras["door"]._moments._thresholds._budget.days.copy()
        for each in stream(60):
            sink.write(each)
        sink.close(True)
        learned = sink._cameras["door"]._moments._thresholds._budget.days
        assert (learned > days).all()
        assert (days > 0).all() == (run == "second")


def test_a_snapshot_shows_the_most_probable_clip(tmp_path: Path) -> None:
    sink = make_sink(tmp_path)
    sink.open()
    for clip, dog in enumerate((0.0, 0.6, 0.95, 0.7, 0.0, 0.0, 0.0, 0.0)):
        picture(tmp_path, "door", clip, b"picture %d" % clip)
        sink.write(record(clip, dog=dog))
        if clip == 1:
            (event,) = events(tmp_path)
            assert event.snapshot == f"2026-01-31/{event.id}.jpg"
            assert state_of(tmp_path, f"media/{event.snapshot}").read_bytes() == b"picture 1"
    sink.close(True)
    (closed,) = events(tmp_path)
    assert closed.snapshot == event.snapshot
    assert state_of(tmp_path, f"media/{event.snapshot}").read_bytes() == b"picture 2"


def test_without_pictures_there_is_no_snapshot(tmp_path: Path) -> None:
    sink = make_sink(tmp_path)
    sink.open()
    for each in stream(20):
        sink.write(each)
    sink.close(True)
    assert [each.snapshot for each in events(tmp_path)] == [""]


RECORDING = {"record": True, "pre_s": 5.0, "post_s": 3.0, "longest_s": 60.0}


class FilmCase:
    """A sink whose camera records, with an event from 10 s to 16 s, seen from an instant after it."""

    def __init__(self, directory: Path, server: Hook, ago_s: float = 25.0, **more: Any) -> None:
        self.zero_ns = time.monotonic_ns() - round(ago_s * 1e9)
        alerts = Alerts(webhooks=(Webhook(url=server.url),))
        self.sink = make_sink(
            directory, settings(camera("door", **(RECORDING | more)), alerts=alerts), zero_ns=self.zero_ns
        )
        self.sink.open()
        self.server = server

    def states(self) -> list[tuple[str, str]]:
        """State and recording of each alert."""
        found = [json.loads(body)["event"] for _, body in self.server.requests]
        return [(each["state"], each.get("recording", "")) for each in found]


def test_a_film_is_asked_for_with_what_was_before_and_after_and_the_last_alert_names_it(tmp_path: Path) -> None:
    with hook() as server:
        case = FilmCase(tmp_path, server)
        for each in stream(20):
            case.sink.write(each)
        case.sink.tick()
        (asked,) = case.sink.asked
        case.sink.tick()
        assert len(case.sink.asked) == 1
        (event,) = events(tmp_path)
        assert (asked.event, asked.camera) == (event.id, "door")
        assert asked.path == str(state_of(tmp_path, f"media/2026-01-31/{event.id}.mp4"))
        assert ((asked.from_ns - case.zero_ns) / 1e9, (asked.until_ns - case.zero_ns) / 1e9) == (5.0, 19.0)
        wait_until(lambda: len(server.requests) == 1, "the first alert")
        case.sink.film_written(FilmWritten(event.id))
        wait_until(lambda: len(server.requests) == 2, "the last alert")
        case.sink.close(True)
    recording = f"2026-01-31/{event.id}.mp4"
    assert case.states() == [("open", ""), ("closed", recording)]
    assert events(tmp_path)[0].recording == recording
    assert rows(tmp_path, "SELECT * FROM films") == []


def test_a_film_that_is_late_or_fails_does_not_hold_the_alert_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.films.LATE_NS", 0)
    with hook() as server:
        case = FilmCase(tmp_path, server, ago_s=60.0, labels=("dog barking",))
        for each in stream(40):
            case.sink.write(each)
        case.sink.tick()
        assert len(case.sink.asked) == 2
        wait_until(lambda: len(server.requests) == 4, "all alerts")
        late, failed = (each.event for each in case.sink.asked)
        case.sink.film_written(FilmWritten(late))
        case.sink.film_written(FilmWritten(failed, "the camera was away\x1b"))
        case.sink.close(True)
    assert sorted(state for state, _ in case.states()) == ["closed", "closed", "open", "open"]
    assert [each.recording for each in events(tmp_path)] == ["", f"2026-01-31/{late}.mp4"]
    assert "door: no film of dog barking: the camera was away?" in [each.text for each in case.sink.told]


def test_an_event_that_lasts_has_a_film_of_its_beginning(tmp_path: Path) -> None:
    with hook() as server:
        case = FilmCase(tmp_path, server, ago_s=38.0, longest_s=30.0)
        for clip in range(45):
            case.sink.write(record(clip, dog=0.9 if clip >= 5 else 0.0))
        case.sink.tick()
        (asked,) = case.sink.asked
        assert ((asked.from_ns - case.zero_ns) / 1e9, (asked.until_ns - case.zero_ns) / 1e9) == (5.0, 35.0)
        case.sink.film_written(FilmWritten(asked.event))
        for clip in range(45, 50):
            case.sink.write(record(clip))
        wait_until(lambda: len(server.requests) == 2, "both alerts")
        case.sink.close(True)
    assert case.states() == [("open", ""), ("closed", f"2026-01-31/{asked.event}.mp4")]


def test_a_film_is_asked_for_again_by_the_next_process(tmp_path: Path) -> None:
    with hook() as server:
        case = FilmCase(tmp_path, server)
        for each in stream(20):
            case.sink.write(each)
        case.sink.tick()
        case.sink._delivery.close()  # it is killed before the answer comes
        again = FilmCase(tmp_path, server)
        again.sink.tick()
        assert [each.event for each in again.sink.asked] == [each.event for each in case.sink.asked]
        again.sink.film_written(FilmWritten(case.sink.asked[0].event))
        again.sink.close(True)
    assert [state for state, _ in again.states()] == ["open", "closed"]


def changed(version: int, of: Settings) -> Configured:
    return Configured(version, msgspec.msgpack.encode(of))


def test_changed_settings_hold_from_the_next_record_on_and_in_the_next_process(tmp_path: Path) -> None:
    sink = make_sink(tmp_path, settings(camera("door"), camera("yard")))
    sink.open()
    for each in stream(7, "door", "yard"):
        sink.write(each)
    other = settings(camera("door", labels=("siren",)), camera("gate"))
    sink.configure(changed(2, other))
    assert [(each.camera, each.state) for each in events(tmp_path)] == [("yard", "closed"), ("door", "closed")]
    sink.configure(changed(1, settings(camera("old"))))  # out of turn
    for each in [each for each in stream(40, "door", "gate") if each.clip >= 7]:
        sink.write(each)
    assert [each.name for each in events(tmp_path, camera="door")] == ["siren", "dog barking"]
    sink._delivery.close()  # it is killed
    again = make_sink(tmp_path, settings(camera("door"), camera("yard")))
    again.open()
    for each in [each for each in stream(60, "gate") if each.clip >= 40]:
        again.write(each)
    again.close(True)
    assert [each.name for each in events(tmp_path, camera="gate")] == [
        "dog barking",
        "siren",
        "dog barking",
        "dog barking",
    ]


def test_alerts_go_where_the_changed_settings_say(tmp_path: Path) -> None:
    with hook() as old, hook() as new:
        old.answers = [503] * 1000
        sink = make_sink(tmp_path, settings(alerts=Alerts(webhooks=(Webhook(url=old.url),))))
        sink.open()
        for each in stream(20):
            sink.write(each)
        wait_until(lambda: old.requests, "a try")
        sink.configure(changed(2, settings(alerts=Alerts(webhooks=(Webhook(url=new.url),)))))
        tries = len(old.requests)
        for each in stream(31)[20:]:
            sink.write(each)
        wait_until(lambda: len(new.requests) == 3, "the alerts of the second dog and of the siren")
        sink.close(True)
    assert len(old.requests) == tries
    assert "2 alerts were given up, because where they go is not in the settings" in [each.text for each in sink.told]


def test_a_broker_hears_that_a_label_is_off_once_its_event_is_over(tmp_path: Path) -> None:
    """Not from the next process of the same watch; but from the next watch, and for labels without events at once."""
    dog, siren = "percept/door/dog_barking", "percept/door/siren"
    with broker(tmp_path) as mqtt, listener(mqtt.port) as heard:
        of = settings(alerts=Alerts(mqtt=Mqtt(host="127.0.0.1", port=mqtt.port)))
        first, second, third = (make_sink(tmp_path, of, run=run) for run in ("first", "first", "later"))
        first.open()
        wait_until(lambda: heard.of(siren), "the state of labels")
        for each in stream(7):
            first.write(each)
        wait_until(lambda: heard.last(dog) == b"ON", "the dog")
        first._delivery.close()  # it is killed
        second.open()
        wait_until(lambda: len(heard.of(siren)) == 2, "the state of labels")
        assert heard.of(dog) == [b"OFF", b"ON"]
        second._delivery.close()
        third.open()
        wait_until(lambda: len(heard.of("percept/door/event")) == 2, "the end of the event")
        assert heard.of(dog) == [b"OFF", b"ON", b"OFF"]
        third.configure(changed(2, msgspec.structs.replace(of, cameras=())))
        wait_until(lambda: heard.last(siren) == b"", "the end of the camera")
        third.close(True)


def test_a_camera_that_is_taken_away_and_added_again_goes_on(tmp_path: Path) -> None:
    sink = make_sink(tmp_path)
    sink.open()
    for each in stream(7):
        sink.write(each)
    sink.configure(changed(2, Settings()))
    sink.configure(changed(3, settings()))
    for each in stream(20):
        wall_time = each.wall_time.replace("T12:", "T13:")
        later = msgspec.structs.replace(each, start_s=each.start_s + 3600, end_s=each.end_s + 3600, wall_time=wall_time)
        sink.write(later)
    sink.close(True)
    assert len(lines(tmp_path)) == 27
    assert [each.state for each in events(tmp_path)] == ["closed", "closed"]


def test_a_lost_camera_is_an_event(tmp_path: Path) -> None:
    sink = make_sink(tmp_path)
    sink.open()
    sink.write(record(0))
    sink.connection("door", "lost", "no packet for 10 s")
    sink.connection("nobody", "lost", "")
    (event,) = events(tmp_path, kind="health")
    assert (event.name, event.state, event.text) == ("camera_lost", "open", "no packet for 10 s")
    sink.tick()
    assert not sink.told, "the reader says it"
    sink.connection("door", "live", "")
    sink.tick()
    assert len(sink.told) == 1
    sink.close(True)
    assert [each.state for each in events(tmp_path)] == ["closed"]


def test_errors_drops_and_gaps_are_kept_and_unknown_cameras_make_no_events(tmp_path: Path) -> None:
    sink = make_sink(tmp_path)
    sink.open()
    odd = [
        msgspec.structs.replace(record(0), error="it broke", parts={}),
        msgspec.structs.replace(record(1), dropped="superseded", parts={}),
        msgspec.structs.replace(record(-1, epoch=1), gap=True, parts={}, start_s=4.0, end_s=9.0),
        *stream(20, "stranger"),
    ]
    for each in odd:
        sink.write(each)
    sink.close(True)
    assert len(lines(tmp_path)) == len(odd)
    assert events(tmp_path) == []
    kinds = rows(tmp_path, "SELECT state FROM clips WHERE camera = 'door' ORDER BY epoch, clip")
    assert kinds == [("error",), ("dropped",), ("gap",)]


def test_a_folder_that_cannot_be_written_is_a_plain_sentence(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(OutputError, match=r"cannot write .*history\.sqlite"):
        make_sink(tmp_path).open()
