"""The state of a watch as plain data: what the page, `/metrics` and `percept watch ctl status` are told."""

import time
from collections.abc import Iterable
from typing import Any

from pipeline.ledger import LEASED, READY
from pipeline.live_feed import LiveFeed, Watched
from pipeline.live_ledger import LiveLedger
from pipeline.live_outlet import LiveOutlet
from pipeline.plan import Plan
from pipeline.processes import Processes


def quantile(values: Iterable[float], share: float) -> float | None:
    """The value below which this share of the values is, by nearest rank; None if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def camera_status(camera: Watched, ledger: LiveLedger, outlet: LiveOutlet) -> dict[str, Any]:
    """One camera, without its URL."""
    source, facts = ledger.sources[camera.index], ledger.cameras[camera.index]
    ages_s = outlet.ages_s.get(camera.index, ())
    last = facts.recent[-1].info.live if facts.recent else None
    info = source.info
    return {
        "name": camera.name,
        "connection": camera.state,
        "since": round(camera.since_s, 3),
        "text": camera.text,
        "transport": camera.transport,
        "epoch": camera.epoch,
        "reconnects": max(0, camera.connections - 1),
        "clips": source.received,
        "results": facts.results,
        "reused": facts.reused,
        "errors": facts.errors,
        "drops": dict(facts.drops),
        "age_s": {
            "p50": _rounded(quantile(ages_s, 0.5)),
            "p99": _rounded(quantile(ages_s, 0.99)),
            "last": _rounded(ages_s[-1] if ages_s else None),
        },
        "labels_version": camera.labels_version,
        "width": info.width if info else 0,
        "height": info.height if info else 0,
        "has_video": info.has_video if info else False,
        "has_audio": info.has_audio if info else False,
        "measures": last.measures if last else {},
    }


def queue_status(plan: Plan, ledger: LiveLedger) -> dict[str, Any]:
    """How many clips wait and are in work, by group."""
    entries = [entry for source in ledger.sources.values() for entry in source.entries.values() if entry.status]
    return {
        group.name: {
            "ready": sum(entry.status[group.index] == READY for entry in entries),
            "leased": sum(entry.status[group.index] == LEASED for entry in entries),
        }
        for group in plan.groups
    }


def watch_status(
    plan: Plan, ledger: LiveLedger, feed: LiveFeed, outlet: LiveOutlet, processes: Processes, slots: int
) -> dict[str, Any]:
    """Everything but what the supervisor itself adds."""
    counts = ledger.counts
    return {
        "time": round(time.time(), 3),
        "processes": [
            {"name": worker.name, "role": worker.role, "pid": worker.pid, "ready": worker.ready}
            for worker in processes.workers.values()
        ],
        "queues": queue_status(plan, ledger) | {"output": {"ready": len(outlet), "leased": outlet.under_way}},
        "slots": {"free": feed.free, "count": slots},
        "account": {
            "clips_in": counts.clips_in,
            "results": counts.results,
            "errors": counts.errors,
            "drops": counts.drops,
            "in_flight": counts.in_flight,
            "gaps": counts.gaps,
            "deaths": counts.deaths,
            "unwritten": outlet.lost,
        },
        "cameras": [camera_status(camera, ledger, outlet) for camera in feed.cameras.values()],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
