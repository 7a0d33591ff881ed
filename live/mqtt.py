"""Alerts by MQTT 5, with a retained state per label, availability, and Home Assistant's discovery."""

import json
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from live.announced import Announced
from live.delivery import Later, Refused
from live.discovery import Topics, components, device, device_id
from live.event import LiveEvent
from live.secrets import read_secret
from live.settings import Camera, Mqtt
from live.targets import targets
from live.webhook import small_file
from pipeline.errors import ConfigError
from pipeline.logs import visible

if TYPE_CHECKING:
    from paho.mqtt.client import Client

ACK_S = 10.0
"""How long the broker may take to confirm a message, before it counts as away."""
CONNECT_S = 5.0
RECONNECT_S = (1, 15)
"""Shortest and longest wait between two tries to connect, doubled each time."""
KEEPALIVE_S = 30
BATCH = 100
"""Of messages that are no alerts, so many are waited for at a time."""
PASSING = (0x83, 0x88, 0x89, 0x93, 0x97)
"""Reasons of a broker for which a message is sent again: implementation, unavailable, busy, too many, over quota."""
ON, OFF = b"ON", b"OFF"


class MqttTarget:
    """Publishes with QoS 1. Reconnects for ever; what the broker has not confirmed is sent again.

    path: the history, which remembers what was announced, so that it can be taken back in a later run.
    announces: tells whether the watch runs, and what it has. Not so for a trial beside a watch that runs.
    """

    name = "mqtt"

    def __init__(
        self,
        settings: Mqtt,
        cameras: Mapping[str, Camera],
        path: Path,
        media: Path,
        version: str,
        announces: bool = True,
    ) -> None:
        self.shown = f"MQTT broker {settings.host}:{settings.port}"
        self.kinds = settings.kinds
        self.is_back = threading.Event()
        self._settings, self._media, self._version = settings, media, version
        self._topics = Topics(settings.topic)
        self._announced = Announced(path, self._topics)
        self._announces = announces
        self._cameras = dict(cameras)
        self._connections: dict[str, str] = {}
        self._sent_connections: dict[str, str] = {}
        self._client: Client | None = None
        self._client_id = f"percept-{secrets.token_hex(4)}"
        self._connected, self._must_announce = threading.Event(), threading.Event()
        self._trouble = ""
        self._acks: dict[int, int] = {}
        self._acked = threading.Event()
        self._open: dict[str, str] = {}
        """Topics of labels and rules that are on, with the id of their newest event."""
        self._told: set[str] = set()
        """Topics of labels and rules whose state was told since the connection was made."""
        self._telling: list[int] = []
        """Messages that are no alerts and that the broker has not confirmed yet."""
        self._under_way: tuple[LiveEvent, list[int]] | None = None
        """An event whose messages the client holds, and sends again by itself after a reconnect."""

    def resume(self, events: Iterable[LiveEvent]) -> None:
        """Called before all else with the events that go on. Their ends are yet to come, and they are not off."""
        for event in events:
            if topic := self._state_topic(event):
                self._open[topic] = event.id

    # -- from any thread ---------------------------------------------------------------------------------------------

    def configure(self, cameras: Mapping[str, Camera]) -> None:
        self._cameras = dict(cameras)
        self._connections = {camera: state for camera, state in self._connections.items() if camera in cameras}
        self._must_announce.set()

    def connection(self, camera: str, state: str) -> None:
        """The state of a camera's connection, which is no alert: only the newest counts."""
        if camera in self._cameras:
            self._connections = self._connections | {camera: state}

    # -- from the thread that delivers -------------------------------------------------------------------------------

    def tend(self) -> None:
        self._connect()
        if not self._connected.wait(CONNECT_S):
            raise Later(f"cannot be reached: {self._trouble or 'no answer'}")
        if self._must_announce.is_set():
            self._must_announce.clear()
            try:
                self._announce()
            except Exception:
                self._must_announce.set()
                raise
            self._sent_connections = {}
        connections = self._connections
        for camera, state in connections.items():
            if self._sent_connections.get(camera) != state:
                self._tell(self._topics.connection(camera), state.encode())
        self._sent_connections = connections
        self._settle()

    def send(self, event: LiveEvent) -> None:
        if not self._connected.is_set():
            raise Later(f"cannot be reached: {self._trouble or 'the connection is lost'}")
        if self._under_way is None or self._under_way[0] != event:
            self._acks.clear()
            self._under_way = event, [self._publish(*message) for message in self._messages(event)]
        codes = self._confirmed(self._under_way[1])
        self._under_way = None
        if bad := [code for code in codes if code >= 0x80]:
            text = f"the broker refuses the message (reason 0x{bad[0]:02x})"
            raise Later(text) if bad[0] in PASSING else Refused(text)

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            if self._announces and self._connected.is_set():
                client.publish(self._topics.status, b"offline", qos=1, retain=True)
            client.disconnect()
            client.loop_stop()
        self._announced.close()

    # -- messages ----------------------------------------------------------------------------------------------------

    def _messages(self, event: LiveEvent) -> list[tuple[str, bytes, bool]]:
        """Topic, content and whether it is retained: the state of its label, the picture, and the event itself.

        An event that has waited while its camera or label went leaves nothing behind.
        """
        is_open = event.state == "open"
        wanted = self._wanted({name: camera for name, camera in self._cameras.items() if name == event.camera})
        messages = []
        if topic := self._state_topic(event):
            messages.append((topic, self._state(topic, event), topic in wanted))
        if event.snapshot and (picture := small_file(self._media / event.snapshot)):
            topic = self._topics.snapshot(event.camera)
            messages.append((topic, picture, topic in wanted))
        content = {"event_type": "started" if is_open else "ended"} | msgspec.to_builtins(event)
        messages.append((self._topics.event(event.camera), json.dumps(content).encode(), False))
        return messages

    def _state_topic(self, event: LiveEvent) -> str:
        """Of the label or the rule; nothing for other kinds of events."""
        topics = {"label": self._topics.label, "rule": self._topics.rule}
        return topics[event.kind](event.camera, event.name) if event.kind in topics else ""

    def _state(self, topic: str, event: LiveEvent) -> bytes:
        """Of a label or rule from this event on. While the end of one waits for its film, a newer one may begin."""
        if event.state == "open":
            self._open[topic] = event.id
        elif self._open.get(topic) == event.id:
            del self._open[topic]
        return ON if topic in self._open else OFF

    def _publish(self, topic: str, content: bytes, retain: bool) -> int:
        """Hand a message to the client. Returns its number."""
        assert self._client is not None
        return self._client.publish(topic, content, qos=1, retain=retain).mid

    def _tell(self, topic: str, content: bytes) -> None:
        """Publish what is no alert, and stays with the broker. An empty content takes back what was there."""
        self._telling.append(self._publish(topic, content, retain=True))

    def _settle(self) -> None:
        """Wait until all that was told is confirmed. Raises: Later: it is not."""
        while self._telling:
            batch = self._telling[:BATCH]
            self._confirmed(batch)
            for number in batch:
                del self._acks[number]
            del self._telling[:BATCH]

    def _confirmed(self, numbers: list[int]) -> list[int]:
        """The broker's answers. Raises: Later: it did not answer."""
        until_s = time.monotonic() + ACK_S
        while not all(number in self._acks for number in numbers):
            self._acked.clear()
            if all(number in self._acks for number in numbers):
                break
            if not self._connected.is_set() or time.monotonic() > until_s:
                raise Later("does not confirm messages" if self._connected.is_set() else "the connection is lost")
            self._acked.wait(0.5)
        return [self._acks[number] for number in numbers]

    # -- what stays with the broker ----------------------------------------------------------------------------------

    def _announce(self) -> None:
        """Publish all devices; take back what is gone; tell that what is new is off, unless an event of it is open.

        What the client still sends again must not come after that, nor alerts before it.
        """
        if self._under_way is not None:
            self._confirmed(self._under_way[1])
        self._settle()
        cameras, told = self._cameras, self._told
        if self._settings.discovery:
            self._announce_devices(cameras)
        known, wanted = self._announced.retained(), self._wanted(cameras)
        self._announced.save_retained(known | wanted)
        for topic in sorted(known - wanted):
            self._tell(topic, b"")
        states = set().union(*(self._states(camera) for camera in cameras.values()))
        for topic in sorted(states - told - {*self._open}):
            self._tell(topic, OFF)
        self._settle()
        told.intersection_update(states)
        told.update(states)
        self._announced.save_retained(wanted)

    def _wanted(self, cameras: Mapping[str, Camera]) -> set[str]:
        """The topics whose messages are retained."""
        topics = self._topics
        found = {topic(name) for name in cameras for topic in (topics.connection, topics.snapshot)}
        return found.union(*(self._states(camera) for camera in cameras.values()))

    def _states(self, camera: Camera) -> set[str]:
        """The topics of labels and rules whose events are told here."""
        labels = {self._topics.label(camera.name, label) for label in self._labels(camera)}
        rules = {self._topics.rule(camera.name, rule.name) for rule in camera.rules}
        return (labels if "label" in self.kinds else set()) | (rules if "rule" in self.kinds else set())

    def _announce_devices(self, cameras: Mapping[str, Camera]) -> None:
        """Publish all devices; take back parts and devices that are gone."""
        wanted = {
            device_id(name): (camera, components(camera, self._labels(camera), self._topics))
            for name, camera in cameras.items()
        }
        for gone in self._announced.devices() - {*wanted}:
            self._tell(self._config_topic(gone), b"")
            self._announced.save(gone, {})
        for id, (camera, parts) in wanted.items():
            before = self._announced.parts(id)
            gone_parts = {key: {"p": platform} for key, platform in before.items() if key not in parts}
            if gone_parts:
                self._publish_device(id, camera.name, parts | gone_parts)
            self._publish_device(id, camera.name, parts)
            self._announced.save(id, {key: part["p"] for key, part in parts.items()})

    def _publish_device(self, id: str, camera: str, parts: dict[str, dict[str, Any]]) -> None:
        content = json.dumps(device(camera, parts, self._topics, self._version)).encode()
        self._tell(self._config_topic(id), content)

    def _config_topic(self, device: str) -> str:
        return f"{self._settings.discovery}/device/{device}/config"

    @staticmethod
    def _labels(camera: Camera) -> list[str]:
        return [target.name for target in targets(camera).values() if target.events]

    # -- connection --------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Start the client; and again if its thread has died, which must not end the alerts."""
        if self._client is not None and self._has_thread():
            return
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        settings = self._settings
        try:
            password = read_secret(self.shown, "password", settings.password_env, settings.password_file)
        except ConfigError as error:
            raise Later(str(error)) from None
        client = Client(CallbackAPIVersion.VERSION2, self._client_id, protocol=MQTTProtocolVersion.MQTTv5)
        if settings.user:
            client.username_pw_set(settings.user, password or None)
        if settings.tls:
            client.tls_set()
        if self._announces:
            client.will_set(self._topics.status, b"offline", qos=1, retain=True)
        client.reconnect_delay_set(*RECONNECT_S)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_connect_fail, client.on_publish = self._on_connect_fail, self._on_publish
        client.on_message = self._on_message
        client.connect_async(settings.host, settings.port, keepalive=KEEPALIVE_S)
        self._client, self._under_way, self._telling = client, None, []
        self._connected.clear()
        client.loop_start()

    def _has_thread(self) -> bool:
        return any(each.name == f"paho-mqtt-client-{self._client_id}" for each in threading.enumerate())

    def _on_connect(self, client: "Client", data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._trouble = f"the broker refuses the connection ({visible(str(reason))})"
            return
        self._trouble = ""
        if self._announces:
            client.publish(self._topics.status, b"online", qos=1, retain=True)
            if self._settings.discovery:
                client.subscribe(f"{self._settings.discovery}/status", qos=1)
            self._told = set()
            self._must_announce.set()
        self._connected.set()
        self.is_back.set()

    def _on_disconnect(self, client: "Client", data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._connected.clear()
        self._acked.set()

    def _on_connect_fail(self, client: "Client", data: Any) -> None:
        self._trouble = "no connection"

    def _on_publish(self, client: "Client", data: Any, mid: int, reason: Any, properties: Any) -> None:
        self._acks[mid] = reason.value
        self._acked.set()

    def _on_message(self, client: "Client", data: Any, message: Any) -> None:
        """Home Assistant has started."""
        if message.payload == b"online":
            self._must_announce.set()
