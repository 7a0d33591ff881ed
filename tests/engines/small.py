"""A small network for the registry, so that engine tests can build and open it like a real one."""

from pathlib import Path

import torch
from torch import Tensor, nn

from engines.backends.backend import Order
from engines.engine import Port
from engines.models.network import Network

INPUTS = (Port("pictures", "float32", "B 3 8 8"),)
OUTPUTS = (Port("tokens", "float32", "B 5"),)
MAX_BATCH = 6


class Small(nn.Module):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.linear = nn.Linear(4, 5)
        own = torch.Generator().manual_seed(seed)  # the global one is shared by threads
        for weights in self.parameters():
            nn.init.normal_(weights, std=0.4, generator=own)

    def forward(self, pictures: Tensor) -> Tensor:
        tokens: Tensor = self.linear(self.conv(pictures).relu().mean((2, 3)))
        return tokens


def load_small(directory: Path) -> nn.Module:
    """The network with the weights of the seed in the directory's `seed.txt`."""
    return Small(int((directory / "seed.txt").read_text())).eval()


NETWORK = Network(
    "tests.engines.small:load_small",
    lambda directory: (INPUTS, OUTPUTS),
    lambda directory: [directory / "seed.txt"],
)


def write_small(directory: Path, seed: int = 0) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "seed.txt").write_text(str(seed))
    return directory


def small_order(directory: Path, cache: Path, precision: str = "fp32", device: str = "cpu") -> Order:
    return Order(
        network="small",
        directory=str(directory),
        inputs=INPUTS,
        outputs=OUTPUTS,
        precision=precision,
        device=device,
        typical_batch=3,
        max_batch=MAX_BATCH,
        cache_directory=str(cache),
    )
