"""A network that a stage runs beside the towers, with its engine."""

from collections.abc import Callable
from functools import partial

from engines.building.building import begins_at_once, improve_network, open_network, runtime_of
from engines.engine import Engine
from engines.models.network import network
from pipeline.stage import Resources, RunSettings


class BuiltNetwork:
    """`prepare` or `improve` builds the engine, `open` loads it; a stage passes its own calls on.

    key: of `engines.models.network.NETWORKS`. directory: of its files, or its file. what: its name in messages.
    """

    def __init__(self, key: str, directory: str, run: RunSettings, what: str = "") -> None:
        self.key, self.directory, self.run, self.what = key, directory, run, what
        self._engine: Engine | None = None

    @property
    def settings(self) -> RunSettings:
        """Those for its engine."""
        return self.run

    @property
    def preload(self) -> tuple[str, ...]:
        """See `pipeline.stage.Stage.preload`."""
        return (runtime_of(self.key, self.directory, self.settings),)

    @property
    def opens_early(self) -> bool:
        """See `pipeline.stage.Stage.opens_early`."""
        return begins_at_once(self.settings) and not network(self.key).is_onnx

    def prepare(self, report: Callable[[str], None]) -> None:
        if network(self.key).is_onnx or not begins_at_once(self.settings):
            self.improve(report)

    def improve(self, report: Callable[[str], None]) -> bool:
        return improve_network(self.key, self.directory, self.settings, report, what=self.what)

    def open(self, resources: Resources) -> None:
        make = partial(open_network, self.key, self.directory, self.settings)
        self._engine = resources.get((self.key, self.directory), make)

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            raise RuntimeError(f"{self.what or self.key} is not open")
        return self._engine
