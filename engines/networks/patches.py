"""Picture towers with a second output: what they read in each cell of a grid, in the text space of their tokens.

Nothing is trained for this. The towers' own files are part of the keys of their engines, so these classes are apart: a
run that asks for no patches uses the same engines as ever.
"""

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from engines.networks.detector import FINE, DetectorHead, load_head
from engines.networks.detector_facts import WEIGHTS_FILE
from engines.networks.picture import PART, STEP, ConceptPicture


class PicturePatches(nn.Module):
    """percept-mini: pictures "B 3 224 224" -> tokens "B 384", patches "B 196 384", row by row of 14 x 14 cells.

    Each of the network's 7 x 7 places is read out as the tower reads out a quarter. If the model has a detector, what
    its head says of the 14 x 14 finer places is added at unit length: it was trained on boxes, and knows kinds of
    things that are no class of ImageNet. Without one, each place fills four cells.
    """

    def __init__(self, tower: ConceptPicture, head: DetectorHead | None) -> None:
        super().__init__()
        self.tower, self.head = tower, head

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        network = self.tower.network
        fine = network.first(pictures, FINE)
        coarse = fine
        for block in network._blocks[FINE:]:
            coarse = block(coarse)
        features = functional.relu6(network._bn1(network._conv_head(coarse)))
        quarters = functional.avg_pool2d(features, PART, STEP).flatten(2).transpose(1, 2)
        read = functional.normalize(self.read_out(features.permute(0, 2, 3, 1)), dim=-1).permute(0, 3, 1, 2)
        patches = functional.interpolate(read, size=fine.shape[-2:], mode="nearest")
        if self.head is not None:
            patches = patches + self._vectors(fine, coarse, features)
        return self.read_out(quarters).mean(1), patches.flatten(2).transpose(1, 2)

    def read_out(self, features: Tensor) -> Tensor:
        """Features "... 1280" -> vectors "... 384", as `ConceptPicture` reads a quarter."""
        named: Tensor = self.tower.network._fc(features).softmax(-1) @ self.tower.concepts
        return named + functional.normalize(features, dim=-1) @ self.tower.projection

    def _vectors(self, fine: Tensor, coarse: Tensor, features: Tensor) -> Tensor:
        """What the detector says of the finer places, "B 384 h w" at unit length."""
        assert self.head is not None
        near = functional.avg_pool2d(features, 3, 1, 1, count_include_pad=False).permute(0, 2, 3, 1)
        tokens = (functional.normalize(near, dim=-1) @ self.tower.projection).permute(0, 3, 1, 2)
        (_, _, _, vectors), _ = self.head(fine, coarse, tokens)
        return functional.normalize(vectors, dim=1)


def picture_patches(tower: ConceptPicture, directory: Path) -> PicturePatches:
    """The tower of a model directory with patches, and with its detector if it has one."""
    has_detector = (directory / WEIGHTS_FILE).is_file()
    return PicturePatches(tower, load_head(directory) if has_detector else None)


class ClipPatches(nn.Module):
    """CLIP in transformers format: pictures "B 3 H W" -> tokens "B D", patches "B P D", row by row.

    A patch goes through the last block by its own value alone, without attention to others, then through the rest as
    the first token does (MaskCLIP, Zhou et al. 2022, arXiv 2112.01071, with residual and feed-forward layer).
    """

    def __init__(self, tower: Any, directory: Path) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        vision, projection = self.tower.vision, self.tower.projection
        states = vision.pre_layrnorm(vision.embeddings(pictures))
        *early, last = vision.encoder.layers
        for layer in early:
            states = layer(states, attention_mask=None)
        tokens: Tensor = projection(vision.post_layernorm(last(states, attention_mask=None)[:, 0]))
        own = states[:, 1:]
        own = own + last.self_attn.out_proj(last.self_attn.v_proj(last.layer_norm1(own)))
        own = own + last.mlp(last.layer_norm2(own))
        patches: Tensor = projection(vision.post_layernorm(own))
        return tokens, patches


class SiglipPatches(nn.Module):
    """SigLIP in transformers format: the same. Its last attention is that of the pooling head, whose value path a patch
    takes by itself."""

    def __init__(self, tower: Any, directory: Path) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        vision = self.tower.vision
        states = vision(pixel_values=pictures)
        head, attention = vision.head, vision.head.attention
        width = attention.embed_dim
        weight, bias = attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :]
        own = attention.out_proj(functional.linear(states.last_hidden_state, weight, bias))
        patches: Tensor = own + head.mlp(head.layernorm(own))
        tokens: Tensor = states.pooler_output
        return tokens, patches
