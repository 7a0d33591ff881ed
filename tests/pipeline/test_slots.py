"""Shared memory: layout, generations, capacity, watch records, several processes."""

import errno
import multiprocessing
import os
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.arrays import RECORD, Spec
from pipeline.errors import ConfigError
from pipeline.slots import MAX_WORKERS, Layout, Phase, SlotError, Slots

SPECS = {
    "frames": Spec("uint8", "T H W 3", 1000),
    "audio": Spec("float32", "S", 400),
    "mean": Spec("float32", "1", in_message=True),
    "labels": RECORD,
}


@pytest.fixture
def slots() -> Iterator[Slots]:
    made = Slots.create(Layout.of(SPECS), 3)
    yield made
    os.close(made.fd)


@given(
    st.dictionaries(
        st.text("abcdef", min_size=1, max_size=4),
        st.builds(
            Spec,
            st.sampled_from(["uint8", "float16", "float32", "int64"]),
            st.just("N"),
            st.integers(0, 10_000),
            st.booleans(),
        ),
        max_size=6,
    )
)
def test_regions_are_aligned_and_do_not_overlap(specs: dict[str, Spec]) -> None:
    layout = Layout.of(specs)
    assert set(layout.regions) == {name for name, spec in specs.items() if not spec.in_message}
    end = 0
    for offset, capacity, dtype in layout.regions.values():
        assert offset % 64 == 0
        assert offset >= max(end, 64), "after the header and the region before it"
        assert np.dtype(dtype).itemsize <= 64
        end = offset + capacity
    assert layout.slot_bytes >= end
    assert layout.slot_bytes % 4096 == 0


def test_each_slot_returns_what_was_written_into_it(slots: Slots) -> None:
    shapes = {}
    for slot in range(slots.count):
        frames = np.full((2, 3, 5, 3), slot, np.uint8)
        audio = np.arange(100, dtype=np.float32) + slot
        shapes[slot] = (slots.write(slot, "frames", frames), slots.write(slot, "audio", audio))
    for slot, (frames_shape, audio_shape) in shapes.items():
        assert (slots.read(slot, "frames", frames_shape) == slot).all()
        assert (slots.read(slot, "audio", audio_shape) == np.arange(100) + slot).all()


def test_an_array_that_is_not_contiguous_is_written_in_its_own_order(slots: Slots) -> None:
    picture = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)[:, ::2, ::-1]
    shape = slots.write(0, "frames", picture)
    assert (slots.read(0, "frames", shape) == picture).all()


def test_an_array_that_was_read_is_read_only(slots: Slots) -> None:
    shape = slots.write(0, "audio", np.zeros(4, np.float32))
    with pytest.raises(ValueError, match="read-only"):
        slots.read(0, "audio", shape)[0] = 1


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.zeros((40, 5, 5, 3), np.uint8),
            r"frames: uint8 \(40, 5, 5, 3\) \(3,000 bytes\) does not fit its region of",
        ),
        (np.zeros((2, 3), np.float64), r"frames: float64 \(2, 3\) \(48 bytes\) does not fit .* 1,000 bytes of uint8"),
    ],
)
def test_an_array_that_does_not_fit_is_named_with_its_size(slots: Slots, array: np.ndarray, message: str) -> None:
    with pytest.raises(SlotError, match=message):
        slots.write(1, "frames", array)


def test_a_retired_grant_is_stale(slots: Slots) -> None:
    first = slots.generation(1)
    slots.check(1, first)
    second = slots.retire(1)
    slots.check(1, second)
    with pytest.raises(SlotError, match=f"slot 1 is at generation {second}, expected {first}"):
        slots.check(1, first)
    slots.check(0, slots.generation(0))


def test_a_file_without_slots_is_refused() -> None:
    layout = Layout.of(SPECS)
    fd = os.memfd_create("garbage")
    os.ftruncate(fd, 1_000_000)
    with pytest.raises(SlotError):
        Slots(fd, layout, 2).check(0, 0)
    os.close(fd)


