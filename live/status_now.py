"""The state of a watch, put together from what its parts know."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from live.running import utc_text
from live.status import Account, Age, CameraStatus, Canary, ProcessStatus, QueueStatus, SlotStatus, Status
from pipeline.ledger import LEASED, READY
from pipeline.live_feed import LiveFeed, Watched
from pipeline.live_ledger import LiveLedger
from pipeline.live_outlet import LiveOutlet
from pipeline.messages import Counted
from pipeline.plan import Plan
from pipeline.processes import Processes
from pipeline.status import PlaceCounts


def quantile(values: Iterable[float], share: float) -> float | None:
    """The value below which this share of the values is, by nearest rank; None if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def camera_status(camera: Watched, ledger: LiveLedger, outlet: LiveOutlet, counted: Counted) -> CameraStatus:
    """One camera, without its URL."""
    source, facts = ledger.sources[camera.index], ledger.cameras[camera.index]
    ages_s = outlet.ages_s.get(camera.index, ())
    last = facts.recent[-1].info.live if facts.recent else None
    info, places = source.info, counted.places.get(camera.name, PlaceCounts())
    return CameraStatus(
        name=camera.name,
        connection=camera.state,
        since=utc_text(datetime.fromtimestamp(camera.since_s, UTC)),
        text=camera.text,
        transport=camera.transport,
        epoch=camera.epoch,
        reconnects=max(0, camera.connections - 1),
        clips=source.received,
        results=facts.results,
        reused=facts.reused,
        errors=facts.errors,
        drops=dict(facts.drops),
        age_s=Age(
            p50=_rounded(quantile(ages_s, 0.5)),
            p99=_rounded(quantile(ages_s, 0.99)),
            last=_rounded(ages_s[-1] if ages_s else None),
        ),
        events=counted.events.get(camera.name, 0),
        zones=places.zones,
        lines=places.lines,
        labels_version=camera.labels_version,
        width=info.width if info else 0,
        height=info.height if info else 0,
        has_video=info.has_video if info else False,
        has_audio=info.has_audio if info else False,
        measures=last.measures if last else {},
    )


def queues(plan: Plan, ledger: LiveLedger, outlet: LiveOutlet) -> dict[str, QueueStatus]:
    """How many clips wait and are in work, by group; and records on their way out."""
    entries = [entry for source in ledger.sources.values() for entry in source.entries.values()]

    def count(group: int, status: int) -> int:
        return sum(entry.status[group] == status for entry in entries)

    found = {
        group.name: QueueStatus(ready=count(group.index, READY), leased=count(group.index, LEASED))
        for group in plan.groups
    }
    return found | {"output": QueueStatus(ready=len(outlet), leased=outlet.under_way)}


def engines(ledger: LiveLedger) -> dict[str, str]:
    """Backend and precision of each tower, on which the workers agree."""
    pairs = (text.rpartition(" ") for text in ledger.facts.of(0).get("towers", "").split(", ") if text)
    return {tower: engine for tower, _, engine in pairs}


def status_now(
    plan: Plan,
    ledger: LiveLedger,
    feed: LiveFeed,
    outlet: LiveOutlet,
    processes: Processes,
    *,
    deaths: Mapping[str, int],
    counted: Counted,
    canary: Canary,
    uptime_s: float,
    ready: bool,
    version: int,
    stage_s: dict[str, float],
) -> Status:
    """deaths: by name of a process. stage_s: seconds that each stage has worked."""
    counts = ledger.counts
    return Status(
        time=utc_text(datetime.now(UTC)),
        uptime_s=round(uptime_s, 1),
        ready=ready,
        canary=canary,
        processes=tuple(
            ProcessStatus(
                name=worker.name,
                role=worker.role,
                pid=worker.pid,
                ready=worker.ready,
                deaths=deaths.get(worker.name, 0),
            )
            for worker in processes.workers.values()
        ),
        queues=queues(plan, ledger, outlet),
        slots=SlotStatus(free=feed.free, count=plan.slots),
        engines=engines(ledger),
        stage_s=stage_s,
        account=Account(
            clips_in=counts.clips_in,
            results=counts.results,
            errors=counts.errors,
            drops=counts.drops,
            in_flight=counts.in_flight,
            gaps=counts.gaps,
            deaths=counts.deaths,
            unwritten=outlet.lost,
        ),
        version=version,
        cameras=tuple(camera_status(camera, ledger, outlet, counted) for camera in feed.cameras.values()),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
