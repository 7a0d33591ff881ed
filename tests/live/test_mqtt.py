"""MQTT against a real mosquitto, which is killed and started again."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from live.delivery import Delivery, Later, Refused
from live.discovery import Topics, device_id, slug
from live.event import LiveEvent
from live.history import FILE, connect, transaction
from live.history_schema import migrate
from live.mqtt import MqttTarget
from live.settings import Camera, Mqtt, Rule, Watched
from live.spool import add_alerts
from tests.live.receivers import Broker, Listener, broker, gate, listener, wait_until

EVENT = LiveEvent(
    id="door-20260131T120000Z-1a2b3c",
    camera="door",
    kind="label",
    name="dog barking",
    state="open",
    start="2026-01-31T12:00:00.000+00:00",
    snapshot="2026-01-31/door.jpg",
)
CAMERA = Camera(
    name="door",
    labels=("dog barking", Watched(label="rain", events=False)),
    rules=(Rule(name="Break-in", when="dog barking"),),
)
DEVICE = "homeassistant/device/percept_door/config"


@pytest.fixture
def history(tmp_path: Path) -> Path:
    path = tmp_path / FILE
    connection = connect(path)
    migrate(connection)
    connection.close()
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


def target(port: int, history: Path, *cameras: Camera, **more: object) -> MqttTarget:
    of = Mqtt(host="127.0.0.1", port=port, **more)  # type: ignore[arg-type]
    return MqttTarget(of, {each.name: each for each in cameras or (CAMERA,)}, history, history.parent, "1.2.3")


def test_an_event_sets_the_state_of_its_label_and_ends_it(server: Broker, history: Path) -> None:
    (history.parent / "2026-01-31").mkdir()
    (history.parent / EVENT.snapshot).write_bytes(b"\xff\xd8picture")
    with listener(server.port) as heard:
        sender = target(server.port, history, topic="home/percept")
        sender.tend()
        sender.connection("door", "live")
        sender.tend()
        sender.send(EVENT)
        sender.send(msgspec.structs.replace(EVENT, state="closed"))
        wait_until(lambda: len(heard.of("home/percept/door/event")) == 2, "both events")
        sender.close()
        wait_until(lambda: heard.last("home/percept/status") == b"offline", "the end")
    assert heard.of("home/percept/status") == [b"online", b"offline"]
    assert heard.of("home/percept/door/dog_barking") == [b"OFF", b"ON", b"OFF"]
    assert heard.of("home/percept/door/snapshot")[0] == b"\xff\xd8picture"
    assert heard.of("home/percept/door/connection") == [b"live"]
    started, ended = (json.loads(each) for each in heard.of("home/percept/door/event"))
    assert (started.pop("event_type"), ended.pop("event_type")) == ("started", "ended")
    assert msgspec.convert(started, LiveEvent) == EVENT


def test_home_assistant_finds_a_camera_with_all_its_parts(server: Broker, history: Path) -> None:
    config = "house/device/percept_door/config"
    with listener(server.port) as heard:
        sender = target(server.port, history, discovery="house")
        sender.tend()
        wait_until(lambda: heard.last(config), "discovery")
        found = json.loads(heard.last(config) or b"")
        heard.publish("house/status", b"online")  # Home Assistant has started again
        wait_until(sender._must_announce.is_set, "the birth message")
        sender.tend()
        wait_until(lambda: len(heard.of(config)) == 2, "discovery again")
        sender.close()
    assert found["dev"] == {"ids": ["percept_door"], "name": "door", "mf": "Percept"}
    assert found["o"] == {"name": "percept", "sw": "1.2.3"}
    assert found["avty_t"] == "percept/status"
    parts = found["cmps"]
    assert {key: part["p"] for key, part in parts.items()} == {
        "event": "event",
        "snapshot": "image",
        "connection": "sensor",
        "label_dog_barking": "binary_sensor",
        f"rule_{slug('Break-in')}": "binary_sensor",
    }
    assert parts["label_dog_barking"]["stat_t"] == "percept/door/dog_barking"
    assert parts["label_dog_barking"]["name"] == "dog barking"
    assert parts["event"]["event_types"] == ["started", "ended"]
    assert len({part["unique_id"] for part in parts.values()}) == len(parts)


def test_what_is_gone_is_taken_back_also_in_a_later_run(server: Broker, history: Path) -> None:
    other = Camera(name="yard", labels=("siren",))
    gone = "homeassistant/device/percept_yard/config"
    sender = target(server.port, history, CAMERA, other)
    sender.tend()
    sender.close()
    with listener(server.port) as heard:
        wait_until(lambda: heard.last(gone), "what was retained")
        sender = target(server.port, history, msgspec.structs.replace(CAMERA, labels=("siren",)))
        sender.tend()
        wait_until(lambda: len(heard.of(DEVICE)) >= 3, "the new devices")
        sender.close()
    assert heard.last(gone) == b""
    marked, clean = (json.loads(each)["cmps"] for each in heard.of(DEVICE)[-2:])
    assert marked["label_dog_barking"] == {"p": "binary_sensor"}
    assert "label_dog_barking" not in clean
    assert "label_siren" in clean


def test_labels_and_rules_that_are_new_are_off_unless_an_event_of_them_is_open(server: Broker, history: Path) -> None:
    door, rule = "off/door", f"off/door/rule/{slug('Break-in')}"
    siren = msgspec.structs.replace(EVENT, id="2", name="siren")
    sender = target(server.port, history, topic="off")
    sender.resume([siren])
    with listener(server.port) as heard:
        sender.tend()
        sender.send(EVENT)
        sender.configure({"door": msgspec.structs.replace(CAMERA, labels=("dog barking", "siren", "cat"))})
        sender.tend()
        sender.send(msgspec.structs.replace(siren, state="closed"))
        sender.close()
        wait_until(lambda: heard.last("off/status") == b"offline", "the end")
    with listener(server.port) as late:
        wait_until(lambda: len(retained(late, "off/")) == 5, "what is retained")
    topics = f"{door}/dog_barking", rule, f"{door}/cat", f"{door}/siren", f"{door}/rain"
    assert [heard.of(topic) for topic in topics] == [[b"OFF", b"ON"], [b"OFF"], [b"OFF"], [b"OFF"], []]
    assert [late.last(topic) for topic in topics] == [b"ON", b"OFF", b"OFF", b"OFF", None]
    order = [topic for topic, _ in heard.messages]
    assert order.index(f"{door}/siren") > order.index(f"{door}/dog_barking") + 1  # with the end of its event


def test_what_this_broker_is_not_told_has_no_state(server: Broker, history: Path) -> None:
    with listener(server.port) as heard:
        sender = target(server.port, history, topic="kinds", kinds=("rule",))
        sender.tend()
        sender.close()
        wait_until(lambda: heard.last("kinds/status") == b"offline", "the end")
    assert heard.of("kinds/door/dog_barking") == []
    assert heard.of(f"kinds/door/rule/{slug('Break-in')}") == [b"OFF"]


def test_a_label_stays_on_if_its_next_event_began_before_the_end_of_the_last_was_told(
    server: Broker, history: Path
) -> None:
    """Which waits for its film."""
    second = msgspec.structs.replace(EVENT, id="2")
    with listener(server.port) as heard:
        sender = target(server.port, history, topic="film")
        sender.tend()
        for event in (EVENT, second):
            sender.send(event)
        for event in (EVENT, second):
            sender.send(msgspec.structs.replace(event, state="closed"))
        sender.close()
        wait_until(lambda: heard.last("film/status") == b"offline", "the end")
    assert heard.of("film/door/dog_barking") == [b"OFF", b"ON", b"ON", b"ON", b"OFF"]


def test_nothing_of_a_camera_that_is_removed_stays_with_the_broker(server: Broker, history: Path) -> None:
    """Nor what its alerts say that have waited: they come after its removal."""
    (history.parent / "2026-01-31").mkdir()
    (history.parent / EVENT.snapshot).write_bytes(b"\xff\xd8picture")
    closed = msgspec.structs.replace(EVENT, state="closed")
    sender = target(server.port, history, topic="removed")
    for state in ("live", "refused"):
        sender.connection("door", state)
        sender.tend()
    sender.send(EVENT)
    with listener(server.port) as heard:
        wait_until(lambda: len(retained(heard, "removed/")) == 5, "what is retained")
        sender.configure({})
        sender.connection("door", "live")  # late
        sender.tend()
        sender.send(closed)
        wait_until(lambda: heard.of("removed/door/event"), "the end of the event")
    sender.close()
    assert json.loads(heard.of("removed/door/event")[-1])["state"] == "closed"
    assert heard.of("removed/door/dog_barking")[-1] == b"OFF"
    with listener(server.port) as heard:
        wait_until(lambda: heard.of("removed/status"), "what is retained")
        heard.publish("end", b"")
        wait_until(lambda: heard.of("end"), "all of it")
    assert retained(heard, "removed/") == {"removed/status"}


@pytest.mark.parametrize("topic", ["between", "other"])
def test_what_went_between_two_watches_is_cleared(server: Broker, history: Path, topic: str) -> None:
    """Without discovery too, and all of it if the first part of all topics is another now."""
    yard = Camera(name="Yard", labels=("siren", "rain"), rules=(Rule(name="Break-in", when="siren"),))
    sender = target(server.port, history, CAMERA, yard, topic="between", discovery="")
    sender.connection("door", "live")
    sender.connection("Yard", "refused")
    sender.tend()
    for name, kind in (("siren", "label"), ("rain", "label"), ("Break-in", "rule")):
        sender.send(msgspec.structs.replace(EVENT, camera="Yard", name=name, kind=kind))
    sender.close()
    left = msgspec.structs.replace(yard, labels=("rain",), rules=())
    with listener(server.port) as heard:
        wait_until(lambda: len(retained(heard, "between/")) == 8, "what is retained")
        sender = target(server.port, history, left, topic=topic, discovery="")
        sender.tend()
        sender.close()
        wait_until(lambda: heard.last(f"{topic}/status") == b"offline", "the end")
    stays = {"between/status", "between/Yard/connection", "between/Yard/rain"}
    assert retained(heard, "between/") == (stays if topic == "between" else {"between/status"})


def test_what_an_older_version_has_published_is_cleared(server: Broker, history: Path) -> None:
    """It kept devices and their parts, but no topics."""
    old = connect(history)
    old.execute("DROP TABLE retained")
    old.execute("PRAGMA user_version = 1")
    for key, platform in (("event", "event"), ("connection", "sensor"), ("label_rule_1", "binary_sensor")):
        old.execute("INSERT INTO discovered VALUES ('percept_gate', ?, ?)", (key, platform))
    old.execute("INSERT INTO discovered VALUES (?, 'rule_a', 'binary_sensor')", (device_id("Yard.1"),))
    for name in ("Yard.1", "attic", "door", ""):
        old.execute("INSERT INTO states VALUES (?, 'moments', '')", (name,))
    old.execute("INSERT INTO events VALUES ('1', 1, 'attic', 'label', 'rain', 'closed', 0, 0, '')")
    old.execute("INSERT INTO events VALUES ('2', 1, 'attic', 'health', 'camera_lost', 'closed', 0, 0, '')")
    migrate(old)
    old.close()
    with listener(server.port) as heard:
        sender = target(server.port, history, topic="older")
        sender.tend()
        sender.close()
        wait_until(lambda: heard.last("older/status") == b"offline", "the end")
    assert {topic for topic, content in heard.messages if not content and topic.startswith("older/")} == {
        "older/gate/connection",
        "older/gate/rule_1",
        "older/Yard.1/connection",
        "older/Yard.1/snapshot",
        "older/Yard.1/rule/a",
        "older/attic/connection",
        "older/attic/snapshot",
        "older/attic/rain",
    }


def test_a_broker_that_is_killed_for_a_while_gets_every_event_in_order(
    tmp_path: Path, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has confirmed is not sent again, but for the one that was on its way."""
    monkeypatch.setattr("live.mqtt.CONNECT_S", 0.2)
    names = [f"{EVENT.id}-{number}" for number in range(40)]
    with broker(tmp_path) as server, gate(server.port) as way:
        delivery = Delivery(history, [target(way.port, history)])
        delivery.start()
        with listener(server.port) as client:
            spool(history, delivery, names[:15])
            wait_until(lambda: len(events(client)) > 5, "the first events")
            server.kill()
            way.shut()
            assert client.lost.wait(10)
            got = events(client)
        spool(history, delivery, names[15:])
        wait_until(lambda: delivery.told, "the news that the broker is away")
        server.start()
        with listener(server.port) as client:
            way.open()
            wait_until(lambda: names[-1] in events(client), "the last event")
            after = events(client)
        delivery.close()
    assert got == names[: len(got)]
    assert list(dict.fromkeys(after)) == names[names.index(after[0]) :]
    assert len(got) - 1 <= names.index(after[0]) <= 15, "it may have confirmed more than it had passed on"
    away, back = delivery.told
    assert re.match(f"MQTT broker 127.0.0.1:{way.port}: (cannot be reached|the connection is lost)", away.text)
    assert back.text.endswith("takes alerts again")