def test_a_lack_of_memory_is_reported_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(ConfigError, match=r"queue.slots: 3 slots of 0.0 MB cannot be allocated \(No space left.*--set"):
        Slots.create(Layout.of(SPECS), 3)
    assert set(os.listdir("/proc/self/fd")) == before


def test_more_memory_than_there_is_is_never_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    def allocate(fd: int, offset: int, size: int) -> None:
        pytest.fail("the kernel would kill somebody")

    monkeypatch.setattr(os, "posix_fallocate", allocate)
    monkeypatch.setattr("pipeline.slots.available_bytes", lambda: 24_000_000_000, raising=False)
    layout = Layout.of({"frames": Spec("uint8", "T H W 3", 24_657_000_000)})
    with pytest.raises(ConfigError) as raised:
        Slots.create(layout, 32)
    assert str(raised.value) == (
        "queue.slots: 32 slots of 24657.0 MB need 789.0 GB of memory; 24.0 GB are available. Lower the seconds of a "
        "clip (clip_seconds, --clip-seconds) or its frame rate (fps, --fps), or use fewer slots: --set queue.slots=4"
    )


def test_all_memory_that_there_is_may_be_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout.of(SPECS)
    size = MAX_WORKERS * 64 + 3 * layout.slot_bytes
    monkeypatch.setattr("pipeline.slots.available_bytes", lambda: size)
    os.close(Slots.create(layout, 3).fd)
    monkeypatch.setattr("pipeline.slots.available_bytes", lambda: size - 1)
    with pytest.raises(ConfigError, match="are available"):
        Slots.create(layout, 3)


def test_the_memory_is_allocated_at_once(slots: Slots) -> None:
    found = os.fstat(slots.fd)
    assert found.st_blocks * 512 >= found.st_size >= slots.count * slots.layout.slot_bytes


def test_a_watch_record_has_what_a_worker_does_and_since_when(slots: Slots) -> None:
    before_ns = time.monotonic_ns()
    slots.watch(5, Phase.WORKING, 2, 77)
    seen = slots.watched(5)
    assert (seen.phase, seen.source_index, seen.index) == (Phase.WORKING, 2, 77)
    assert before_ns <= seen.since_ns <= time.monotonic_ns()
    slots.watch(5, Phase.IDLE)
    assert (slots.watched(5).phase, slots.watched(5).index) == (Phase.IDLE, -1)
    assert slots.watched(6).since_ns == 0


def work_in_slot(fd: int, layout: Layout, count: int, slot: int) -> None:
    slots = Slots(fd, layout, count)
    slots.watch(slot, Phase.WORKING, 0, slot)
    for value in range(200):
        shape = slots.write(slot, "audio", np.full(100, slot * 1000 + value, np.float32))
        if (slots.read(slot, "audio", shape) != slot * 1000 + value).any():
            os._exit(1)
    slots.watch(slot, Phase.IDLE, 1, slot)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_several_processes_use_their_slots_at_once() -> None:
    layout, count = Layout.of(SPECS), 6
    slots = Slots.create(layout, count)
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=work_in_slot, args=(slots.fd, layout, count, slot)) for slot in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * count
    for slot in range(count):
        assert (slots.read(slot, "audio", (100,)) == slot * 1000 + 199).all()
        assert slots.watched(slot).index == slot
    os.close(slots.fd)


def test_every_array_is_in_the_memory_that_is_registered_with_devices(slots: Slots) -> None:
    begin, end = slots.memory.ctypes.data, slots.memory.ctypes.data + slots.memory.nbytes
    assert begin % 4096 == 0, "a page begins there"
    for slot in range(3):
        shape = slots.write(slot, "frames", np.full((2, 10, 10, 3), 7 + slot, np.uint8))
        frames = slots.read(slot, "frames", shape)
        place = frames.ctypes.data - begin
        assert 0 <= place <= end - begin - frames.nbytes
        assert (slots.memory[place : place + frames.nbytes] == 7 + slot).all()
