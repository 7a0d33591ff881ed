"""RapidOCR, whose package brings the networks of PaddleOCR: PP-OCRv6 small, for Chinese, English and other Latin."""

from importlib.util import find_spec
from typing import Any

import numpy as np

from pipeline.arrays import Array
from stages.text.reader import Line, TextReader


class RapidOcr(TextReader):
    """Its three networks run on ONNX Runtime, on the CPU. Nothing is downloaded."""

    def missing(self) -> str:
        return "" if find_spec("rapidocr") else "rapidocr is not installed. Run: pip install 'percept-av[ocr]'"

    def open(self, threads: int) -> None:
        self._threads = threads
        self._by_size: dict[int, Any] = {}

    def read(self, picture: Array, short_side_px: int) -> list[Line]:
        found = self._engine(short_side_px)(np.ascontiguousarray(picture[..., ::-1]))
        if found.boxes is None or found.txts is None:
            return []
        lines = zip(found.txts, found.scores, found.boxes, strict=True)
        return [
            Line(text, float(score), upright(np.asarray(corners))) for text, score, corners in lines if text.strip()
        ]

    def _engine(self, short_side_px: int) -> Any:
        if short_side_px not in self._by_size:
            from rapidocr import RapidOCR

            self._by_size[short_side_px] = RapidOCR(
                params={
                    "Global.log_level": "critical",
                    "Global.use_cls": False,  # it turns lines that stand upside down; pictures are upright
                    "Global.text_score": 0.0,  # the stage decides
                    "Det.limit_side_len": short_side_px,
                    "Det.limit_type": "min",
                    "EngineConfig.onnxruntime.intra_op_num_threads": self._threads,
                }
            )
        return self._by_size[short_side_px]


def upright(corners: Array) -> tuple[float, float, float, float]:
    """The smallest upright box around four corners, "4 2"."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
