"""Learns a tower, or a part of one, from captions: an item's embedding is brought near its captions, and no others."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.arrays import Array
from training.captions.losses import TEMPERATURE, WEIGHTS, caption_losses
from training.captions.read import Captioned
from training.captions.retrieval import Retrieval
from training.captions.texts import Texts
from training.captions.views import Views
from training.train.batch import embeddings_of

MEASURED_AT_ONCE = 32


class Learner(nn.Module):
    """The network to train, and the sharpness of InfoNCE, which is learnt with it."""

    def __init__(self, tower: nn.Module, temperature: float) -> None:
        super().__init__()
        self.tower = tower
        self.log_sharpness = nn.Parameter(torch.tensor(1 / temperature).log())


class CaptionTrainee:
    """See `training.train.loop.Trainee`. In each step, one view and one caption of an item are drawn.

    temperature: of the model's own scores. If it is lower than that of InfoNCE, InfoNCE begins with it.
    """

    branches: Mapping[str, float] = WEIGHTS

    def __init__(
        self,
        views: Views,
        texts: Texts,
        learnt: Sequence[Captioned],
        held: Sequence[Captioned],
        temperature: float,
    ) -> None:
        self._views, self._learnt, self._held = views, learnt, held
        self._texts = texts.vectors
        self._captions = [texts.rows(item) for item in learnt]
        self._held_rows = sorted({row for item in held for row in texts.rows(item)})
        place = {row: number for number, row in enumerate(self._held_rows)}
        self.retrieval = Retrieval([[place[row] for row in texts.rows(item)] for item in held], len(place))
        self.network: nn.Module = Learner(views.network, min(temperature, TEMPERATURE))
        self._initial = {name: weight.detach().clone() for name, weight in views.network.named_parameters()}

    @property
    def items(self) -> int:
        return len(self._learnt)

    def losses(self, network: nn.Module, rows: Tensor) -> Mapping[str, Tensor]:
        assert isinstance(network, Learner)
        items = rows.tolist()
        captions = torch.tensor([self._drawn(self._captions[item]) for item in items])
        vectors = embeddings_of(network.tower, [self._views.drawn(self._learnt[item]) for item in items])
        texts, captions = self._texts[captions].to(vectors.device), captions.to(vectors.device)
        return caption_losses(vectors, texts, network.log_sharpness.exp(), rows.to(vectors.device), captions)

    def _drawn(self, captions: Sequence[int]) -> int:
        return captions[int(torch.randint(len(captions), ()))]

    def accuracy(self, network: nn.Module) -> Mapping[str, float]:
        return self.retrieval.percent(self.near(network))

    @torch.inference_mode()
    def near(self, network: nn.Module) -> Array:
        """Cosines of all held-out items with all held-out captions, "N C"."""
        assert isinstance(network, Learner)
        vectors = []
        for begin in range(0, len(self._held), MEASURED_AT_ONCE):
            inputs = [self._views.whole(item) for item in self._held[begin : begin + MEASURED_AT_ONCE]]
            vectors.append(embeddings_of(network.tower, inputs).cpu().numpy())
        cosines: Array = np.concatenate(vectors) @ self._texts[self._held_rows].numpy().T
        return cosines

    def frozen(self) -> Mapping[str, Tensor]:
        """All initial weights, for Open-VCLIP's interpolation."""
        return {f"tower.{name}": weight for name, weight in self._initial.items()}
