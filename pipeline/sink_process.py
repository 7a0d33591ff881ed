"""The process that writes all outputs, so that a slow disk or reader does not block the supervisor."""

import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from pipeline.bus import Bus
from pipeline.clip import MODALITIES, ClipInfo, LiveFacts, SourceInfo
from pipeline.errors import PerceptError
from pipeline.messages import (
    PROTOCOL_VERSION,
    Broken,
    Configured,
    ConnectionChanged,
    Counted,
    FilmWritten,
    Finished,
    Hello,
    Note,
    Records,
    Shown,
    SinkClosed,
    SourceDone,
    SourceStarted,
    SourceSupplied,
    SourceWritten,
    Stop,
)
from pipeline.part import PartInfo
from pipeline.plan import Plan
from pipeline.result import TYPES, ClipRecord
from pipeline.sinks.backlog import Backlog
from pipeline.sinks.file import without_secrets
from pipeline.sinks.kinds import make_sink
from pipeline.sinks.sink import Sink
from pipeline.slots import Phase, Slots
from pipeline.status import OutputSpec

_parts: dict[str, msgspec.msgpack.Decoder[Any]] = {name: msgspec.msgpack.Decoder(kind) for name, kind in TYPES.items()}
_plain: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Any)
TICK_S = 0.5
"""Sinks are given a turn at least so often."""
_NONE = msgspec.msgpack.encode(None)


