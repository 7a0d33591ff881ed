"""Children on the machines of a Ray cluster: one task is one batch is one child process.

Ray carries names of sources and exit codes. Media, frames and rows never pass through its object store: a child reads
its sources and writes the archive by itself. Retries are ours (`archive.dispatch`), the same as without Ray.
"""

import logging
import os
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

from archive import child
from archive.batches import Batch
from archive.dispatch import Ended
from pipeline.errors import ConfigError
from pipeline.machine import core_count

CORES = 4
"""Of a child, on machines that have as many."""
OBJECT_STORE_BYTES = 80 << 20
"""The least that Ray takes. Nothing is put there."""
LOOK_EVERY_S = 5.0
WAITS_S = 900.0
"""How long a cluster may have no machine for a child, such as one that is being started."""


class RayExecutor:
    """Tasks on a cluster. Machines that join get batches, and those of machines that leave are given out again."""

    def __init__(
        self,
        address: str,
        arguments: Sequence[str],
        order: Callable[[Batch], bytes],
        *,
        cores: int = 0,
        gpus: float = 0.0,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        """address: as `ray.init` takes it; "": a cluster of this machine alone, which ends with the run.

        cores: of each child; 0: four, or as many as the largest machine has. gpus: the share that each child gets.
        """
        self._address, self._arguments, self._order = address, tuple(arguments), order
        self._cores, self._gpus, self._warn = cores, gpus, warn
        self._running: dict[Any, Batch] = {}
        self._slots, self._looked_s, self._waits_since_s = 0, float("-inf"), 0.0

    def open(self) -> None:
        """Join or start the cluster. Raises: ConfigError: Ray is missing, or the cluster cannot be reached."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if not self._address and "RAY_AUTH_MODE" not in os.environ:  # others on this machine are not to run code as us
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")  # without a GPU share, no GPU is seen
        try:
            import ray
        except ImportError as error:
            raise ConfigError("--on ray: Ray is not installed. Run: pip install 'percept-av[ray]'") from error
        here = {"num_cpus": core_count(), "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        here |= {"object_store_memory": OBJECT_STORE_BYTES}
        where = {"address": self._address} if self._address else here
        try:
            ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ConfigError(f"--on ray:{self._address}: the cluster cannot be reached ({reason})") from error
        ray.cloudpickle.register_pickle_by_value(child)  # workers may have percept in a place of their own
        self._ray = ray
        largest = max((int(node.get("CPU", 0)) for node in self._machines()), default=0)
        self._cores = self._cores or max(1, min(CORES, largest))
        self._task = ray.remote(num_cpus=self._cores, num_gpus=self._gpus, max_retries=0)(child.run_child)

    def _machines(self) -> list[dict[str, float]]:
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def slots(self) -> int:
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s, self._slots = now_s, sum(map(self._places, self._machines()))
            self._mind_none(now_s)
        return self._slots

    def _places(self, machine: dict[str, float]) -> int:
        by_cores = int(machine.get("CPU", 0) // self._cores)
        return min(by_cores, int(machine.get("GPU", 0) / self._gpus)) if self._gpus else by_cores

    def _mind_none(self, now_s: float) -> None:
        if self._slots:
            self._waits_since_s = 0.0
            return
        needs = f"{self._cores} cores" + (f" and {self._gpus:g} GPU" if self._gpus else "")
        if not self._waits_since_s:
            self._waits_since_s = now_s
            self._warn(f"no machine of the cluster has {needs} for a child process; waiting for one to join")
        if now_s - self._waits_since_s > WAITS_S:
            raise ConfigError(
                f"--on ray: no machine with {needs} joined within {WAITS_S:.0f} s; "
                "expected at least one. See --cores-per-child and --gpus-per-child."
            )

    def room(self) -> int:
        """Some more than run, so that a machine that joins finds work at once."""
        return 2 * self.slots() + 2 - len(self._running)

    def start(self, batch: Batch) -> None:
        path = {"PYTHONPATH": os.environ["PYTHONPATH"]} if not self._address and "PYTHONPATH" in os.environ else {}
        task = self._task.remote(self._arguments, self._order(batch), os.getcwd(), self._cores, path)
        self._running[task] = batch

    def ended(self, timeout_s: float) -> list[Ended]:
        self.slots()
        tasks = list(self._running)
        if not tasks:
            return []
        self._ray.wait(tasks, num_returns=1, timeout=timeout_s, fetch_local=False)
        ready, _ = self._ray.wait(tasks, num_returns=len(tasks), timeout=0)
        return [self._fate(task) for task in ready]

    def _fate(self, task: Any) -> Ended:
        batch = self._running.pop(task)
        try:
            code, said = self._ray.get(task, timeout=60)
        except self._ray.exceptions.RayError as error:
            return Ended(batch, None, f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
        return Ended(batch, code, said)

    def interrupt(self) -> None:
        for task in self._running:
            self._ray.cancel(task, force=False)

    def close(self) -> None:
        for task in self._running:
            self._ray.cancel(task, force=True)
        self._running.clear()
        self._ray.shutdown()
