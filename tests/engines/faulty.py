"""A realistic wrong engine: the file is valid, its weights are good, and its outputs are wrong.

ONNX Runtime 1.31.1 fuses the softmax of QDQ networks with uint8 activations into an integer softmax (QLinearSoftmax)
that overflows. The fusion needs the optimisations of level EXTENDED and above, which are on by default. On a vision
transformer plain cosine stays near 0.9 while centred cosine falls to 0.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from engines.building.export import export
from engines.engine import Port
from engines.gate.golden import golden
from pipeline.arrays import Array

INPUTS = (Port("pictures", "float32", "B 3 32 32"),)
OUTPUTS = (Port("tokens", "float32", "B 64"),)
CALIBRATION_SAMPLES = 16


def export_vit(into: Path) -> Path:
    """A random fp32 vision transformer with `INPUTS` and `OUTPUTS`, deep enough for the fault to have an effect."""
    from engines.networks.torchaudio_import import import_torchaudio

    import_torchaudio()
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    from engines.networks.transformers_towers import VisionTower

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 8, "num_attention_heads": 1}
    model = CLIPVisionModelWithProjection(CLIPVisionConfig(**sizes, image_size=32, patch_size=8, projection_dim=64))
    path = into / "vit.onnx"
    export(VisionTower(model.vision_model, model.visual_projection).eval(), INPUTS, OUTPUTS, path)
    return path


def make_qdq_fault(exported: Path, into: Path) -> Path:
    """Quantise the network of `export_vit` such that ONNX Runtime computes it wrongly; returns the new file.

    Other runtimes, and ONNX Runtime with fewer optimisations, compute it correctly.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    plain, faulty = into / "plain.onnx", into / "faulty.onnx"
    model = onnx.load(exported)
    del model.graph.value_info[:]  # the quantiser fails on its dynamic sizes
    onnx.save(model, plain)
    with _quiet():
        quantize_static(
            plain,
            faulty,
            _Feeds(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul", "Gemm"],
        )
    return faulty


class _Feeds:
    """The golden batch, one sample at a time, in the form that the quantiser expects."""

    def __init__(self) -> None:
        pictures = golden(INPUTS, CALIBRATION_SAMPLES)["pictures"]
        self._feeds = iter([{"pictures": picture[None]} for picture in pictures])

    def get_next(self) -> dict[str, Array] | None:
        return next(self._feeds, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the quantiser's advice, which it writes to the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
