"""Code that only runs on a GPU, executed with stand-ins for torch.cuda on CPU tensors.

This checks that the branches run completely and in the right order. It does not check the results on a real GPU: the
tests in `tests/gpu` do, if there is one.
"""

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engines.backends import on_torch
from engines.backends.on_torch import TorchEngine
from engines.devices import device
from tests.engines.backends.test_on_torch import INPUTS, OUTPUTS, Small, noise

DEVICE = "cpu:0"
"""Not "cpu", so that the GPU branches run, and still a device on which tensors can be created."""


class Stream:
    def __init__(self, events: list[str], name: str) -> None:
        self.events = events
        self.name = name

    def wait_stream(self, other: Any) -> None:
        self.events.append(f"{self.name} waits for {other.name}")

    def wait_event(self, event: Any) -> None:
        self.events.append(f"{self.name} waits for copy")

    def synchronize(self) -> None:
        pass


class Event:
    done = False

    def __init__(self, events: list[str]) -> None:
        self.events = events

    def record(self, stream: Any) -> None:
        self.events.append(f"copied on {stream.name}")

    def query(self) -> bool:
        return self.done

    def synchronize(self) -> None:
        self.events.append("host waits for copy")


class Graph:
    def __init__(self, events: list[str]) -> None:
        self.events = events

    def replay(self) -> None:
        self.events.append("replay")


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Calls to torch.cuda, in order."""
    calls: list[str] = []
    current, made = [Stream(calls, "caller")], iter(range(100))

    @contextlib.contextmanager
    def using(stream: Any) -> Iterator[None]:
        current.append(stream)
        yield
        current.pop()

    @contextlib.contextmanager
    def capturing(graph: Any, pool: Any, stream: Any, capture_error_mode: str) -> Iterator[None]:
        calls.append("capture")
        yield

    empty = torch.empty
    stand_ins: dict[str, Any] = {
        "Stream": lambda place: Stream(calls, f"stream {next(made)}"),
        "Event": lambda: Event(calls),
        "CUDAGraph": lambda: Graph(calls),
        "stream": using,
        "graph": capturing,
        "current_stream": lambda place: current[-1],
        "graph_pool_handle": lambda: (0, 1),
        "empty_cache": lambda: calls.append("empty cache"),
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: calls.append(f"kept for {stream.name}"))
    monkeypatch.setattr(torch, "empty", lambda *shape, pin_memory=False, **more: empty(*shape, **more))
    for module in (device, on_torch):
        monkeypatch.setattr(module, "full_name", lambda name: name)
    monkeypatch.setattr(on_torch, "why_no_gpu", lambda name: "")
    monkeypatch.setattr(on_torch, "forbid_tf32", lambda: calls.append("no TF32"))
    return calls


def test_without_graphs_the_network_is_called_after_the_copy(events: list[str]) -> None:
    engine = TorchEngine(Small, INPUTS, OUTPUTS, DEVICE)
    engine.open()
    assert events == ["no TF32", "stream 0 waits for caller"]
    events.clear()
    tokens = engine.run({"pictures": noise(3)})["tokens"]
    np.testing.assert_allclose(tokens, Small()(torch.from_numpy(noise(3))).detach().numpy(), atol=1e-6)
    assert events == [
        "stream 0 waits for caller",
        "copied on stream 1",
        "stream 0 waits for copy",
        "kept for stream 0",
    ]
    engine.close()
    assert events[-2:] == ["host waits for copy", "empty cache"]


def test_every_size_is_captured_on_open_and_replayed_on_run(events: list[str]) -> None:
    engine = TorchEngine(Small, INPUTS, OUTPUTS, DEVICE, precision="bf16", max_batch=8)
    engine.open()
    assert events.count("capture") == 3
    assert "no TF32" not in events
    engine.run({"pictures": noise(3)})
    assert events.count("replay") == 1
    assert events[-1] == "replay"


def test_a_network_that_cannot_be_captured_is_called_directly(
    events: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", refuse)
    engine = TorchEngine(Small, INPUTS, OUTPUTS, DEVICE, max_batch=8)
    engine.open()
    assert "cannot be captured" in caplog.text
    assert engine.run({"pictures": noise(2)})["tokens"].shape == (2, 5)


@pytest.mark.parametrize("refused", [0, 712])
def test_arrays_are_uploaded_from_registered_and_other_memory(
    events: list[str], monkeypatch: pytest.MonkeyPatch, refused: int, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = SimpleNamespace(
        cudaHostRegister=lambda *arguments: refused,
        cudaHostUnregister=lambda address: events.append("unregistered") or 0,
        cudaError=int,
        cudaGetErrorString=lambda code: "already registered",
    )
    monkeypatch.setattr(torch.cuda, "cudart", lambda: runtime)
    monkeypatch.setattr(torch.cuda, "device", lambda name: contextlib.nullcontext())
    memory = np.zeros(10_000, np.uint8)
    inside = memory[:600].reshape(10, 60)
    inside[:] = np.arange(10)[:, None]
    inside.flags.writeable = False
    uploader = device.open_uploader(DEVICE, memory)
    assert ("staging memory" in caplog.text) is bool(refused)
    for array, rows in ((inside, None), (inside, [1, 3]), (np.ones((4, 2), np.float32)[::-1], [0])):
        tensor = uploader.upload(array, rows)
        np.testing.assert_array_equal(tensor.numpy(), array if rows is None else array[rows])
    assert events.count("host waits for copy") == 0, "the host continues"
    uploader.wait_copied()
    assert events.count("host waits for copy") == 3
    uploader.wait_copied()
    uploader.close()
    assert events.count("host waits for copy") == 3
    assert events.count("unregistered") == (0 if refused else 1)
    if not refused:
        assert events[-1] == "unregistered", "after all copies"
