"""The targets of a watch's alerts, and one of each to try them."""

import secrets
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from live.delivery import Target, sent_now
from live.event import LiveEvent
from live.history import FILE
from live.mqtt import MqttTarget
from live.settings import Camera, Settings
from live.webhook import WebhookTarget


def make_targets(settings: Settings, history: Path, media: Path, version: str, announces: bool = True) -> list[Target]:
    """The targets that the settings name. Two webhooks of one URL are one. announces: see `MqttTarget`."""
    targets: dict[str, Target] = {}
    for webhook in settings.alerts.webhooks:
        target = WebhookTarget(webhook, media, version)
        targets.setdefault(target.name, target)
    if settings.alerts.mqtt:
        targets["mqtt"] = MqttTarget(settings.alerts.mqtt, by_name(settings), history, media, version, announces)
    return list(targets.values())


def by_name(settings: Settings) -> Mapping[str, Camera]:
    return {camera.name: camera for camera in settings.cameras}


def send_test_alert(settings: Settings, version: str = "") -> list[tuple[str, bool, str]]:
    """Send a test event to every target now: (target, whether it took it, what it said). Nothing is kept."""
    now = datetime.now(UTC)
    event = LiveEvent(
        id=f"test-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        camera=settings.cameras[0].name if settings.cameras else "test",
        kind="test",
        name="test",
        state="closed",
        start=now.isoformat(timespec="milliseconds"),
        end=now.isoformat(timespec="milliseconds"),
        text="This is a test. Nothing has happened.",
    )
    with tempfile.TemporaryDirectory(prefix="percept-test-alert-") as folder:
        targets = make_targets(settings, Path(folder) / FILE, Path(folder), version, announces=False)
        return sent_now(targets, event)
