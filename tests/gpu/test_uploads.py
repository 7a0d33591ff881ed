"""Slot memory is registered with the driver; arrays reach the GPU from it and from other memory."""

import logging
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from engines.devices.device import PinnedMemory, Uploader, open_uploader, without_mark
from pipeline.arrays import Spec
from pipeline.slots import Layout, Slots

pytestmark = pytest.mark.gpu


@pytest.fixture
def slots() -> Iterator[Slots]:
    made = Slots.create(Layout.of({"frames": Spec("uint8", "T H W 3", 17 * 224 * 640 * 3)}), 4)
    yield made
    os.close(made.fd)


def frames_in(slots: Slots, slot: int = 1) -> Any:
    frames = np.random.default_rng(slot).integers(0, 256, (16, 224, 398, 3), np.uint8)
    return slots.read(slot, "frames", slots.write(slot, "frames", frames))


def memory_of(slots: Slots) -> PinnedMemory:
    return PinnedMemory(slots.memory.ctypes.data, slots.memory.nbytes)


def test_the_slots_are_page_locked_until_they_are_released(slots: Slots) -> None:
    frames = frames_in(slots)
    with memory_of(slots) as memory:
        assert memory.is_pinned
        assert memory.holds(frames)
        assert torch.from_numpy(without_mark(frames)).is_pinned()
    assert not torch.from_numpy(without_mark(frames)).is_pinned()
    with memory_of(slots) as memory:
        assert memory.is_pinned, "it can be registered again"


def test_a_failed_registration_falls_back_and_leaves_no_error_behind(
    slots: Slots, caplog: pytest.LogCaptureFixture
) -> None:
    with memory_of(slots), caplog.at_level(logging.WARNING):
        uploader = open_uploader("cuda", slots.memory)
        assert "staging memory" in caplog.text
        assert float(torch.ones(5, device="cuda").sum()) == 5, "the next kernel is not blamed"
        frames = frames_in(slots)
        np.testing.assert_array_equal(uploader.upload(frames).cpu().numpy(), frames)
        uploader.close()


@pytest.mark.parametrize("rows", [None, [1, 3, 5], np.array([15, 0])])
@pytest.mark.parametrize("registered", [True, False])
def test_an_array_arrives_unchanged(slots: Slots, rows: Any, registered: bool) -> None:
    uploader = open_uploader("cuda", slots.memory if registered else None)
    frames = frames_in(slots)
    tensor = uploader.upload(frames, rows)
    assert str(tensor.device) == "cuda:0"
    np.testing.assert_array_equal(tensor.cpu().numpy(), frames if rows is None else frames[rows])
    uploader.close()


def test_strided_small_and_float_arrays_arrive_unchanged() -> None:
    uploader = Uploader("cuda")
    whole = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    for array in (whole[::-1, ::2], whole.astype(np.float16), np.zeros((0, 4), np.float32), np.ones(1, np.int64)):
        np.testing.assert_array_equal(uploader.upload(array).cpu().numpy(), array)
    uploader.close()


def test_a_slot_may_be_written_again_after_the_wait(slots: Slots) -> None:
    uploader = open_uploader("cuda", slots.memory)
    for turn in range(20):
        wanted = np.full((16, 224, 398, 3), turn, np.uint8)
        frames = slots.read(0, "frames", slots.write(0, "frames", wanted))
        tensor = uploader.upload(frames)
        uploader.wait_copied()
        slots.write(0, "frames", np.full_like(wanted, 255))
        assert int(tensor.min()) == int(tensor.max()) == turn
    uploader.close()


def test_computations_wait_for_the_copy(slots: Slots) -> None:
    uploader = open_uploader("cuda", slots.memory)
    frames = frames_in(slots)
    wanted = int(frames.astype(np.int64).sum())
    for _ in range(20):
        with torch.cuda.stream(torch.cuda.Stream()):
            assert int(uploader.upload(frames).long().sum()) == wanted
    uploader.close()
