"""An archive that is open for searches: its rows, and the words of its model."""

from collections.abc import Callable, Collection
from functools import cached_property

import msgspec

from archive.search.cache import place_of, update
from archive.search.lock import locked
from archive.search.nearest import Nearest
from archive.search.rows import Rows
from archive.search.words import Words, model_of
from archive.store import archive_at
from pipeline.build import make_settings
from pipeline.clip import MODALITIES
from pipeline.config import Config
from pipeline.errors import ConfigError, OutputError

Report = Callable[[str], None]


class Opened:
    """`rows` are brought up to date once, and again when a search needs vectors that the cache does not have yet.

    config: the model and other settings that the archive was labelled with. archive: a folder, or s3://bucket/prefix.
    report: is told of what may take minutes. detail: of small steps, such as the encoding of words.

    Raises: ConfigError: there is no archive, or it is empty. OutputError: the cache cannot be written.
    """

    def __init__(
        self,
        archive: str,
        config: Config,
        report: Report = lambda text: None,
        detail: Report = lambda text: None,
    ) -> None:
        self.archive, self.report = archive, report
        self._detail = detail
        self.store = archive_at(archive)
        self._folder = place_of(archive)
        self._vectors = frozenset[str]()
        self.rows = self._updated()
        self.config = self._with_model(config)

    def _updated(self) -> Rows:
        rows = Rows(self._folder, update(self.store, self._folder, self._vectors, self.report))
        if not rows.alive.any():
            raise ConfigError(f"{self.archive}: has no clips to search; expected an archive that percept label wrote")
        return rows

    def _with_model(self, config: Config) -> Config:
        """The config with the bundled model that the archive names, unless another one was given."""
        name = model_of(self.rows.catalog.model)
        if not name or config.model.path != Config().model.path:
            return config
        return msgspec.structs.replace(config, model=msgspec.structs.replace(config.model, path=name))

    @property
    def passed_over(self) -> dict[str, str]:
        """Files that cannot be searched, and why."""
        return {name: each.reason for name, each in self.rows.catalog.passed_over.items()}

    @cached_property
    def words(self) -> Words:
        return Words(self.rows.catalog.model, make_settings(self.config), self._detail)

    def nearest(self, vector: str) -> Nearest:
        """The index of a column of vectors, brought up to date.

        Raises: ConfigError: faiss is missing. OutputError: the index cannot be written.
        """
        try:
            with locked(self._folder, self.report):
                return Nearest(self._folder, self.rows, vector, self.report)
        except OSError as error:
            raise OutputError(f"{self._folder}: {error.strerror}; search without --approximate") from error

    def have(self, modalities: Collection[str], fused: bool = False) -> tuple[str, ...]:
        """Those of the modalities whose vectors the archive has, ready to be searched.

        fused: also those after the fusion head.

        Raises: ConfigError: it has none of them.
        """
        wanted = {*modalities, *(f"fused_{name}" for name in modalities if fused)}
        if not wanted <= self._vectors:
            self._vectors |= wanted
            self.rows = self._updated()
        found = tuple(name for name in MODALITIES if name in modalities and self.rows.has(name))
        if not found:
            has = ", ".join(name for name in MODALITIES if name in self.rows.catalog.dims) or "none"
            raise ConfigError(f"{self.archive}: has no vectors of {', '.join(modalities)}; it has those of: {has}")
        return found
