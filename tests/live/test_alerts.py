"""One of each, to try them."""

import json
from pathlib import Path

import pytest

from live.alerts import make_targets, send_test_alert
from live.settings import Alerts, Camera, Mqtt, Settings, Webhook
from tests.live.receivers import broker, free_port, hook, listener, wait_until


def test_a_test_alert_reaches_every_target_and_says_which_did_not_take_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.mqtt.CONNECT_S", 5.0)
    away = f"http://127.0.0.1:{free_port()}/SECRET"
    with broker(tmp_path) as mqtt, listener(mqtt.port) as heard, hook() as server, hook() as broken:
        broken.answers = [403]
        hooks = tuple(Webhook(url=url, kinds=("rule",)) for url in (server.url, broken.url, away))
        settings = Settings(
            cameras=(Camera(name="door", labels=("dog",)),),
            alerts=Alerts(webhooks=hooks, mqtt=Mqtt(host="127.0.0.1", port=mqtt.port)),
        )
        found = send_test_alert(settings, "1.2.3")
        wait_until(lambda: heard.of("percept/door/event"), "the event")
    assert [(target, ok) for target, ok, _ in found] == [
        (f"webhook http://127.0.0.1:{server.port}/…", True),
        (f"webhook http://127.0.0.1:{broken.port}/…", False),
        (f"webhook {away.removesuffix('SECRET')}…", False),
        (f"MQTT broker 127.0.0.1:{mqtt.port}", True),
    ]
    assert [text for _, _, text in found] == [
        "taken",
        "answered 403 Forbidden",
        "cannot be reached: Connection refused",
        "taken",
    ]
    content = json.loads(server.requests[0][1])
    assert (content["event"]["kind"], content["event"]["camera"]) == ("test", "door")
    topics = {topic for topic, _ in heard.messages}
    assert topics == {"percept/door/event"}  # a watch that runs beside it keeps its availability and its devices


def test_without_targets_there_is_nothing_to_try() -> None:
    assert send_test_alert(Settings()) == []


def test_a_webhook_that_is_named_twice_is_one(tmp_path: Path) -> None:
    settings = Settings(alerts=Alerts(webhooks=(Webhook(url="http://a/b"), Webhook(url="http://a/b"))))
    assert len(make_targets(settings, tmp_path / "history.sqlite", tmp_path, "")) == 1
