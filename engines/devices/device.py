"""How arrays reach a GPU: page-locked (pinned) memory, and copies that run in parallel with the computation.

On "cpu" the same calls return CPU tensors, so code that uses them can be tested without a GPU.
"""

import logging
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pipeline.arrays import Array

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("percept.engines")

PORTABLE = 1
"""Flag: the memory is registered for every GPU, not only for the current one."""


def full_name(device: str) -> str:
    """The name of the device in torch tensors: "cuda" becomes "cuda:0"."""
    return "cuda:0" if device == "cuda" else device


def why_no_gpu(device: str) -> str:
    """Return why torch cannot use this GPU and what to do, or "". Initialises CUDA: do not call it before a fork."""
    import torch

    if not device.startswith("cuda"):
        return f"device {device!r}: torch runs on cpu and cuda:N"
    if not torch.cuda.is_available():
        built = "" if torch.version.cuda else f" (torch {torch.__version__} is built without CUDA)"
        return f"device {device!r}: torch finds no NVIDIA GPU{built}. Choose --device cpu"
    number, count = int(full_name(device).partition(":")[2]), torch.cuda.device_count()
    if number >= count:
        return f"device {device!r}: there are {count} GPUs; expected cuda:0 to cuda:{count - 1}"
    return ""


class PinnedMemory:
    """Registers memory that other code mapped as page-locked, so that a GPU copies from it directly.

    Close it before the memory is unmapped: the driver keeps the registration of an address, and refuses or misreads
    whatever is mapped there next. Registering is slow and per process, so register all memory once. If the driver
    refuses, a warning is logged once and copies go through staging memory.

    runtime: replaces `torch.cuda.cudart()` in tests.
    """

    def __init__(self, address: int, nbytes: int, device: str = "cuda:0", runtime: Any = None) -> None:
        if nbytes <= 0:  # the driver would refuse it too, and its error would surface in an unrelated call
            raise ValueError(f"memory to register has {nbytes} bytes; expected at least 1")
        self.address = address
        self.nbytes = nbytes
        self.is_pinned = False
        self._device = device
        self._runtime = runtime

    def open(self) -> None:
        if self.is_pinned:
            return
        fault = self._call("cudaHostRegister", self.address, self.nbytes, PORTABLE)
        self.is_pinned = not fault
        if fault:
            log.warning("%s; copies to %s go through staging memory", fault, self._device)

    def close(self) -> None:
        """Unregister; may be called twice."""
        if self.is_pinned:
            self.is_pinned = False
            if fault := self._call("cudaHostUnregister", self.address):
                log.warning("%s", fault)

    def holds(self, array: Array) -> bool:
        """Whether the array is contiguous and inside the registered memory."""
        begin = array.ctypes.data - self.address
        return self.is_pinned and array.flags.c_contiguous and 0 <= begin <= self.nbytes - array.nbytes

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, name: str, *arguments: int) -> str:
        """Call the runtime function; return its error message, or ""."""
        runtime: Any = self._runtime
        place: AbstractContextManager[None] = nullcontext()
        if runtime is None:
            import torch

            runtime, place = torch.cuda.cudart(), torch.cuda.device(self._device)  # type: ignore[no-untyped-call]
        try:
            with place:
                code = int(getattr(runtime, name)(*arguments))
                fault = runtime.cudaGetErrorString(runtime.cudaError(code)) if code else ""
        except RuntimeError as error:
            fault = str(error)
        if fault and self._runtime is None:
            self._clear_error()
        return fault and f"{name} of {self.nbytes / 1e6:.1f} MB: {fault}"

    def _clear_error(self) -> None:
        """Clear the runtime's last error, which torch would otherwise attribute to the next kernel that it launches.

        torch has no binding of cudaGetLastError; launching a kernel that is allowed to fail clears the error.
        """
        import torch

        try:
            torch.ones(1, device=self._device)
        except RuntimeError as error:
            log.debug("cleared the error of registering memory: %s", error)