def test_a_message_that_is_not_confirmed_in_time_is_not_handed_over_twice(
    server: Broker, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.mqtt.ACK_S", 0.2)
    with listener(server.port) as heard:
        sender = target(server.port, history)
        sender.tend()
        with server.frozen(), pytest.raises(Later, match="does not confirm messages"):
            sender.send(EVENT)
        monkeypatch.undo()
        sender.send(EVENT)
        sender.send(msgspec.structs.replace(EVENT, state="closed"))
        wait_until(lambda: len(events(heard)) >= 2, "both events")
        sender.close()
    assert heard.of("percept/door/dog_barking")[-2:] == [b"ON", b"OFF"]
    assert events(heard) == [EVENT.id] * 2


def test_a_wrong_password_is_told_and_shown_nowhere(
    tmp_path: Path, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "sesame")
    monkeypatch.setattr("live.mqtt.CONNECT_S", 1.0)
    with broker(tmp_path, "allow_anonymous false") as server:
        sender = target(server.port, history, user="me", password_env="MQTT_PASSWORD")
        with pytest.raises(Later, match="refuses the connection") as caught:
            sender.tend()
        sender.close()
    assert "sesame" not in str(caught.value)


def test_a_setting_that_the_client_does_not_take_is_told_and_ends_nothing(history: Path) -> None:
    delivery = Delivery(history, [target(0, history)])
    delivery.start()
    wait_until(lambda: delivery.told, "the news")
    delivery.close(within_s=0.0)
    assert delivery.told[0].text == "MQTT broker 127.0.0.1:0: unexpected ValueError; alerts wait (0)"


@hypothesis.settings(max_examples=30)
@given(st.lists(st.text(max_size=80), unique=True, min_size=2, max_size=5))
def test_names_are_safe_in_topics_and_stay_different(names: list[str]) -> None:
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert all(re.fullmatch("[a-z0-9_-]{1,70}", each) for each in slugs)
    topics = Topics("percept")
    ours = {topics.event("door"), topics.snapshot("door"), topics.connection("door")}
    assert not ours & {topics.label("door", name) for name in names}


def test_plain_names_stay_readable() -> None:
    assert slug("dog barking") == "dog_barking"
    assert slug("dog-cart 2") == "dog-cart_2"
    assert re.fullmatch("event_[0-9a-f]{6}", slug("event"))  # which is the topic of all events


def test_a_topic_that_is_not_allowed_sets_the_event_aside(tmp_path: Path, history: Path) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite percept/status\ntopic readwrite homeassistant/#\n")
    with broker(tmp_path, "allow_anonymous true", f"acl_file {rules}") as server:
        sender = target(server.port, history)
        sender.tend()
        with pytest.raises(Refused, match="refuses the message"):
            sender.send(EVENT)
        sender.close()


def spool(history: Path, delivery: Delivery, names: list[str]) -> None:
    writer = connect(history)
    for name in names:
        with transaction(writer):
            add_alerts(writer, delivery.names, msgspec.structs.replace(EVENT, id=name))
        delivery.wake()
    writer.close()


def retained(client: Listener, first: str) -> set[str]:
    """Topics whose last message is not empty, by what they begin with."""
    return {topic for topic, _ in client.messages if topic.startswith(first) and client.last(topic)}


def events(client: Listener) -> list[str]:
    """Ids of all events so far."""
    return [json.loads(each)["id"] for each in client.of("percept/door/event")]
