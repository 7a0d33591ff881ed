"""Text towers with a second output: what they say at each token, in the space of their vectors.

Nothing is trained for this. The towers' own files are part of the keys of their engines, so these classes are apart.
"""

from typing import Any

from torch import Tensor, nn

from engines.networks.text import MiniText


class MiniWords(nn.Module):
    """percept-mini: ids "B L", mask "B L" -> vectors "B 384", words "B L 384".

    A vector of this tower is the mean of its last states, so a state is the token's share of the vector.
    """

    def __init__(self, tower: MiniText) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        tower = self.tower
        kept = attention_mask.to(tower.positions.weight.dtype)
        x = tower.norm(tower.words(input_ids) + tower.positions.weight[: input_ids.shape[1]])
        mask = (1.0 - kept)[:, None, None, :] * -1e4
        for layer in tower.layers:
            x = layer(x, mask)
        return nn.functional.normalize((x * kept[..., None]).sum(1), dim=-1), x


class ClipWords(nn.Module):
    """CLIP in transformers format: ids "B L" -> vectors "B D", words "B L D". Each token goes through the projection
    that was trained for the last one, as in FILIP (Yao et al. 2021, arXiv 2111.07783), which was trained for it."""

    def __init__(self, tower: Any) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        given = self.tower.text(input_ids=ids)
        vectors: Tensor = self.tower.projection(given.pooler_output)
        words: Tensor = self.tower.projection(given.last_hidden_state)
        return vectors, words


class SiglipWords(nn.Module):
    """SigLIP in transformers format: the same, by its head."""

    def __init__(self, tower: Any) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        given = self.tower.text(input_ids=ids)
        vectors: Tensor = self.tower.projection(given.pooler_output)
        words: Tensor = self.tower.text.head(given.last_hidden_state)
        return vectors, words