class Uploader:
    """Copies arrays to a device on its own stream; computations on the device wait for the copy, the host does not.

    memory: registered and released with the uploader; arrays inside it are copied directly, others through staging
    memory.
    """

    def __init__(self, device: str, memory: PinnedMemory | None = None) -> None:
        self.device = full_name(device)
        self._memory = memory
        self._stream: Any = None
        self._being_read: deque[tuple[Any, Any]] = deque()
        """(event after the copy, tensor that the copy reads), oldest first."""
        self._held: dict[int, Tensor] = {}
        """By the id of their array."""

    def open(self) -> None:
        if self._memory is not None and self.device != "cpu":
            self._memory.open()

    def upload(self, array: Array, rows: Sequence[int] | Array | None = None) -> "Tensor":
        """Copy the array to the device, for use on the current stream. Keep the array unchanged until `wait_copied`.

        rows: copy only these rows of the first axis.
        """
        import torch

        if (held := self._held.get(id(array))) is not None:
            return held if rows is None else torch.stack([held[int(row)] for row in rows])
        if self.device == "cpu":
            return torch.from_numpy(_writable(array if rows is None else array[np.asarray(rows)]))
        return self._upload(array, rows)

    def hold(self, array: Array) -> "Tensor":
        """Copy the whole array, and keep the copy as long as the array object lives: `upload` takes it from there.

        For stages of one process that use the same array on the same stream.
        """
        if id(array) not in self._held:
            copy = self.upload(array)
            self._held[id(array)] = copy.clone() if self.device == "cpu" else copy  # shared memory would keep the array
            weakref.finalize(array, self._held.pop, id(array), None)
        return self._held[id(array)]

    def wait_copied(self) -> None:
        """Wait until all arrays passed to `upload` are copied; then their slots may be released."""
        while self._being_read:
            self._being_read.popleft()[0].synchronize()

    def close(self) -> None:
        self.wait_copied()
        self._held.clear()
        self._stream = None
        if self._memory is not None:
            self._memory.close()

    def _upload(self, array: Array, rows: Sequence[int] | Array | None) -> "Tensor":
        import torch

        self._forget_finished()
        if self._stream is None:
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        consumer = torch.cuda.current_stream(self.device)
        direct = self._memory is not None and self._memory.holds(array)
        if not direct:
            array, rows = array if rows is None else array[np.asarray(rows)], None
        host = torch.from_numpy(without_mark(array)) if direct else _staged(array)
        with torch.cuda.stream(self._stream):
            if rows is None:
                target = host.to(self.device, non_blocking=True)
            else:
                target = torch.empty((len(rows), *host.shape[1:]), dtype=host.dtype, device=self.device)
                for place, row in enumerate(rows):
                    target[place].copy_(host[int(row)], non_blocking=True)
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record(self._stream)
        consumer.wait_event(copied)
        target.record_stream(consumer)  # it was allocated on the copying stream, and is used on the consumer's
        self._being_read.append((copied, host))
        return target

    def _forget_finished(self) -> None:
        while self._being_read and self._being_read[0][0].query():
            self._being_read.popleft()


def open_uploader(device: str, memory: Array | None) -> Uploader:
    """Open an uploader.

    memory: the whole mapping that most arrays are in, uint8 "N"; it must stay mapped until the uploader is closed.
    """
    pinned = None if memory is None else PinnedMemory(memory.ctypes.data, memory.nbytes, full_name(device))
    uploader = Uploader(device, pinned)
    uploader.open()
    return uploader


def without_mark(array: Array) -> Array:
    """The same memory without numpy's read-only flag, about which torch warns; only for callers that do not write."""

    class View:
        base = array
        __array_interface__ = {**array.__array_interface__, "data": (array.ctypes.data, False)}  # noqa: RUF012

    return np.asarray(View())


def _staged(array: Array) -> "Tensor":
    """A copy in torch's page-locked memory, which torch does not reuse before copies from it are done."""
    import torch

    staging = torch.empty(array.shape, dtype=getattr(torch, str(array.dtype)), pin_memory=True)
    staging.numpy()[...] = array
    return staging


def _writable(array: Array) -> Array:
    """The array itself, contiguous, or a copy if it is read-only: torch would warn about that."""
    return np.ascontiguousarray(array) if array.flags.writeable else array.copy()
