"""Memory is registered and released in the right order, and arrays arrive unchanged."""

import gc
import logging
import mmap
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from engines.devices.device import PinnedMemory, Uploader, full_name, why_no_gpu, without_mark


class Runtime:
    """A stand-in for the CUDA runtime that records its calls and returns `code`."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.calls: list[tuple[Any, ...]] = []

    def cudaHostRegister(self, address: int, nbytes: int, flags: int) -> int:
        self.calls.append(("register", address, nbytes))
        return self.code

    def cudaHostUnregister(self, address: int) -> int:
        self.calls.append(("unregister", address))
        return self.code

    def cudaError(self, code: int) -> int:
        return code

    def cudaGetErrorString(self, code: int) -> str:
        return {2: "out of memory", 712: "already registered"}[code]


def test_memory_is_registered_once_and_released_once() -> None:
    runtime = Runtime()
    memory = PinnedMemory(4096, 100, runtime=runtime)
    assert runtime.calls == []
    with memory:
        memory.open()
        assert memory.is_pinned
    memory.close()
    assert not memory.is_pinned
    assert runtime.calls == [("register", 4096, 100), ("unregister", 4096)]


def test_a_refusal_is_logged_and_nothing_counts_as_pinned(caplog: pytest.LogCaptureFixture) -> None:
    runtime = Runtime(code=2)
    array = np.zeros(1000, np.uint8)
    with caplog.at_level(logging.WARNING), PinnedMemory(array.ctypes.data, 1000, runtime=runtime) as memory:
        assert not memory.holds(array)
    assert "cudaHostRegister of 0.0 MB: out of memory" in caplog.text
    assert "staging memory" in caplog.text
    assert runtime.calls == [("register", array.ctypes.data, 1000)]


def test_an_error_of_torch_is_a_refusal_too(caplog: pytest.LogCaptureFixture) -> None:
    runtime = Runtime()
    runtime.cudaHostRegister = lambda *_: (_ for _ in ()).throw(RuntimeError("no driver"))  # type: ignore[method-assign]
    with PinnedMemory(4096, 100, runtime=runtime) as memory:
        assert not memory.is_pinned
    assert "no driver" in caplog.text


def test_a_failed_release_is_logged_and_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    runtime = Runtime()
    memory = PinnedMemory(4096, 100, runtime=runtime)
    memory.open()
    runtime.code = 712
    memory.close()
    memory.close()
    assert "cudaHostUnregister" in caplog.text
    assert len(runtime.calls) == 2


def test_empty_memory_cannot_be_registered() -> None:
    with pytest.raises(ValueError, match="0 bytes"):
        PinnedMemory(4096, 0)


def test_only_whole_arrays_inside_the_memory_count_as_pinned() -> None:
    array = np.zeros((10, 10), np.uint8)
    with PinnedMemory(array[2:].ctypes.data, 50, runtime=Runtime()) as memory:
        assert memory.holds(array[2:7])
        assert not memory.holds(array[:3])
        assert not memory.holds(array[2:8])
        assert not memory.holds(array[2:7, ::2])


def test_the_read_only_flag_is_removed_without_a_copy() -> None:
    kept = mmap.mmap(-1, 4096)
    array = np.frombuffer(kept, np.uint8)
    array.flags.writeable = False
    view = without_mark(array)
    tensor = torch.from_numpy(view)  # would warn about the flag, and warnings are errors here
    assert tensor.data_ptr() == array.ctypes.data
    del view, array
    assert tensor.sum() == 0


@pytest.mark.parametrize("rows", [None, [0, 2], np.array([3])])
def test_an_upload_keeps_the_values(rows: Any) -> None:
    array = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), np.uint8)
    array.flags.writeable = False
    uploader = Uploader("cpu")
    tensor = uploader.upload(array, rows)
    uploader.wait_copied()
    np.testing.assert_array_equal(tensor.numpy(), array if rows is None else array[rows])
    tensor.zero_()
    assert array.max() > 0
    uploader.close()
    uploader.close()


def test_cuda_is_the_first_gpu() -> None:
    assert [full_name(device) for device in ("cpu", "cuda", "cuda:1")] == ["cpu", "cuda:0", "cuda:1"]


def test_a_torch_build_without_cuda_is_reported() -> None:
    if torch.version.cuda:
        pytest.skip("this torch has CUDA")
    assert "no NVIDIA GPU" in why_no_gpu("cuda")
    assert "built without CUDA" in why_no_gpu("cuda")


def test_a_gpu_number_that_is_too_high_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert why_no_gpu("cuda:1") == ""
    assert "expected cuda:0 to cuda:1" in why_no_gpu("cuda:2")


def test_an_array_that_is_held_is_copied_once_and_kept_as_long_as_it_lives() -> None:
    uploader = Uploader("cpu")
    array = np.arange(12).reshape(4, 3)
    held = uploader.hold(array)
    assert uploader.hold(array) is uploader.upload(array) is held
    assert uploader.upload(array, [2, 0]).tolist() == array[[2, 0]].tolist()
    gone = weakref.ref(held)
    del array, held
    gc.collect()
    assert gone() is None
