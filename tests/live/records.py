"""Records of a camera, as the output process gets them."""

from datetime import UTC, datetime, timedelta, timezone

from live.settings import Camera, Rule, Watched
from pipeline.result import ClipRecord, Evidence, Label, Track

ZERO = datetime(2026, 11, 28, 18, 0, tzinfo=UTC)
"""The instant from which the times of clips count."""


def clip(
    index: int,
    *,
    start_s: float | None = None,
    seconds: float = 2.0,
    epoch: int = 0,
    near: str = "",
    tracks: list[Track] | None = None,
    measures: dict[str, float] | None = None,
    labels_version: int = 1,
    reused: bool = False,
    zero: datetime = ZERO,
    **probabilities: float,
) -> ClipRecord:
    """A result: `clip(3, dog_barking=0.8)`. near: these labels mean nearly the same."""
    synonyms = near.split()
    labels = [
        Label(
            label=name.replace("_", " "),
            probability=p,
            share=p,
            evidence={"image": Evidence(p, 0.2, 0.4), "audio": Evidence(p / 2, 0.1, 0.6)},
            near=[
                other.replace("_", " ")
                for other in synonyms
                if name in synonyms and other in probabilities and other != name
            ],
        )
        for name, p in sorted(probabilities.items(), key=lambda item: -item[1])
    ]
    start = index * seconds if start_s is None else start_s
    return ClipRecord(
        source="door",
        epoch=epoch,
        clip=index,
        start_s=start,
        end_s=start + seconds,
        wall_time=wall(start, zero),
        width=1280,
        height=720,
        clock="camera",
        parts={"labels": labels, "tracks": tracks or []},
        measures=measures or {},
        labels_version=labels_version,
        reused=reused,
    )


def dropped(index: int, seconds: float = 2.0, epoch: int = 0) -> ClipRecord:
    start = index * seconds
    return ClipRecord(
        source="door",
        epoch=epoch,
        clip=index,
        start_s=start,
        end_s=start + seconds,
        wall_time=wall(start),
        dropped="superseded",
    )


def failed(index: int, seconds: float = 2.0) -> ClipRecord:
    start = index * seconds
    return ClipRecord(source="door", epoch=0, clip=index, start_s=start, end_s=start + seconds, error="it broke")


def gap(start_s: float, end_s: float, epoch: int = 1) -> ClipRecord:
    return ClipRecord(source="door", epoch=epoch, clip=-1, start_s=start_s, end_s=end_s, gap=True)


def wall(seconds: float, zero: datetime = ZERO) -> str:
    """In the time zone of a camera, which is not UTC."""
    time = (zero + timedelta(seconds=seconds)).astimezone(timezone(timedelta(hours=1)))
    return time.isoformat(timespec="milliseconds")


def camera(*labels: str | Watched, rules: dict[str, str] | None = None, **more: object) -> Camera:
    """A camera with labels and rules: `camera("dog", rules={"alone": "dog and not person"})`."""
    return Camera(
        name="door",
        url="rtsp://door/1",
        labels=labels,
        rules=tuple(Rule(name=name, when=when) for name, when in (rules or {}).items()),
        **more,  # type: ignore[arg-type]
    )
