"""The supply side of a run: which worker decodes which source, the slots it holds, and what its death costs."""

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from pipeline.clip import ClipInfo
from pipeline.ledger import Ledger
from pipeline.messages import (
    CloseSource,
    Decoded,
    Ended,
    GapFound,
    Grants,
    Open,
    Opened,
    SourceFailed,
    ToWorker,
)
from pipeline.plan import Plan
from pipeline.processes import Processes, Worker
from pipeline.slots import Phase, Slots
from pipeline.supply import NoSupply, Supply

GRANTS_AHEAD = 2
"""Slots that a decoder holds beyond the clip it is decoding; more if there are many slots."""
LOST_CLIPS_LIMIT = 5
"""A source is given up after this many clips in a row that no decoder survived."""


@dataclass
class _Decoder:
    """What a decode worker holds: its source, and its slots with their generations."""

    source: int = -1
    grants: dict[int, int] = field(default_factory=dict)


class Feed:
    """Opens sources in order on the decode workers and grants them slots while the other stages keep up.

    sources: those that are known. Those of `supply` are added to them as they are opened.
    """

    def __init__(
        self,
        sources: list[str],
        starts: Mapping[int, int],
        complete: Collection[int],
        plan: Plan,
        ledger: Ledger,
        slots: Slots,
        processes: Processes,
        send: Callable[[Worker, ToWorker], None],
        supply: Supply | None = None,
    ) -> None:
        self.sources = sources
        self._supply: Supply = supply or NoSupply()
        self.closing = False
        self._plan = plan
        self._ledger = ledger
        self._slots = slots
        self._processes = processes
        self._send = send
        self._ahead = max(GRANTS_AHEAD, slots.count // (8 * plan.decode_workers))
        self._free: deque[int] = deque(range(slots.count))
        self._todo: deque[int] = deque()
        self._decoders: dict[int, _Decoder] = {}
        """By worker."""
        self._deaths: dict[int, tuple[int, int]] = {}
        self._lost_in_a_row: dict[int, int] = {}
        for index, source in enumerate(sources):
            ledger.add_source(index, source, starts.get(index, 0))
            if index in complete:
                ledger.ended(index)
            else:
                self._todo.append(index)

    def start(self) -> None:
        workers = self._plan.decode_workers
        for number in range(min(workers, len(self._todo)) if self._supply.is_over else workers):
            self._processes.spawn("decode", f"decode-{number + 1}")

    @property
    def finished(self) -> bool:
        return not self._todo and not self._ledger.open_sources and (self.closing or self._supply.is_over)

    # -- slots ----------------------------------------------------------------------------------------------------

    def release(self, slot: int) -> None:
        """A slot that nobody needs any more. Its next grant has a new generation."""
        if slot >= 0:
            self._slots.retire(slot)
            self._free.append(slot)

    def introduce(self, worker: Worker) -> None:
        """A decode worker is ready."""
        self._decoders[worker.id] = _Decoder()

    def has_work(self, worker: Worker) -> bool:
        decoder = self._decoders.get(worker.id)
        return decoder is not None and decoder.source >= 0 and bool(decoder.grants)

    def dispatch(self, hold_back: bool) -> None:
        """Open waiting sources and grant free slots. `hold_back`: results cannot leave, so no slot is granted."""
        workers = self._processes.workers
        ready = [(workers[id], decoder) for id, decoder in self._decoders.items() if id in workers]
        for worker, decoder in ready:
            if decoder.source < 0 and not self.closing and (index := self._next()) is not None:
                decoder.source = index
                start = self._ledger.sources[decoder.source].received
                self._send(worker, Open(self.sources[decoder.source], decoder.source, start))
        if hold_back or not self._free:
            return
        full = self._ledger.waiting() > self._plan.config.queue.results_waiting
        head = self._ledger.head_source()
        for worker, decoder in sorted(ready, key=lambda pair: pair[1].source):
            if decoder.source < 0 or (full and decoder.source != head):
                continue
            if len(decoder.grants) <= self._ahead // 2:
                self._grant(worker, decoder, min(self._ahead - len(decoder.grants), len(self._free)))

    def _next(self) -> int | None:
        """The next source to be opened; None if there is none now."""
        if self._todo:
            return self._todo.popleft()
        supplied = self._supply.next()
        if supplied is None:
            return None
        index = len(self.sources)
        self.sources.append(supplied.source)
        self._ledger.add_source(index, supplied.source, ticket=supplied.ticket)
        return index

    def _grant(self, worker: Worker, decoder: _Decoder, count: int) -> None:
        slots = [self._free.popleft() for _ in range(count)]
        grants = [(slot, self._slots.generation(slot)) for slot in slots]
        if grants:
            decoder.grants.update(grants)
            self._send(worker, Grants(grants))

    # -- messages from decoders -------------------------------------------------------------------------------------

    def handle(self, worker: Worker, message: Opened | Decoded | GapFound | Ended | SourceFailed) -> str | None:
        """Record the message in the ledger. Returns a notice for the user, or None."""
        match message:
            case Opened(info):
                notes = "; ".join(info.notes) if self._ledger.opened(info) else ""
                return f"{info.source}: {notes}" if notes else None
            case Decoded():
                self._decoded(worker, message)
            case GapFound(gap):
                if self._ledger.gap(gap):
                    return f"{gap.source}: no media from {gap.start_ns / 1e9:.1f} to {gap.end_ns / 1e9:.1f} s"
            case Ended(source_index, count):
                self._let_go(self._decoders[worker.id])
                source = self._ledger.sources[source_index]
                if count > source.received:
                    error = f"{source.name}: decode sent {count} clips; expected them in order, got {source.received}"
                    self._ledger.ended(source_index, error)
                    return error
                if not source.received and not self.closing:
                    error = f"{source.name}: it has nothing to label; expected at least one picture or sound"
                    self._ledger.ended(source_index, error)
                    return error
                self._ledger.ended(source_index, cut=self.closing)
            case SourceFailed(source_index, error):
                self._ledger.ended(source_index, error)
                self._let_go(self._decoders[worker.id])
                return error
        return None

    def _let_go(self, decoder: _Decoder) -> None:
        """Take back the slots of a decoder that has no source any more."""
        decoder.source = -1
        for slot in decoder.grants:
            self.release(slot)
        decoder.grants.clear()

    def _decoded(self, worker: Worker, message: Decoded) -> None:
        if message.info.reuse is not None:
            self._ledger.reused(message.info)
            return
        del self._decoders[worker.id].grants[message.slot]
        self._lost_in_a_row.pop(message.info.source_index, None)
        if not self._ledger.decoded(message.info, message.slot, message.generation, message.shapes, message.absent):
            self.release(message.slot)

    def died(self, worker: Worker, cause: str) -> str | None:
        """Take back its slots, and let another decoder continue after the last clip that arrived.

        A clip, or the opening of a source, that kills three decoders is given up.
        """
        decoder = self._decoders.pop(worker.id, _Decoder())
        source = self._ledger.sources.get(decoder.source)
        self._let_go(decoder)
        if source is None:
            return None
        if self.closing and not source.ended:
            self._ledger.ended(source.index, cut=True)
            return None
        watch = self._slots.watched(worker.seat)
        if not source.ended:
            self._todo.appendleft(source.index)
        if source.ended or watch.phase not in (Phase.DECODING, Phase.OPENING):
            return None
        index, deaths = self._deaths.get(source.index, (watch.index, 0))
        deaths = deaths + 1 if index == watch.index else 1
        self._deaths[source.index] = (watch.index, deaths)
        tries = self._plan.config.queue.tries
        if deaths < tries or (watch.index > source.received and deaths < 3 * tries):
            return None  # clips before the one it died at may have been lost; let them be sent again
        lost = self._lost_in_a_row.get(source.index, 0) + 1
        self._lost_in_a_row[source.index] = lost
        clip = source.received
        text = f"decode: {cause}; given up after {deaths} tries"
        if source.info is None or lost > LOST_CLIPS_LIMIT:
            self._todo.remove(source.index)
            self._ledger.ended(source.index, f"{source.name}: {text}")
        else:
            self._ledger.undecodable(self._next_clip(source.index), text)
        return f"{source.name}: clip {clip}: {text}"

    def _next_clip(self, index: int) -> ClipInfo:
        """The next clip of a source by the tiling alone; its media were never decoded."""
        source, clips = self._ledger.sources[index], self._plan.config.clips
        info = source.info
        start_ns = round(clips.start_s * 1e9) + source.received * clips.stride_ns
        width, height = (info.width, info.height) if info else (0, 0)
        return ClipInfo(
            source.name, index, source.received, start_ns, start_ns + clips.clip_ns, width=width, height=height
        )

    # -- stopping -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop reading: open sources end where they are, and the others are not opened."""
        self.closing = True
        self._supply.close()
        while self._todo:
            self._ledger.ended(self._todo.popleft(), cut=True)
        for id, decoder in self._decoders.items():
            if decoder.source >= 0:
                self._send(self._processes.workers[id], CloseSource())
