"""The labels of cameras: each camera has its own, in versions, each in a file of the run's directory."""

from collections import OrderedDict
from pathlib import Path

from stages.words.labels import LabelSet

KEPT = 64
"""Label sets that a process holds ready."""


class LabelVersions:
    """Label sets by camera and version, read when they are first asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._sets: OrderedDict[tuple[int, int], LabelSet] = OrderedDict()

    def path(self, camera: int, version: int) -> Path:
        return self._directory / f"labels-of-{camera}-{version}.safetensors"

    def has(self, camera: int, version: int) -> bool:
        return (camera, version) in self._sets or self.path(camera, version).is_file()

    def get(self, camera: int, version: int) -> LabelSet:
        """Raises: FileNotFoundError: nobody has written it."""
        key = camera, version
        if key not in self._sets:
            self._sets[key] = LabelSet.load(self.path(camera, version))
            while len(self._sets) > KEPT:
                self._sets.popitem(last=False)
        self._sets.move_to_end(key)
        return self._sets[key]
