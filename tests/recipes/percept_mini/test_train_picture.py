import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from engines.networks.picture import load_network, load_picture
from recipes.percept_mini import picture_photos, train_picture
from recipes.percept_mini.text_data import BUNDLED
from recipes.percept_mini.train_picture import auroc
from tests.recipes.percept_mini.photos import photos_in


def test_auroc_is_the_share_of_pairs_in_the_right_order() -> None:
    scores, is_right = torch.tensor([3.0, 2.0, 2.0, 1.0]), torch.tensor([True, True, False, False])
    assert auroc(scores, is_right) == pytest.approx((2 + 0.5 + 1) / 4)
    assert np.isnan(auroc(scores, torch.ones(4, dtype=torch.bool)))


@pytest.mark.minutes
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # in torch.export
def test_projection_and_last_blocks_are_learnt_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for collection in ("voc2012", "coco_small", "flickr8k", "imagenet"):
        photos_in(tmp_path / "data", collection, 60)
    monkeypatch.setattr(picture_photos, "read_words", lambda path: ["dog", "man", "sheep", "table"])
    common = ["--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs"), "--threads", "1"]

    def call(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["train_picture", *common, *arguments])
        train_picture.main()

    call("--steps", "2", "--batch", "32", "--block-steps", "2", "--block-batch", "32", "-o", str(tmp_path / "out"))
    before, after = (load_file(folder / "concepts.safetensors") for folder in (BUNDLED, tmp_path / "out"))
    learnt = {name for name in after if name.startswith("network.")}
    assert {name.split(".")[2] for name in learnt if "_blocks" in name} == {"12", "13", "14", "15"}
    assert after.keys() - learnt == {"concepts", "projection", "center"}
    package, tower = load_network(), load_picture(tmp_path / "out").network
    changed = {
        name
        for name, weight in tower.state_dict().items()
        if not torch.allclose(weight, package.state_dict()[name], 1e-3, 1e-3)
    }
    moved = (after["network._conv_head.bias"].float() - package._conv_head.bias).abs().max()
    assert 0 < float(moved) < 0.05
    assert all(
        name.startswith(("_blocks.12", "_blocks.13", "_blocks.14", "_blocks.15", "_conv_head")) for name in changed
    )
    assert torch.equal(before["concepts"], after["concepts"])
    assert not torch.equal(before["projection"], after["projection"])
    assert after["projection"].isfinite().all()
    call("--check", str(tmp_path / "out" / "concepts.safetensors"))
    said = dict(part.split() for part in capsys.readouterr().out.splitlines()[-1].split("  "))
    assert list(said) == ["person", "names", "captions", "classes"]
    assert all(0 <= float(said[name]) <= 100 for name in ("captions", "classes"))
