"""Detection by a network with the outputs of YOLOX (Ge et al. 2021, arXiv 2107.08430), given as an ONNX file.

Input: BGR pixels in [0, 255], the picture in the upper left corner, the rest 114. Output "A 5+C" for every anchor of
the grids with strides 8, 16 and 32: centre x, y relative to the cell, log width and height, all in strides; the
probability of an object, and of each class.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import cv2
import msgspec
import numpy as np

from engines.backends.table import CPU_ALONE
from engines.models.onnx_ports import ports_of_onnx
from pipeline.arrays import Array
from pipeline.errors import ConfigError, ModelError
from pipeline.stage import RunSettings
from stages.built_network import BuiltNetwork
from stages.detect.coco import COCO
from stages.detect.detector import Found

STRIDES_PX = (8, 16, 32)
PAD = 114
SAME = 0.5
"""Intersection over union from which two boxes of one class show the same object."""
MOST = 100
"""Most boxes of a picture, the best ones."""
NETWORK = "onnx_file"


class Yolox(BuiltNetwork):
    """See `stages.detect.detector.Detector`. Runs on the CPU: the file is in fp32, and no engine for GPUs takes it."""

    frames_per_clip = 0

    def __init__(self, path: Path, names: tuple[str, ...], least_score: float, run: RunSettings) -> None:
        super().__init__(NETWORK, str(path), run, "detector")
        self.path = path
        self._least_score = least_score
        self.height, self.width, classes = shape_of(path)
        self.names = names_for(path, names, classes)

    @cached_property
    def settings(self) -> RunSettings:
        """What a run asks of engines, as far as one on the CPU can do it."""
        engine = self.run.engine if self.run.engine in CPU_ALONE else "auto"
        precision = "auto" if self.run.precision in ("fp16", "int8") else self.run.precision
        return msgspec.structs.replace(self.run, engine=engine, precision=precision, device="cpu")

    @property
    def short_side_px(self) -> int:
        return max(self.height, self.width) * 3 // 4

    @property
    def name(self) -> str:
        return f"{self.path.stem}-{self.engine.name}@{self.height}"

    @cached_property
    def _grid(self) -> tuple[Array, Array]:
        return grid(self.height, self.width)

    def detect(self, frames: Sequence[Array]) -> list[Found]:
        scale = min(self.height / frames[0].shape[0], self.width / frames[0].shape[1])
        pictures = np.stack([letterboxed(frame, self.height, self.width) for frame in frames])
        found = []
        given = self.engine.run({self.engine.inputs[0].name: pictures})[self.engine.outputs[0].name]
        for rows in given:
            boxes, scores, classes = decoded(rows, *self._grid, self._least_score)
            kept = without_doubles(boxes, scores, classes)
            names = [self.names[index] for index in classes[kept]] if self.names else []
            found.append(Found(boxes[kept] / np.float32(scale), scores[kept], names))
        return found


def shape_of(path: Path) -> tuple[int, int, int]:
    """Height and width of the pictures that a network takes, and the number of its classes.

    Raises:
        ModelError: its outputs are not those of YOLOX.
    """
    inputs, outputs = ports_of_onnx(path)
    shapes = [port.dims.split()[1:] for port in (*inputs, *outputs)]
    if len(inputs) == len(outputs) == 1 and len(shapes[0]) == 3 and len(shapes[1]) == 2 and shapes[0][0] == "3":
        (_, height, width), (anchors, size) = ([int(side) for side in shape] for shape in shapes)
        if size > 5 and anchors == len(grid(height, width)[1]):
            return height, width, size - 5
    told = "; ".join(f"{port.name} {port.dims}" for port in (*inputs, *outputs))
    raise ModelError(
        f"{path}: has {told}; expected the layout of YOLOX: pictures B 3 H W, and B A 5+C for the A cells of the grids "
        "with strides 8, 16 and 32. Other detectors are not read"
    )


def names_for(path: Path, names: tuple[str, ...], classes: int) -> tuple[str, ...]:
    """Raises: ConfigError: there is another number of names than of classes."""
    if names and len(names) != classes:
        raise ConfigError(
            f"detect.names: {len(names)} names for the {classes} classes of {path}; expected one per line"
        )
    return names or (COCO if classes == len(COCO) else ())


def names_of(file: str) -> tuple[str, ...]:
    """The names in a file, one per line; none for "".

    Raises:
        ConfigError: it cannot be read.
    """
    if not file:
        return ()
    try:
        lines = Path(file).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"detect.names: {file} cannot be read ({error}); expected a text file, a name per line"
        ) from error
    return tuple(name for line in lines if (name := line.strip()))


def letterboxed(frame: Array, height: int, width: int) -> Array:
    """RGB uint8 "h w 3" -> float32 "3 H W": BGR, as large as fits into the upper left corner."""
    scale = min(height / frame.shape[0], width / frame.shape[1])
    size = max(1, int(frame.shape[1] * scale)), max(1, int(frame.shape[0] * scale))
    small = cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_LINEAR)
    picture = np.full((3, height, width), PAD, np.float32)
    picture[:, : size[1], : size[0]] = small[..., ::-1].transpose(2, 0, 1)
    return picture


@lru_cache(maxsize=4)
def grid(height: int, width: int) -> tuple[Array, Array]:
    """Cells of all strides: x, y float32 "A 2" counted from 0, and their strides "A 1"."""
    cells, strides = [], []
    for stride in STRIDES_PX:
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def decoded(rows: Array, cells: Array, strides: Array, least_score: float) -> tuple[Array, Array, Array]:
    """Boxes "N 4" in pixels of the network's input, scores "N" and classes "N" from the output "A 5+C" of a picture."""
    classes = rows[:, 5:].argmax(axis=1)
    scores = rows[:, 4] * rows[np.arange(len(rows)), 5 + classes]
    kept = np.flatnonzero(scores >= least_score)
    centre = (rows[kept, :2] + cells[kept]) * strides[kept]
    half = np.exp(rows[kept, 2:4]) * strides[kept] / 2
    return np.concatenate([centre - half, centre + half], axis=1), scores[kept], classes[kept]


def without_doubles(boxes: Array, scores: Array, classes: Array) -> Array:
    """Indices of the boxes that no better box of their class overlaps, best first; at most `MOST`."""
    if not len(boxes):
        return np.zeros(0, int)
    sized = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    best = cv2.dnn.NMSBoxesBatched(sized.tolist(), scores.tolist(), classes.tolist(), 0.0, SAME)
    kept: Array = np.asarray(best, int).reshape(-1)
    return kept[np.lexsort((kept, -scores[kept]))][:MOST]
