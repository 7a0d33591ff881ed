"""Metrics are what the status says, in Prometheus' own format."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from live.page.metrics import metrics
from live.status import Status
from tests.live.page.conftest import Client
from tests.live.page.fake_watch import FakeWatch
from tests.live.page.test_app import until

HOSTILE = 'a"b\\c\nd'


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Value by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_every_number_is_that_of_the_status(watch: FakeWatch, client: Client) -> None:
    camera = ("camera", "front-door")
    until(lambda: ("percept_camera_clips_total", (camera,)) in samples(client.get("/metrics").body))
    found = samples(client.get("/metrics").body)
    assert found["percept_camera_age_seconds", (camera, ("quantile", "0.5"))] == 1.25
    assert found["percept_camera_age_seconds", (camera, ("quantile", "0.99"))] == 2.5
    assert found["percept_camera_drops_total", (camera, ("reason", "superseded"))] == 3
    assert found["percept_camera_reconnects_total", (camera,)] == 2
    assert found["percept_camera_events_total", (camera,)] == 4
    assert found["percept_camera_clips_total", (camera,)] == 0
    assert found["percept_queue_clips", (("group", "label"), ("state", "ready"))] == 2
    assert found["percept_stage_seconds_total", (("stage", "encode"),)] == 40.25
    assert found["percept_engine_info", (("engine", "openvino-bf16"), ("tower", "audio"))] == 1
    assert found["percept_process_deaths_total", (("process", "encode-0"), ("role", "group"))] == 1
    assert found["percept_slots", (("state", "used"),)] == 3
    states = {state: found["percept_camera_connection", (camera, ("state", state))] for state in ("live", "lost")}
    assert states == {"live": 1, "lost": 0}


def test_a_lost_camera_shows_at_once(watch: FakeWatch, client: Client) -> None:
    with lost(watch, "drive"):
        key = ("percept_camera_connection", (("camera", "drive"), ("state", "lost")))
        assert until(lambda: samples(client.get("/metrics").body)[key] == 1)


def test_what_zones_and_lines_have_counted() -> None:
    zones, lines = {"yard": {"visits": 3, "mean_s": 1.5, "longest_s": 2.0, "inside": 1}}, {"gate": {"in": 2, "out": 1}}
    found = samples(metrics(msgspec.convert({"cameras": [{"name": "a", "zones": zones, "lines": lines}]}, Status)))
    camera = ("camera", "a")
    assert found["percept_camera_visits_total", (camera, ("zone", "yard"))] == 3
    assert found["percept_camera_inside", (camera, ("zone", "yard"))] == 1
    assert found["percept_camera_crossings_total", (camera, ("line", "gate"), ("way", "in"))] == 2
    assert found["percept_camera_crossings_total", (camera, ("line", "gate"), ("way", "out"))] == 1


def test_names_are_escaped_and_an_empty_status_has_metrics() -> None:
    empty = samples(metrics(Status()))
    assert empty["percept_ready", ()] == 0
    tree: dict[str, Any] = {"cameras": [{"name": HOSTILE, "drops": {HOSTILE: 1}}], "queues": {HOSTILE: {"ready": 1}}}
    found = samples(metrics(msgspec.convert(tree, Status)))
    assert found["percept_camera_drops_total", (("camera", HOSTILE), ("reason", HOSTILE))] == 1
    assert found["percept_queue_clips", (("group", HOSTILE), ("state", "ready"))] == 1


@contextmanager
def lost(watch: FakeWatch, camera: str) -> Iterator[None]:
    watch.connections[camera] = "lost"
    try:
        yield
    finally:
        del watch.connections[camera]
