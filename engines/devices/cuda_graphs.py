"""A network captured once per batch size: a request is padded to the next size and replayed in one launch."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from engines.engine import Port

if TYPE_CHECKING:
    from torch import Tensor

Function = Callable[..., "tuple[Tensor, ...]"]

WARM_UPS = 3
"""Runs before a capture: libraries choose kernels and allocate workspace in them, which a capture must not."""


def bucket_sizes(max_batch: int) -> tuple[int, ...]:
    """1, 4, 8, 12, 16, 24, 32, 48, 64 ... and `max_batch`: from 8 on, less than a third of a request is padding."""
    sizes, power = {1, 4, max_batch}, 8
    while power < max_batch:
        sizes |= {power, power + power // 2}
        power *= 2
    return tuple(sorted(size for size in sizes if size <= max_batch))


def has_buckets(inputs: Sequence[Port]) -> bool:
    """Whether the batch is all that varies: a graph's shapes are fixed."""
    return all(
        dims[:1] == ["B"] and all(dim.isdigit() for dim in dims[1:]) for dims in (port.dims.split() for port in inputs)
    )


class Buckets:
    """`function` of tensors "B ...", ready for every batch from 1 to `max_batch`.

    On a GPU each size is a CUDA graph on `stream`. Without a stream each replay is a call, which gives the same.
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
        """Of the largest size; smaller ones read the first rows."""
        self._replays: dict[int, Callable[[], None]] = {}
        self._outputs: dict[int, tuple[Tensor, ...]] = {}
        pool = None if stream is None else torch.cuda.graph_pool_handle()
        for size in reversed(self.sizes):  # the largest first: the others fit into its memory
            given = [static[:size] for static in self._inputs]
            if stream is None:
                self._replays[size], self._outputs[size] = _plain(function, given)
            else:
                self._replays[size], self._outputs[size] = _captured(function, given, stream, pool)

    def run(self, tensors: "Sequence[Tensor]") -> "tuple[Tensor, ...]":
        """Outputs "B ..."; they are overwritten by the next run. Rows beyond the batch hold what was there before."""
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
    """Graphs share a pool: each reads only its inputs, and nobody reads the outputs of one after the next has run."""
    import torch

    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            function(*given)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    # "thread_local": another engine's thread may allocate meanwhile.
    with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
        outputs = function(*given)
    return graph.replay, tuple(outputs)
