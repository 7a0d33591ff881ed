"""Captures a network as one CUDA graph per batch size; a request is padded to the next size and replayed."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from engines.engine import Port

if TYPE_CHECKING:
    from torch import Tensor

Function = Callable[..., "tuple[Tensor, ...]"]

CAPTURING = Lock()
"""Held while a graph is captured: another capture in the process, in another thread, would spoil both."""
WARM_UPS = 3
"""Runs before a capture, in which libraries choose kernels and allocate workspace; neither is allowed in a capture."""


def bucket_sizes(max_batch: int) -> tuple[int, ...]:
    """1, 4, 8, 12, 16, 24, 32, 48, 64 ... and `max_batch`: from batch 8 on, less than a third of a run is padding."""
    sizes, power = {1, 4, max_batch}, 8
    while power < max_batch:
        sizes |= {power, power + power // 2}
        power *= 2
    return tuple(sorted(size for size in sizes if size <= max_batch))


def has_buckets(inputs: Sequence[Port]) -> bool:
    """Whether the batch is the only free axis; a graph's shapes are fixed."""
    return all(
        dims[:1] == ["B"] and all(dim.isdigit() for dim in dims[1:]) for dims in (port.dims.split() for port in inputs)
    )


class Buckets:
    """`function` of tensors "B ...", prepared for every batch size from 1 to `max_batch`.

    On a GPU each size is a CUDA graph on `stream`. Without a stream each replay is a plain call, with the same results.
    """

    def __init__(
        self, function: Function, inputs: Sequence[Port], max_batch: int, device: str, stream: Any = None
    ) -> None:
        import torch

        self.sizes = bucket_sizes(max_batch)
        self._inputs = [
            torch.zeros((max_batch, *map(int, port.dims.split()[1:])), dtype=getattr(torch, port.dtype), device=device)
            for port in inputs
        ]
        """Static inputs of the largest size; smaller graphs read the first rows."""
        self._replays: dict[int, Callable[[], None]] = {}
        self._outputs: dict[int, tuple[Tensor, ...]] = {}
        pool = None if stream is None else torch.cuda.graph_pool_handle()
        for size in reversed(self.sizes):  # largest first: the others fit into its memory
            given = [static[:size] for static in self._inputs]
            if stream is None:
                self._replays[size], self._outputs[size] = _plain(function, given)
            else:
                self._replays[size], self._outputs[size] = _captured(function, given, stream, pool)

    def run(self, tensors: "Sequence[Tensor]") -> "tuple[Tensor, ...]":
        """Return the outputs "B ...", which the next run overwrites. Padding rows contain data of earlier runs."""
        batch = len(tensors[0])
        size = next(size for size in self.sizes if size >= batch)
        for static, given in zip(self._inputs, tensors, strict=True):
            static[:batch].copy_(given, non_blocking=True)
        self._replays[size]()
        return tuple(output[:batch] for output in self._outputs[size])


def _plain(function: Function, given: "Sequence[Tensor]") -> "tuple[Callable[[], None], tuple[Tensor, ...]]":
    outputs = tuple(output.clone() for output in function(*given))

    def replay() -> None:
        for output, computed in zip(outputs, function(*given), strict=True):
            output.copy_(computed)

    return replay, outputs


def _captured(
    function: Function, given: "Sequence[Tensor]", stream: Any, pool: Any
) -> "tuple[Callable[[], None], tuple[Tensor, ...]]":
    """Graphs can share a pool: each reads only its inputs, and its outputs are not read after another graph has run."""
    import torch

    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            function(*given)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    # "thread_local": another engine's thread may allocate during the capture.
    with CAPTURING, torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
        outputs = function(*given)
    return graph.replay, tuple(outputs)