class RecordMaker:
    """Makes the public records of clips."""

    def __init__(self, parts: tuple[PartInfo, ...]) -> None:
        decided = {part.stage for part in parts if part.essential}
        """Stages without which a clip is an error. The error says why, so `absent` does not."""
        self._reported = {f"{name}_embedding": str(name) for name in MODALITIES}
        self._reported |= {part.name: part.name for part in parts if part.stage not in decided}
        self._start_walls: dict[int, datetime] = {}

    def started(self, info: SourceInfo) -> None:
        """A source is open; its records follow."""
        if info.start_wall:
            self._start_walls[info.source_index] = datetime.fromisoformat(info.start_wall)

    def record(self, done: Finished, facts: dict[str, str]) -> ClipRecord:
        """The record of a finished clip. Times are rounded to microseconds. A part that is None is left out."""
        info = done.info
        packed = done.parts if done.error is None else {}
        parts = {name: _parts.get(name, _plain).decode(data) for name, data in packed.items() if data != _NONE}
        return ClipRecord(
            source=without_secrets(info.source),
            epoch=info.epoch,
            clip=info.index,
            start_s=round(info.start_ns / 1e9, 6),
            end_s=round(info.end_ns / 1e9, 6),
            wall_time=self._wall_time(info),
            width=info.width,
            height=info.height,
            parts=parts,
            absent={part: done.absent[name] for name, part in self._reported.items() if name in done.absent},
            model=facts.get("model", ""),
            engine=facts.get("engine", ""),
            engine_reason=facts.get("engine_reason", ""),
            labels_version=info.labels_version if "labels" in parts else 0,
            estimated_times=info.estimated_times,
            corrupt_frames=info.corrupt_frames,
            decode_errors=info.decode_errors,
            tries=done.tries,
            error=None if done.error is None else without_secrets(done.error),
            failed=done.failed,
            dropped=done.dropped,
            gap=done.gap,
            reused=info.reuse is not None or (info.live is not None and info.live.reused),
            **_live(None if done.gap else info.live),
        )

    def _wall_time(self, info: ClipInfo) -> str:
        if info.live is not None:
            return utc_text(info.live.wall_ns)
        start = self._start_walls.get(info.source_index)
        if start is None:
            return ""
        return (start + timedelta(microseconds=info.start_ns // 1000)).isoformat(timespec="milliseconds")


def _live(facts: LiveFacts | None) -> dict[str, Any]:
    """The fields that only records of live sources have."""
    if facts is None:
        return {}
    age_s = (time.monotonic_ns() - facts.captured_ns) / 1e9
    return {"clock": facts.clock, "age_s": round(age_s, 3), "measures": facts.measures}


def utc_text(wall_ns: int) -> str:
    """Unix time in nanoseconds as `2026-03-01T12:00:00.250+00:00`."""
    time_utc = datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC)
    return (time_utc + timedelta(microseconds=wall_ns % 1_000_000_000 // 1000)).isoformat(timespec="milliseconds")


def run_sink(worker: int, seat: int, plan: Plan, slots: Slots) -> None:
    """Write records in the order they arrive, and report how many are written.

    JSON lines are written first, but opened last: on resume, other sinks first read the existing file.
    """
    bus = Bus(plan.settings.directory, worker)
    sinks = [make_sink(spec) for spec in sorted(plan.outputs, key=_turn)]
    try:
        with _opened(reversed(sinks)):
            bus.send(Hello(worker, PROTOCOL_VERSION))
            complete = _write_all(bus, sinks, RecordMaker(plan.parts), slots, seat)
        _close_all(sinks, complete)
        _report(bus, sinks)
        bus.send(SinkClosed(max((sink.summaries() for sink in sinks), key=len, default=())))
    except PerceptError as error:
        bus.send(Broken(type(error).__name__, str(error)))
    except Exception as error:
        traceback.print_exc()
        bus.send(Broken("PerceptError", f"output: {type(error).__name__}: {error}"))
    bus.close()


def _turn(spec: OutputSpec) -> int:
    """JSON lines come first, the terminal last: sinks before it may have the summaries of an earlier run too."""
    return {"jsonl": 0, "terminal": 2}.get(spec.kind, 1)


@contextmanager
def _opened(sinks: Iterable[Sink]) -> Iterator[None]:
    """Open the sinks. If anything fails, close those that are open as incomplete, so that no partial file remains."""
    opened: list[Sink] = []
    try:
        for sink in sinks:
            sink.open()
            opened.append(sink)
        yield
    except Exception:
        with suppress(Exception):
            _close_all(opened, complete=False)
        raise


def _write_all(bus: Bus, sinks: list[Sink], make: RecordMaker, slots: Slots, seat: int) -> bool:
    """Write until asked to stop. Returns whether the run reached its end.

    Slow sinks do their work while no message waits, so that the others are as fast as the results.
    """
    quick = [sink for sink in sinks if not sink.is_slow]
    slow = Backlog(bus, [sink for sink in sinks if sink.is_slow])
    told: dict[Sink, Counted] = dict.fromkeys(sinks, Counted({}))
    supplied: set[int] = set()
    while True:
        slots.watch(seat, Phase.IDLE)
        message = bus.receive(0 if slow else TICK_S)
        for sink in sinks:
            sink.tick()
            if (counted := sink.counted()) != told[sink]:
                told[sink] = counted
                bus.send(counted)
        match message:
            case None:
                if slow:
                    slow.step()
            case FilmWritten():
                for sink in sinks:
                    sink.film_written(message)
            case ConnectionChanged():
                for sink in sinks:
                    sink.connection(message.camera, message.state, message.text)
            case Configured():
                for sink in sinks:
                    sink.configure(message)
            case SourceSupplied():
                supplied.add(message.source_index)
                for sink in quick:
                    sink.source_supplied(message.source, message.ticket)
                slow.supplied(message.source, message.ticket)
            case SourceStarted():
                info = msgspec.structs.replace(message.info, source=without_secrets(message.info.source))
                make.started(info)
                for sink in quick:
                    sink.source_started(info)
                slow.started(info)
            case Records():
                records = [make.record(done, message.facts[done.facts]) for done in message.records]
                for sink in quick:
                    for record in records:
                        sink.write(record)
                    _report(bus, [sink])
                slow.write(records)
            case SourceDone():
                for sink in quick:
                    sink.source_ended(message.source_index, message.clips)
                slow.ended(message.source_index, message.clips)
                if message.source_index in supplied:
                    supplied.remove(message.source_index)
                    slow.after(partial(bus.send, SourceWritten(message.source_index)))
            case Stop():
                while slow and message.complete:
                    slow.step()
                return message.complete
        _report(bus, sinks)


def _close_all(sinks: list[Sink], complete: bool) -> None:
    """Close every sink, even if one fails; then raise the first failure."""
    failures: list[Exception] = []
    for sink in sinks:
        try:
            sink.close(complete)
        except Exception as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _report(bus: Bus, sinks: list[Sink]) -> None:
    """Pass on what sinks have for the user."""
    for sink in sinks:
        for text in sink.notes:
            bus.send(Note(text))
        for sentence in sink.told:
            bus.send(sentence)
        for film in sink.asked:
            bus.send(film)
        if sink.rows:
            bus.send(Shown(list(sink.rows)))
        for passed_on in (sink.notes, sink.told, sink.asked, sink.rows):
            passed_on.clear()
