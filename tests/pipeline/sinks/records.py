"""Outputs of every kind, and records to feed to their sinks."""

from pathlib import Path

from pipeline.build import film_source
from pipeline.clip import SourceInfo
from pipeline.result import ClipRecord, Evidence, Label, Track
from pipeline.sinks.kinds import KINDS, resolved
from pipeline.sinks.sink import Sink
from pipeline.status import OutputSpec

SUFFIX = {name: kind.suffixes[0] if kind.suffixes else kind.per_source or ".jsonl" for name, kind in KINDS.items()}


def make_spec(kind: str, path: Path | str, *sources: str, **more: object) -> OutputSpec:
    """The spec of an output, resolved. A `Path` is the folder of its file `out`, with the suffix of the kind."""
    file = str(path / f"out{SUFFIX[kind]}") if isinstance(path, Path) else path
    return resolved(
        OutputSpec(kind=kind, path=file, sources=sources or ("talk.mp4",), film=film_source({}), **more), {}
    )  # type: ignore[arg-type]


def result(
    clip: int, source: str = "talk.mp4", seconds: float = 2.0, epoch: int = 0, near: str = "", **probabilities: float
) -> ClipRecord:
    """A result with the given labels: `result(3, rain=0.8)`. `near`: these labels mean nearly the same."""
    labels = [
        Label(
            label=name.replace("_", " "),
            probability=p,
            share=p,
            evidence={"image": Evidence(p, 0.2, 0.4), "audio": Evidence(p / 2, 0.1, 0.6)},
            near=[other for other in near.split() if name in near.split() and other in probabilities and other != name],
        )
        for name, p in sorted(probabilities.items(), key=lambda item: -item[1])
    ]
    start = clip * seconds
    track = Track(
        id=clip + 1, boxes=[(start, 10.0, 10.0, 60.0, 60.0), (start + 1, 20.0, 12.0, 70.0, 62.0)], label="dog"
    )
    return ClipRecord(
        source=source,
        epoch=epoch,
        clip=clip,
        start_s=start,
        end_s=start + seconds,
        parts={"labels": labels, "tracks": [track]},
        model="m@1",
    )


def failed(clip: int, source: str = "talk.mp4", seconds: float = 2.0) -> ClipRecord:
    start = max(clip, 0) * seconds
    return ClipRecord(source=source, epoch=0, clip=clip, start_s=start, end_s=start + seconds, error="it broke")


def gap(start_s: float, end_s: float, source: str = "talk.mp4", epoch: int = 1) -> ClipRecord:
    return ClipRecord(source=source, epoch=epoch, clip=-1, start_s=start_s, end_s=end_s, gap=True)


def info(source: str = "talk.mp4", index: int = 0, **more: object) -> SourceInfo:
    return SourceInfo(source=source, source_index=index, width=320, height=240, has_video=True, **more)  # type: ignore[arg-type]


def feed(sink: Sink, records: list[ClipRecord], *, complete: bool = True, end: bool = True) -> Sink:
    """Open the sink, write the records source by source, end the sources, close it."""
    sink.open()
    sources = list(dict.fromkeys([*sink.spec.sources, *(record.source for record in records)]))
    for index, source in enumerate(sources):
        mine = [record for record in records if record.source == source]
        if any(record.labels is not None for record in mine):
            sink.source_started(info(source, index))
        for record in mine:
            sink.write(record)
        if end:
            sink.source_ended(index, len(mine))
    sink.close(complete)
    return sink
