"""A process for all outputs, so that a slow disk or reader stops neither the supervisor nor a deadline."""

import traceback

import msgspec

from pipeline import slots as phase
from pipeline.build import Plan
from pipeline.bus import Bus
from pipeline.clip import MODALITIES
from pipeline.errors import PerceptError
from pipeline.messages import (
    PROTOCOL_VERSION,
    Broken,
    Finished,
    Hello,
    Note,
    Records,
    SinkClosed,
    SourceDone,
    SourceStarted,
    Stop,
    Written,
)
from pipeline.result import Category, ClipRecord, Label, OpenSet, Track
from pipeline.sinks.file import without_secrets
from pipeline.sinks.sink import Sink, make_sink
from pipeline.slots import Slots

_labels = msgspec.msgpack.Decoder(list[Label])
_tracks = msgspec.msgpack.Decoder(list[Track])


class Verdict(msgspec.Struct, frozen=True):
    """What `classify` says of a clip as a whole."""

    category: Category | None = None
    open_set: OpenSet | None = None


_verdict = msgspec.msgpack.Decoder(Verdict)
_PARTS = {f"{name}_embedding": name for name in MODALITIES} | {"tracks": "tracks"}
"""Arrays whose absence a result tells of, and what it calls them."""


def to_record(done: Finished, facts: dict[str, str]) -> ClipRecord:
    """The public record of a clip; times in seconds, to the microsecond."""
    info = done.info
    verdict = _verdict.decode(done.verdict) if done.verdict is not None and done.error is None else Verdict()
    return ClipRecord(
        source=without_secrets(info.source),
        epoch=info.epoch,
        clip=info.index,
        start_s=round(info.start_ns / 1e9, 6),
        end_s=round(info.end_ns / 1e9, 6),
        width=info.width,
        height=info.height,
        labels=_labels.decode(done.labels) if done.labels is not None and done.error is None else None,
        tracks=_tracks.decode(done.tracks) if done.tracks is not None and done.error is None else None,
        category=verdict.category,
        open_set=verdict.open_set,
        absent={part: done.absent[name] for name, part in _PARTS.items() if name in done.absent},
        model=facts.get("model", ""),
        engine=facts.get("engine", ""),
        engine_reason=facts.get("engine_reason", ""),
        labels_version=1 if done.labels is not None and done.error is None else 0,
        estimated_times=info.estimated_times,
        corrupt_frames=info.corrupt_frames,
        decode_errors=info.decode_errors,
        tries=done.tries,
        error=None if done.error is None else without_secrets(done.error),
        failed=done.failed,
        dropped=done.dropped,
        gap=done.gap,
    )


def run_sink(worker: int, seat: int, plan: Plan, slots: Slots) -> None:
    """Write what comes, in the order it comes, and say how much was written.

    JSON lines are opened last (other sinks first read what an earlier run left there) and written first.
    """
    bus = Bus(plan.settings.directory, worker)
    sinks = [make_sink(spec) for spec in sorted(plan.outputs, key=lambda spec: spec.kind != "jsonl")]
    try:
        for sink in reversed(sinks):
            sink.open()
        bus.send(Hello(worker, PROTOCOL_VERSION))
        complete = _write_all(bus, sinks, slots, seat)
        _close_all(sinks, complete)
        _tell_notes(bus, sinks)
        bus.send(SinkClosed(next((found for sink in sinks if (found := sink.summaries())), ())))
    except PerceptError as error:
        bus.send(Broken(type(error).__name__, str(error)))
    except Exception as error:
        traceback.print_exc()
        bus.send(Broken("PerceptError", f"output: {type(error).__name__}: {error}"))
    bus.close()


def _write_all(bus: Bus, sinks: list[Sink], slots: Slots, seat: int) -> bool:
    """Until told to stop; returns whether the run reached its end."""
    while True:
        slots.watch(seat, phase.IDLE)
        message = bus.receive()
        match message:
            case SourceStarted():
                info = msgspec.structs.replace(message.info, source=without_secrets(message.info.source))
                for sink in sinks:
                    sink.source_started(info)
            case Records():
                records = [to_record(done, message.facts[done.facts]) for done in message.records]
                for sink in sinks:
                    for record in records:
                        sink.write(record)
                bus.send(Written(len(records)))
            case SourceDone():
                for sink in sinks:
                    sink.source_ended(message.source_index, message.clips)
            case Stop():
                return message.complete
        _tell_notes(bus, sinks)


def _close_all(sinks: list[Sink], complete: bool) -> None:
    """Every sink is closed, also when one of them fails; then the first failure is raised."""
    failures: list[Exception] = []
    for sink in sinks:
        try:
            sink.close(complete)
        except Exception as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _tell_notes(bus: Bus, sinks: list[Sink]) -> None:
    for sink in sinks:
        for text in sink.notes:
            bus.send(Note(text))
        sink.notes.clear()
