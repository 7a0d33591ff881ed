"""What each modality becomes once it has looked at the others, for models that were trained with a fusion head."""

from collections.abc import Mapping
from typing import Any

from pipeline.arrays import Spec
from pipeline.clip import MODALITIES, Absent, Clip
from pipeline.stage import Stage


class Fuse(Stage):
    """Gives `fused_image`, `fused_motion`, `fused_audio`: float32 "D" each, of unit length, in their tower's space."""

    optional = tuple(f"{name}_tokens" for name in MODALITIES)

    def gives(self) -> dict[str, Spec]:
        return {f"fused_{name}": Spec("float32", "D", in_message=True) for name in MODALITIES}

    def process(self, clip: Clip) -> Mapping[str, Any]:
        return {f"fused_{name}": Absent("no_tower") for name in MODALITIES}
