"""One embedding of all modalities, for models that were trained with a fusion head."""

from collections.abc import Mapping
from typing import Any

from pipeline.arrays import Spec
from pipeline.clip import Absent, Clip
from pipeline.stage import Stage


class Fuse(Stage):
    """No model has a fusion head yet: the embedding is always absent, and `classify` pools the towers' scores."""

    optional = ("image_tokens", "motion_tokens", "audio_tokens")

    def gives(self) -> dict[str, Spec]:
        return {"embedding": Spec("float32", "D", in_message=True)}

    def process(self, clip: Clip) -> Mapping[str, Any]:
        return {"embedding": Absent("no_tower")}
