"""A backend that fails in every way a native library can. `order.directory` selects how; the tests use `BACKEND`."""

import ctypes
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.backends.backend import Backend, Order, Report
from engines.building.build_child import cancelled
from engines.engine import Engine
from pipeline.arrays import Array
from pipeline.errors import ModelError


class BadBackend(Backend):
    name = "bad"
    in_child = True

    def missing(self, device: str) -> str:
        return ""

    def precisions(self, device: str) -> tuple[str, ...]:
        return ("fp32",)

    def facts(self, order: Order) -> dict[str, str]:
        return {}

    def build(self, order: Order, exported: Path | None, into: Path, report: Report) -> None:
        report(f"pid {os.getpid()}")
        getattr(self, order.directory)(into, report)

    def crash(self, into: Path, report: Report) -> None:
        os.write(2, b"about to crash\n")
        os.kill(os.getpid(), signal.SIGSEGV)

    def exit(self, into: Path, report: Report) -> None:
        os._exit(3)

    def refuse(self, into: Path, report: Report) -> None:
        raise ModelError("network.onnx: it is a tea pot; expected a network")

    def bug(self, into: Path, report: Report) -> None:
        raise KeyError("a bug of ours")

    def noise(self, into: Path, report: Report) -> None:
        libc = ctypes.CDLL(None)
        for _ in range(2_000):
            libc.printf(b"%s\n", b"output of a native library " * 5)
        libc.fflush(None)
        print("output of Python")
        report("half way")
        (into / "plan.bin").write_bytes(b"plan")

    def hang(self, into: Path, report: Report) -> None:
        while True:
            time.sleep(0.05)

    def slow(self, into: Path, report: Report) -> None:
        for tenth in range(10):
            time.sleep(0.45)
            report(f"{10 * tenth} %")

    def wait(self, into: Path, report: Report) -> None:
        while not cancelled():
            time.sleep(0.02)
        (into / "stopped").write_text("by itself")
        raise ModelError("cancelled")

    def make(self, order: Order, exported: Path | None, built: Path) -> Engine:
        return BadEngine(order, built)


class BadEngine(Engine):
    def __init__(self, order: Order, built: Path) -> None:
        super().__init__(order.inputs, order.outputs)
        self._how = order.directory
        self._built = built

    def _open(self) -> None:
        if self._how == "good":
            self._note("opened")
        elif self._how == "refuse":
            raise ModelError("plan.bin: of another GPU; expected this one")
        else:
            getattr(BACKEND, self._how)(self._built, lambda text: None)

    def _run(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        raise NotImplementedError

    def _close(self) -> None:
        self._note("closed")

    def _note(self, event: str) -> None:
        with (self._built / "events").open("a") as file:
            file.write(f"{event} by {os.getpid()}\n")


BACKEND = BadBackend()
