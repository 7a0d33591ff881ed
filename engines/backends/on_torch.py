"""The PyTorch module itself: fp32 on any device, which is the reference; on a GPU also bf16 and fp16; CUDA graphs."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.backends.backend import Backend, Order
from engines.building.precision import TORCH_NAMES, cast
from engines.devices.cuda_graphs import Buckets, bucket_sizes, has_buckets
from engines.devices.device import Uploader, full_name, why_no_gpu
from engines.engine import Engine, Port
from pipeline.arrays import Array
from pipeline.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

log = logging.getLogger("percept.engines")

HAS_BF16 = (8, 0)
"""Lowest compute capability with bf16 arithmetic."""


class TorchEngine(Engine):
    """Runs the module that `load` returns, on the CPU or on a GPU.

    `threads` applies to the whole process, and so does disabling TF32 for fp32 on a GPU: both are global in torch.

    max_batch: on a GPU also the size of the largest CUDA graph; with 0 nothing is captured and any batch size works.
    """

    backend = "torch"

    def __init__(
        self,
        load: Callable[[], "nn.Module"],
        inputs: tuple[Port, ...],
        outputs: tuple[Port, ...],
        device: str = "cpu",
        threads: int = 1,
        precision: str = "fp32",
        max_batch: int = 0,
    ) -> None:
        super().__init__(inputs, outputs, max_batch)
        self.device = full_name(device)
        self.precision = precision
        self._load = load
        self._threads = threads
        self._module: Any = None
        self._uploader = Uploader(device)
        self._stream: Any = None
        self._buckets: Buckets | None = None

    def _open(self) -> None:
        import torch

        on_gpu = self.device != "cpu"
        if on_gpu and (why := why_no_gpu(self.device)):
            raise ModelError(why)
        torch.set_num_threads(self._threads)
        try:
            self._open_on_device(on_gpu)
        except BaseException:
            self._close()
            raise

    def _open_on_device(self, on_gpu: bool) -> None:
        with self._memory_errors():
            module = self._load().requires_grad_(False).eval()
            self._module = (module if self.precision == "fp32" else cast(module, self.precision)).to(self.device)
            if on_gpu:
                self._open_on_gpu()

    def _open_on_gpu(self) -> None:
        import torch

        if self.precision == "fp32":
            forbid_tf32()
        self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        self._stream.wait_stream(torch.cuda.current_stream(self.device))  # the weights are copied on that stream
        if not self.max_batch or not has_buckets(self.inputs):
            return
        try:
            with torch.inference_mode(), torch.cuda.stream(self._stream):
                self._buckets = Buckets(self._call, self.inputs, self.max_batch, self.device, self._stream)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]  # the other may be half captured
            log.warning(
                "%s: cannot be captured as a CUDA graph (%s); its kernels are launched one by one", self.name, error
            )

    def _run(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        import torch

        with torch.inference_mode(), self._memory_errors(), self._on_stream():
            given = [feeds[port.name] for port in self.inputs]
            tensors = [each if isinstance(each, torch.Tensor) else self._uploader.upload(each) for each in given]
            results = self._buckets.run(tensors) if self._buckets else self._call(*tensors)
            # The copies to the host wait for all earlier work, so the caller may reuse its feeds afterwards.
            return {port.name: result.cpu().numpy() for port, result in zip(self.outputs, results, strict=True)}

    def _call(self, *tensors: "Tensor") -> "tuple[Tensor, ...]":
        results = self._module(*tensors)
        return results if isinstance(results, tuple) else (results,)

    @contextmanager
    def _on_stream(self) -> Iterator[None]:
        """Run on this engine's stream, after the work queued on the caller's stream, which may produce the feeds."""
        if self._stream is None:
            yield
            return
        import torch

        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._stream):
            yield

    @contextmanager
    def _memory_errors(self) -> Iterator[None]:
        import torch

        try:
            yield
        except torch.OutOfMemoryError as error:
            batches = f"batches of up to {self.max_batch}" if self.max_batch else "batches of any size"
            raise ModelError(
                f"{self.device}: out of GPU memory in {self.name} with {batches}. Lower the largest batch, use fewer "
                f"workers, choose --precision bf16, or end other processes on the GPU. torch reports: {error}"
            ) from error

    def _close(self) -> None:
        was_on_gpu = self._stream is not None
        self._uploader.close()
        self._module = self._buckets = self._stream = None
        if was_on_gpu:
            import torch

            torch.cuda.empty_cache()  # the next engine may use another allocator


def forbid_tf32() -> None:
    """Disable TF32 in this process: cuDNN uses its shortened mantissas in float32 products by default."""
    import torch

    log.info("torch: TF32 is off in this process, fp32 is full precision")
    # The older of torch's two interfaces: reading the older one after setting the newer one raises an error.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


class TorchBackend(Backend):
    """Needs no export and no build; the fallback of every other backend."""

    name = "torch"

    def missing(self, device: str) -> str:
        if find_spec("torch") is None:
            return "PyTorch is not installed. Run: pip install torch"
        return "" if device == "cpu" else why_no_gpu(device)

    def precisions(self, device: str) -> tuple[str, ...]:
        if device == "cpu":
            return ("fp32",)
        return ("bf16", "fp16", "fp32") if _capability(device) >= HAS_BF16 else ("fp16", "fp32")

    def other_precisions(self, device: str) -> tuple[str, ...]:
        if device == "cpu":
            return ("bf16",)
        return tuple(precision for precision in TORCH_NAMES if precision not in self.precisions(device))

    def graph(self, precision: str) -> str:
        return ""

    def facts(self, order: Order) -> dict[str, str]:
        import torch

        facts = {"torch": str(torch.__version__), "precision": order.precision}
        if order.device == "cpu":
            return facts
        major, minor = _capability(order.device)
        return facts | {
            "cuda": torch.version.cuda or "",
            "gpu": torch.cuda.get_device_name(order.device),
            "capability": f"{major}.{minor}",
            "buckets": " ".join(map(str, bucket_sizes(order.max_batch))),
        }

    def make(self, order: Order, exported: Path | None, built: Path) -> TorchEngine:
        most = order.max_batch if order.device != "cpu" else order.micro_batch or order.max_batch
        return TorchEngine(order.load, order.inputs, order.outputs, order.device, order.threads, order.precision, most)


def _capability(device: str) -> tuple[int, int]:
    """Compute capability of the GPU; (0, 0) if there is none."""
    import torch

    return torch.cuda.get_device_capability(full_name(device)) if torch.cuda.is_available() else (0, 0)


BACKEND = TorchBackend()
