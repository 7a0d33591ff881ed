"""How Home Assistant finds cameras by MQTT: one device per camera, and the topics of its parts."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from live.settings import Camera

_PLAIN = re.compile(r"[a-z0-9]+([ -]?[a-z0-9]+)*")
_OWN = frozenset({"event", "snapshot", "connection", "rule", "status"})
"""Words with a meaning of their own in topics."""


def slug(text: str) -> str:
    """A name as a level of a topic and as a part of ids: a-z, 0-9, `-` and `_`. Different names stay different.

    `dog barking` is `dog_barking`; anything that is not that plain ends in six hex digits: `Tür` is `t_r_3fdf0c`.
    """
    if _PLAIN.fullmatch(text) and text not in _OWN and len(text) <= 60:
        return text.replace(" ", "_")
    plain = re.sub(r"[^a-z0-9-]+", "_", text.lower())[:40].strip("_")
    return f"{plain}_{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}".lstrip("_")


def device_id(camera: str) -> str:
    return f"percept_{slug(camera)}"


class Topics:
    """The topics of a watch."""

    def __init__(self, first: str) -> None:
        self.first = first.strip("/")
        self.status = f"{self.first}/status"

    def event(self, camera: str) -> str:
        return f"{self._camera(camera)}/event"

    def snapshot(self, camera: str) -> str:
        return f"{self._camera(camera)}/snapshot"

    def connection(self, camera: str) -> str:
        return f"{self._camera(camera)}/connection"

    def label(self, camera: str, label: str) -> str:
        return f"{self._camera(camera)}/{slug(label)}"

    def rule(self, camera: str, rule: str) -> str:
        return f"{self._camera(camera)}/rule/{slug(rule)}"

    def part(self, camera: str, key: str) -> str:
        """Of a part by its key in `components`."""
        kind, _, name = key.partition("_")
        return f"{self._camera(camera)}/{'rule/' if kind == 'rule' else ''}{name or kind}"

    def _camera(self, camera: str) -> str:
        return f"{self.first}/{re.sub(r'[^A-Za-z0-9._-]', '_', camera) or '_watch'}"


def components(camera: Camera, labels: Iterable[str], topics: Topics) -> dict[str, dict[str, Any]]:
    """The parts of a camera's device by their key: a sensor per label and rule, events, snapshot and connection."""
    device = device_id(camera.name)
    parts: dict[str, dict[str, Any]] = {
        "event": {
            "p": "event",
            "name": "Event",
            "stat_t": topics.event(camera.name),
            "event_types": ["started", "ended"],
        },
        "snapshot": {
            "p": "image",
            "name": "Snapshot",
            "image_topic": topics.snapshot(camera.name),
            "content_type": "image/jpeg",
        },
        "connection": {
            "p": "sensor",
            "name": "Connection",
            "stat_t": topics.connection(camera.name),
            "ent_cat": "diagnostic",
        },
    }
    for label in labels:
        parts[f"label_{slug(label)}"] = {
            "p": "binary_sensor",
            "name": label,
            "stat_t": topics.label(camera.name, label),
        }
    for rule in camera.rules:
        topic = topics.rule(camera.name, rule.name)
        parts[f"rule_{slug(rule.name)}"] = {"p": "binary_sensor", "name": rule.name, "stat_t": topic}
    return {key: part | {"unique_id": f"{device}_{key}"} for key, part in parts.items()}


def device(camera: str, parts: dict[str, dict[str, Any]], topics: Topics, version: str) -> dict[str, Any]:
    """The discovery message of a camera. A part that is only `{"p": ...}` is removed."""
    return {
        "dev": {"ids": [device_id(camera)], "name": camera, "mf": "Percept"},
        "o": {"name": "percept", "sw": version},
        "avty_t": topics.status,
        "cmps": parts,
    }
