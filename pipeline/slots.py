"""Shared memory: one anonymous file per run, divided into slots of fixed capacity.

The file has no name, so nothing is left behind even after `kill -9`, and limits on /dev/shm do not apply. It begins
with one watch record per worker: what it is doing, and since when. Then come the slots, each with a header {magic,
generation} and one region per array. A region is capacity; the actual shapes travel in messages.
"""

import mmap
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import msgspec
import numpy as np

from pipeline.arrays import Array, Spec, read_only
from pipeline.errors import ConfigError
from pipeline.machine import available_bytes

MAX_WORKERS = 128
_MAGIC = 0x70657263
_ALIGN = 64
_WATCH_BYTES = 64
_HEADER_BYTES = 64


class Phase(IntEnum):
    """What a worker is doing."""

    IDLE = 0
    LOADING = 1
    OPENING = 2
    WORKING = 3
    DECODING = 4
    PREPARING = 5


class SlotError(RuntimeError):
    """A slot was misused: its generation is stale, or an array does not fit its region."""


class Layout(msgspec.Struct, frozen=True):
    """The regions of every slot: name -> (offset in bytes, capacity in bytes, dtype)."""

    regions: dict[str, tuple[int, int, str]]
    slot_bytes: int

    @staticmethod
    def of(specs: Mapping[str, Spec]) -> "Layout":
        """A layout with one region for each array that is kept in the slot, aligned to 64 bytes."""
        regions, offset = {}, _HEADER_BYTES
        for name, spec in specs.items():
            if not spec.in_message:
                regions[name] = (offset, spec.max_bytes, spec.dtype)
                offset += -(-spec.max_bytes // _ALIGN) * _ALIGN
        page = mmap.PAGESIZE
        return Layout(regions, -(-offset // page) * page)


@dataclass(frozen=True)
class Watch:
    """What a worker is doing: its phase, the source and clip, and since when (monotonic time)."""

    phase: Phase
    source_index: int
    index: int
    since_ns: int


class Slots:
    """The mapped file. Each process maps it once and never unmaps it, because a view must not outlive its mapping."""

    def __init__(self, fd: int, layout: Layout, count: int) -> None:
        self.fd = fd
        self.layout = layout
        self.count = count
        self._base = MAX_WORKERS * _WATCH_BYTES
        size = self._base + count * layout.slot_bytes
        self._map = mmap.mmap(fd, size)
        self._watches = np.frombuffer(self._map, np.int64, MAX_WORKERS * 8).reshape(MAX_WORKERS, 8)
        self._headers = [
            np.frombuffer(self._map, np.int64, 2, self._base + slot * layout.slot_bytes) for slot in range(count)
        ]

    @classmethod
    def create(cls, layout: Layout, count: int) -> "Slots":
        """Allocate the memory now, so that a lack of it is an error here and not a bus error later.

        Raises:
            ConfigError: there is not enough memory.
        """
        size = MAX_WORKERS * _WATCH_BYTES + count * layout.slot_bytes
        left = available_bytes()
        if size > left:  # the kernel would allocate until it kills somebody for the memory
            raise ConfigError(
                f"queue.slots: {count} slots of {layout.slot_bytes / 1e6:.1f} MB need {size / 1e9:.1f} GB of memory; "
                f"{left / 1e9:.1f} GB are available. Lower the seconds of a clip (clip_seconds, --clip-seconds) or its "
                "frame rate (fps, --fps), or use fewer slots: --set queue.slots=4"
            )
        fd = os.memfd_create("percept-slots", os.MFD_CLOEXEC)
        try:
            os.posix_fallocate(fd, 0, size)
        except OSError as error:
            os.close(fd)
            raise ConfigError(
                f"queue.slots: {count} slots of {layout.slot_bytes / 1e6:.1f} MB cannot be allocated "
                f"({error.strerror}). Use fewer: --set queue.slots=4"
            ) from error
        slots = cls(fd, layout, count)
        for header in slots._headers:
            header[:] = (_MAGIC, 0)
        return slots

    @property
    def memory(self) -> Array:
        """The whole file, uint8 "N", to be registered with a device. It stays mapped as long as the process lives."""
        return np.frombuffer(self._map, np.uint8)

    # -- generations ----------------------------------------------------------------------------------------------

    def generation(self, slot: int) -> int:
        return int(self._headers[slot][1])

    def retire(self, slot: int) -> int:
        """Make earlier grants of the slot stale. Returns the new generation. Only the supervisor calls this."""
        self._headers[slot][1] += 1
        return int(self._headers[slot][1])

    def check(self, slot: int, generation: int) -> None:
        """Raises: SlotError: the slot has been granted to somebody else since."""
        magic, now = self._headers[slot]
        if magic != _MAGIC or now != generation:
            raise SlotError(f"slot {slot} is at generation {now}, expected {generation}")

    # -- arrays ---------------------------------------------------------------------------------------------------

    def write(self, slot: int, name: str, array: Array) -> tuple[int, ...]:
        """Copy an array into its region. Returns its shape, which travels in the message.

        Raises:
            SlotError: the array does not fit, or has a wrong dtype.
        """
        offset, capacity, dtype = self.layout.regions[name]
        if array.nbytes > capacity or array.dtype != np.dtype(dtype):
            raise SlotError(
                f"{name}: {array.dtype} {array.shape} ({array.nbytes:,} bytes) does not fit its region of "
                f"{capacity:,} bytes of {dtype}"
            )
        self._view(slot, offset, dtype, array.shape)[...] = array
        return array.shape

    def read(self, slot: int, name: str, shape: Sequence[int]) -> Array:
        """A read-only view, valid while the caller holds a lease on the slot."""
        offset, _, dtype = self.layout.regions[name]
        return read_only(self._view(slot, offset, dtype, shape))

    def _view(self, slot: int, offset: int, dtype: str, shape: Sequence[int]) -> Array:
        start = self._base + slot * self.layout.slot_bytes + offset
        return np.ndarray(tuple(shape), np.dtype(dtype), self._map, start)

    # -- watch records --------------------------------------------------------------------------------------------

    def watch(self, worker: int, phase: Phase, source_index: int = -1, index: int = -1) -> None:
        """Record what a worker begins to do. The time is written last, so that a torn record only looks too recent."""
        record = self._watches[worker]
        record[0], record[1], record[2] = phase, source_index, index
        record[3] = time.monotonic_ns()

    def watched(self, worker: int) -> Watch:
        phase, source_index, index, since_ns = self._watches[worker, :4].tolist()
        return Watch(Phase(phase), source_index, index, since_ns)
