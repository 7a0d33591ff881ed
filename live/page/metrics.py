"""`/metrics`: the status of the watch, for Prometheus."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from live.status import CameraStatus, Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CONNECTIONS = ("connecting", "live", "lost", "refused")


class StatusCollector(Collector):
    """One status as metrics."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        yield from _watch(self._status)
        yield from _machinery(self._status)
        yield from _cameras(self._status.cameras)


def metrics(status: Status) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StatusCollector(status))
    return generate_latest(registry)


def _watch(status: Status) -> Iterator[Metric]:
    yield Gauge("percept_uptime_seconds", "Since the watch began.", status.uptime_s)
    yield Gauge("percept_ready", "Whether all models are loaded.", float(status.ready))
    yield Gauge(
        "percept_canary_ok", "Whether the last canary clip got the right answers.", float(status.canary.ok is True)
    )
    yield Gauge("percept_settings_version", "Rises with every change.", status.version)
    account = Counter("percept_clips", "Clips of all cameras by what became of them.", labels=["outcome"])
    for outcome in ("results", "errors", "drops"):
        account.add_metric([outcome], getattr(status.account, outcome))
    yield account
    yield Counter("percept_clips_in", "Clips that came in.", status.account.clips_in)
    yield Gauge("percept_clips_in_flight", "Clips that are worked on.", status.account.in_flight)


def _machinery(status: Status) -> Iterator[Metric]:
    depth = Gauge("percept_queue_clips", "Clips per group of stages.", labels=["group", "state"])
    for group, queue in status.queues.items():
        depth.add_metric([group, "ready"], queue.ready)
        depth.add_metric([group, "leased"], queue.leased)
    yield depth
    slots = Gauge("percept_slots", "Slots of shared memory.", labels=["state"])
    slots.add_metric(["free"], status.slots.free)
    slots.add_metric(["used"], status.slots.count - status.slots.free)
    yield slots
    worked = Counter("percept_stage_seconds", "Time that each stage has worked.", labels=["stage"])
    for stage, seconds in status.stage_s.items():
        worked.add_metric([stage], seconds)
    yield worked
    engines = Gauge("percept_engine_info", "Backend and precision of each tower.", labels=["tower", "engine"])
    for tower, engine in status.engines.items():
        engines.add_metric([tower, engine], 1)
    yield engines
    up = Gauge("percept_process_ready", "Whether a process is ready.", labels=["process", "role"])
    deaths = Counter("percept_process_deaths", "How often a process died.", labels=["process", "role"])
    for process in status.processes:
        up.add_metric([process.name, process.role], float(process.ready))
        deaths.add_metric([process.name, process.role], process.deaths)
    yield from (up, deaths)


def _cameras(cameras: tuple[CameraStatus, ...]) -> Iterator[Metric]:
    by = ["camera"]
    state = Gauge("percept_camera_connection", "1 for the state a camera is in.", labels=["camera", "state"])
    age = Gauge("percept_camera_age_seconds", "Capture to result, of the newest clips.", labels=["camera", "quantile"])
    drops = Counter("percept_camera_drops", "Clips that were dropped.", labels=["camera", "reason"])
    counts = {
        name: Counter(f"percept_camera_{name}", text, labels=by)
        for name, text in {
            "reconnects": "Connections after the first.",
            "clips": "Clips that came in.",
            "results": "Clips with a result.",
            "reused": "Results that were those of an earlier clip.",
            "errors": "Clips with an error.",
            "events": "Events that opened.",
        }.items()
    }
    measures = Gauge("percept_camera_measure", "Measurements of the newest clip.", labels=["camera", "measure"])
    inside = Gauge("percept_camera_inside", "Tracks in a zone now.", labels=["camera", "zone"])
    visits = Counter("percept_camera_visits", "Tracks that came into a zone.", labels=["camera", "zone"])
    crossings = Counter("percept_camera_crossings", "Tracks that crossed a line.", labels=["camera", "line", "way"])
    for camera in cameras:
        for zone, count in camera.zones.items():
            inside.add_metric([camera.name, zone], count.inside)
            visits.add_metric([camera.name, zone], count.visits)
        for line, crossed in camera.lines.items():
            crossings.add_metric([camera.name, line, "in"], crossed.inward)
            crossings.add_metric([camera.name, line, "out"], crossed.out)
        for name in CONNECTIONS:
            state.add_metric([camera.name, name], float(camera.connection == name))
        for quantile, seconds in (("0.5", camera.age_s.p50), ("0.99", camera.age_s.p99)):
            if seconds is not None:
                age.add_metric([camera.name, quantile], seconds)
        for reason, number in camera.drops.items():
            drops.add_metric([camera.name, reason], number)
        for name, counter in counts.items():
            counter.add_metric([camera.name], getattr(camera, name))
        for name, value in camera.measures.items():
            measures.add_metric([camera.name, name], value)
    yield from (state, age, drops, *counts.values(), inside, visits, crossings, measures)
