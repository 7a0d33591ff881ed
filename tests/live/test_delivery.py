"""Alerts from the spool to real receivers."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.delivery import LONGEST_WAIT_S, Delivery, wait_s
from live.event import LiveEvent
from live.history import FILE, connect, transaction
from live.history_schema import migrate
from live.settings import Webhook
from live.spool import Spool, add_alerts, drop_targets
from live.webhook import WebhookTarget
from tests.live.receivers import Hook, hook, wait_until

EVENT = LiveEvent(
    id="0", camera="door", kind="label", name="dog barking", state="open", start="2026-01-31T12:00:00.000+00:00"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    connection = connect(tmp_path / FILE)
    migrate(connection)
    connection.close()
    return tmp_path / FILE


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("live.delivery.FIRST_WAIT_S", 0.02)
    monkeypatch.setattr("live.delivery.LEAVING_S", 0.3)


@pytest.fixture
def server() -> Iterator[Hook]:
    with hook() as running:
        yield running


def started(path: Path, *urls: str) -> Delivery:
    delivery = Delivery(path, [WebhookTarget(Webhook(url=url), path.parent, "") for url in urls])
    delivery.start()
    return delivery


def add(path: Path, delivery: Delivery, *numbers: int, kind: str = "label") -> dict[str, int]:
    """Spool an event for each number."""
    connection = connect(path)
    lost: dict[str, int] = {}
    for number in numbers:
        event = msgspec.structs.replace(EVENT, id=str(number), kind=kind)
        with transaction(connection):
            lost |= add_alerts(connection, delivery.wanting(event), event)
    connection.close()
    delivery.wake()
    return lost


def received(server: Hook) -> list[int]:
    return [int(json.loads(body)["event"]["id"]) for _, body in server.requests]


def spooled(path: Path) -> list[tuple[str, str]]:
    connection = connect(path)
    rows = connection.execute("SELECT target, refused FROM spool ORDER BY id").fetchall()
    connection.close()
    return rows


def test_alerts_arrive_in_order_and_leave_the_spool(path: Path, server: Hook) -> None:
    delivery = started(path, server.url)
    add(path, delivery, *range(20))
    add(path, delivery, 99, kind="connection")  # which nobody wants
    wait_until(lambda: len(server.requests) == 20, "all alerts")
    delivery.close()
    assert received(server) == list(range(20))
    assert spooled(path) == []
    assert not delivery.told


def test_an_alert_is_tried_until_it_is_taken_and_the_next_ones_wait_for_it(path: Path, server: Hook) -> None:
    server.answers = [503, 500, 429]
    delivery = started(path, server.url)
    add(path, delivery, 0, 1, 2)
    wait_until(lambda: len(server.requests) == 6, "all tries")
    delivery.close()
    assert received(server) == [0, 0, 0, 0, 1, 2]
    assert len({headers["X-Percept-Id"] for headers, _ in server.requests}) == 3
    assert [each.level for each in delivery.told] == ["warning", "info"]
    assert re.search(r"answered 503 Service Unavailable; alerts wait \(3\)", delivery.told[0].text)


def test_an_alert_that_is_refused_is_set_aside_and_told_once(path: Path, server: Hook) -> None:
    server.answers = [422, 422, 410]
    delivery = started(path, server.url)
    add(path, delivery, 0, 1, 2, 3)
    wait_until(lambda: len(server.requests) == 4, "all alerts")
    delivery.close()
    assert received(server) == [0, 1, 2, 3]
    texts = ["answered 422 Unprocessable Entity", "answered 422 Unprocessable Entity", "answered 410 Gone"]
    assert [refused for _, refused in spooled(path)] == texts
    assert [each.text.partition(": ")[2][:12] for each in delivery.told] == ["answered 422", "answered 410"]


def test_a_target_that_is_back_is_tried_at_once_and_only_once(
    path: Path, server: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.delivery.FIRST_WAIT_S", 100.0)
    server.answers = [503] * 1000
    delivery = started(path, server.url)
    add(path, delivery, 0)
    wait_until(lambda: server.requests, "the first try")
    wait_until(lambda: delivery.told, "its failure")
    delivery.targets[0].is_back.set()
    wait_until(lambda: len(server.requests) == 2, "the second try")
    time.sleep(0.2)
    assert len(server.requests) == 2
    delivery.close(within_s=0.0)


def test_alerts_that_are_set_aside_are_bounded(path: Path, server: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("live.spool.MOST_REFUSED", 3)
    server.answers = [404] * 8
    delivery = started(path, server.url)
    add(path, delivery, *range(10))
    wait_until(lambda: len(server.requests) == 10, "all alerts")
    delivery.close()
    connection = connect(path)
    left = [json.loads(body)["id"] for (body,) in connection.execute("SELECT body FROM spool ORDER BY id")]
    connection.close()
    assert left == ["5", "6", "7"]


def test_one_target_does_not_wait_for_another(path: Path, server: Hook) -> None:
    with hook() as slow:
        slow.answers = [503] * 1000
        delivery = started(path, slow.url, server.url)
        add(path, delivery, *range(5))
        wait_until(lambda: len(server.requests) == 5, "the alerts of the other target")
        delivery.close()
    assert received(server) == list(range(5))
    assert [target for target, _ in spooled(path)] == [delivery.names[0]] * 5


def test_what_was_not_delivered_is_delivered_by_the_next_process(
    path: Path, server: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.delivery.LEAVING_S", 0.0)
    server.answers = [503] * 1000
    delivery = started(path, server.url)
    add(path, delivery, 0, 1, 2)
    wait_until(lambda: server.requests, "a try")
    delivery.close()
    server.answers = []
    server.requests.clear()
    delivery = started(path, server.url)
    wait_until(lambda: len(server.requests) == 3, "all alerts")
    delivery.close()
    assert received(server) == [0, 1, 2]


def test_a_full_disk_does_not_keep_alerts_back(path: Path, server: Hook) -> None:
    delivery = started(path, server.url)
    for number in range(3):
        delivery.add_unsaved(msgspec.structs.replace(EVENT, id=str(number)))
    wait_until(lambda: len(server.requests) == 3, "all alerts")
    delivery.close()
    assert received(server) == [0, 1, 2]


def test_a_delivered_alert_whose_row_cannot_be_removed_is_not_delivered_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect(path)
    with transaction(connection):
        for number in range(2):
            add_alerts(connection, ["t"], msgspec.structs.replace(EVENT, id=str(number)))
    spool = Spool(path, "t")
    connection.execute("BEGIN IMMEDIATE")  # nobody else can write
    monkeypatch.setattr("live.history.BUSY_S", 0.0)
    first = spool.next()
    assert first is not None
    spool.finish(first)
    second = spool.next()
    assert second is not None
    assert (first.event.id, second.event.id) == ("0", "1")
    assert spool.waiting() == 1
    connection.execute("ROLLBACK")
    spool.finish(second)
    assert spooled(path) == []
    assert spool.next() is None
    spool.close()
    connection.close()


def test_the_spool_is_bounded_by_count_and_age_and_says_what_it_gave_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.spool.MOST_ALERTS", 5)
    delivery = Delivery(path, [WebhookTarget(Webhook(url="http://127.0.0.1:9/"), path.parent, "")])
    (name,) = delivery.names
    assert add(path, delivery, *range(5)) == {}
    assert add(path, delivery, 5) == {name: 1}
    assert len(spooled(path)) == 5
    connection = connect(path)
    connection.execute("UPDATE spool SET at_s = at_s - 8 * 86400 WHERE id <= 4")
    connection.close()
    assert add(path, delivery, 6) == {name: 3}
    delivery.given_up({name: 3})
    assert delivery.told[0].text.startswith("webhook http://127.0.0.1:9/…: 3 alerts were given up")


def test_alerts_for_targets_that_are_gone_are_given_up(path: Path) -> None:
    connection = connect(path)
    for target in ("old", "new", "old"):
        add_alerts(connection, [target], EVENT)
    assert drop_targets(connection, ["new"]) == 2
    assert drop_targets(connection, []) == 1
    connection.close()


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_grow_to_a_minute_and_differ(failures: int, jitter: float) -> None:
    longest = min(LONGEST_WAIT_S, 0.02 * 2.0 ** min(failures - 1, 1000))
    assert longest / 2 <= wait_s(failures, jitter) <= longest
