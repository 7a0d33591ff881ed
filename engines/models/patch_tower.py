"""The picture tower of a model with patches: what it reads in each cell of a grid, in its text space."""

from pathlib import Path

from engines.backends.backend import Report
from engines.backends.table import EngineSettings
from engines.building.building import improve_network, open_network, runtime_of
from engines.engine import Engine
from engines.models.model import ModelSpec, TowerSpec
from engines.models.network import patch_grid, with_patches
from engines.models.tower import label_set
from pipeline.errors import ModelError


class PatchTower:
    """The engine of a model's picture tower with its patches. It is built, gated and cached apart from the tower's own.

    Raises:
        ModelError: the model has no picture tower, or one that does not say what it reads where.
    """

    def __init__(self, spec: ModelSpec, run: EngineSettings) -> None:
        if spec.image is None:
            raise ModelError(
                f"{spec.id} has no picture tower, so it cannot say where something is. Use another --model"
            )
        self.tower: TowerSpec = spec.image
        try:
            self._key = with_patches(self.tower.network)
        except ModelError as error:
            text = f"the picture tower of {spec.id} gives no patches, so it cannot say where something is: {error}"
            raise ModelError(f"{text}. Use another --model") from error
        self._spec, self._run = spec, run
        self._engine: Engine | None = None

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns."""
        return patch_grid(self.tower.network, Path(self.tower.directory))

    @property
    def preload(self) -> tuple[str, ...]:
        """See `pipeline.stage.Stage.preload`."""
        return runtime_of(self._key, self.tower.directory, self._run), "engines.models.tower"

    def improve(self, report: Report) -> bool:
        """Build the best engine, once per model and machine. Returns whether `open` now opens another one."""
        labels = lambda: label_set(self._spec, self.tower)  # noqa: E731
        what = "picture tower with patches"
        return improve_network(self._key, self.tower.directory, self._run, report, labels, what)

    def open(self) -> None:
        self._engine = open_network(self._key, self.tower.directory, self._run)

    @property
    def engine(self) -> Engine:
        """pictures "B 3 S S" -> "tokens" "B D", "patches" "B P D"."""
        if self._engine is None:
            raise RuntimeError("the picture tower with patches is not open")
        return self._engine

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None
