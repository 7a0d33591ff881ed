"""An event that still goes on, as it is kept while the output process runs and when it is started again."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from live.event import Kind, LiveEvent
from pipeline.result import ClipRecord, Label


class Share(msgspec.Struct):
    """Sums over the clips of an event of what one modality says."""

    probability: float = 0.0
    weight: float = 0.0
    contribution: float = 0.0
    """Log-odds."""
    clips: int = 0
    told: int = 0
    """Clips whose record tells the contribution."""


class Running(msgspec.Struct, kw_only=True):
    """One event so far."""

    id: str
    camera: str
    kind: Kind
    name: str
    start: str
    """UTC, ISO 8601."""
    start_s: float
    end_s: float
    """End of its last clip in which it was true."""
    clip: int
    epoch: int
    labels_version: int
    clock: str
    threshold: float = 0.0
    total: float = 0.0
    peak: float = 0.0
    clips: int = 0
    away_s: float = 0.0
    """For how long it has not been true."""
    unknown_s: float = 0.0
    """For how long nothing has been known."""
    told: bool = False
    """Whether its beginning was reported."""
    also: dict[str, float] = {}
    """Near-synonyms that are part of it, each with its largest probability."""
    shares: dict[str, Share] = {}
    evidence: dict[str, Any] = {}
    text: str = ""

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    @property
    def names(self) -> list[str]:
        """Its label and the near-synonyms that were merged into it."""
        return [self.name, *self.also]

    def extend(self, record: ClipRecord, probability: float = 0.0) -> None:
        """Add a clip in which it is true."""
        self.end_s = record.end_s
        self.total += probability
        self.peak = max(self.peak, probability)
        self.clips += 1
        self.away_s = self.unknown_s = 0.0

    def weigh(self, label: Label) -> None:
        """Add what each modality says about its label in a clip."""
        for modality, evidence in label.evidence.items():
            share = self.shares.setdefault(modality, Share())
            share.probability += evidence.probability
            share.weight += evidence.weight
            if evidence.contribution is not None:
                share.contribution += evidence.contribution
                share.told += 1
            share.clips += 1

    def event(self, state: Literal["open", "closed"]) -> LiveEvent:
        """The event as it is reported."""
        start = datetime.fromisoformat(self.start)
        return LiveEvent(
            id=self.id,
            camera=self.camera,
            kind=self.kind,
            name=self.name,
            state=state,
            start=self.start,
            end=utc_text(start + timedelta(seconds=self.duration_s)) if state == "closed" else "",
            duration_s=round(self.duration_s, 3),
            probability=round(self.total / self.clips, 4) if self.clips else 0.0,
            peak=round(self.peak, 4),
            threshold=round(self.threshold, 4),
            clips=self.clips,
            first_clip=self.clip,
            epoch=self.epoch,
            labels_version=self.labels_version,
            clock=self.clock or "arrival",
            text="; ".join(filter(None, (f"also like {', '.join(self.also)}" if self.also else "", self.text))),
            evidence=self.evidence or {name: _mean(share) for name, share in self.shares.items()},
        )


def begin(record: ClipRecord, kind: Kind, name: str, **facts: Any) -> Running:
    """An event that begins with a clip; the clip is not yet added to it."""
    start = wall_time(record)
    return Running(
        id=event_id(record.source, start, kind, name, record.clip),
        camera=record.source,
        kind=kind,
        name=name,
        start=utc_text(start),
        start_s=record.start_s,
        end_s=record.end_s,
        clip=record.clip,
        epoch=record.epoch,
        labels_version=record.labels_version or 1,
        clock=record.clock,
        **facts,
    )


def event_id(camera: str, start: datetime, kind: str, name: str, clip: int) -> str:
    """`door-20261128T183000Z-1f09ab`: the same for the same event, however often it is told."""
    digest = hashlib.blake2b(f"{camera}\0{kind}\0{name}\0{clip}\0{utc_text(start)}".encode(), digest_size=3)
    return f"{camera}-{start.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest.hexdigest()}"


def wall_time(record: ClipRecord) -> datetime:
    """When a clip was captured, in UTC; if the record does not tell, as if it had come without delay."""
    if record.wall_time:
        return datetime.fromisoformat(record.wall_time).astimezone(UTC)
    return datetime.now(UTC) - timedelta(seconds=record.age_s + record.end_s - record.start_s)


def utc_text(time: datetime) -> str:
    """`2026-11-28T18:30:00.000+00:00`"""
    return time.astimezone(UTC).isoformat(timespec="milliseconds")


def _mean(share: Share) -> dict[str, float]:
    mean = {
        "probability": round(share.probability / share.clips, 4),
        "weight": round(share.weight / share.clips, 4),
    }
    return mean | ({"contribution": round(share.contribution / share.told, 4)} if share.told else {})
