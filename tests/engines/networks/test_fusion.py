"""The fusion head: which modalities affect which, and that padding and missing modalities do not contribute."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engines.networks.fusion import MovFusion, load_fusion, load_with_audio, load_with_motion, save_fusion
from engines.networks.fusion_shape import MAX_TOKENS, FusionShape, read_gates, read_shape
from pipeline.errors import ModelError
from stages.encode import pool
from tests.fusion_heads import make_head

DIMS = {"image": 12, "motion": 12, "audio": 10}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def embedding(tokens: Tensor) -> Tensor:
    return functional.normalize(tokens.mean(1), dim=-1)


@pytest.fixture(scope="module")
def tokens() -> dict[str, Tensor]:
    return {"image": 5 * noise(3, 8, 12), "motion": noise(3, 5, 12, seed=1), "audio": 0.1 * noise(3, 2, 10, seed=2)}


def test_an_untrained_head_changes_nothing(tokens: dict[str, Tensor]) -> None:
    fused = MovFusion(FusionShape(dims=DIMS)).eval()(**tokens)
    for name, each in tokens.items():
        assert torch.equal(fused[name], embedding(each))
        np.testing.assert_allclose(fused[name][0].detach().numpy(), pool(each[0].numpy()), atol=1e-7)


def test_an_open_gate_changes_every_modality_and_keeps_unit_length(tokens: dict[str, Tensor]) -> None:
    fused = make_head(0.5, **DIMS)(**tokens)
    for name, each in tokens.items():
        assert ((fused[name] * embedding(each)).sum(-1) < 0.999).all()
        torch.testing.assert_close(fused[name].norm(dim=-1), torch.ones(3))


def test_a_missing_modality_removes_only_its_own_branches(tokens: dict[str, Tensor]) -> None:
    head = make_head(0.5, **DIMS)
    whole, alone = head(**tokens), head(tokens["image"])
    assert set(alone) == {"image"}
    assert torch.equal(alone["image"], embedding(tokens["image"]))
    without_sound = head(tokens["image"], tokens["motion"])
    assert torch.equal(without_sound["motion"], whole["motion"])
    assert not torch.equal(without_sound["image"], whole["image"])
    only_motion = make_head(0.5, image=12, motion=12)
    only_motion.exchanges["motion"].load_state_dict(head.exchanges["motion"].state_dict())
    assert torch.equal(only_motion(tokens["image"], tokens["motion"])["image"], without_sound["image"])


def test_each_side_depends_on_the_other(tokens: dict[str, Tensor]) -> None:
    head = make_head(0.5, **DIMS)
    fused = head(**tokens)
    other_sound = head(**{**tokens, "audio": tokens["audio"].flip(0)})
    assert not torch.equal(fused["image"], other_sound["image"])
    assert torch.equal(fused["motion"], other_sound["motion"])
    other_picture = head(**{**tokens, "image": tokens["image"].flip(0)})
    assert not any(torch.equal(fused[name], other_picture[name]) for name in DIMS)


def test_the_order_in_time_matters(tokens: dict[str, Tensor]) -> None:
    head = make_head(0.5, **DIMS)
    backwards = {**tokens, "image": tokens["image"].flip(1)}
    assert not torch.allclose(head(**tokens)["image"], head(**backwards)["image"], atol=1e-5)


@pytest.mark.parametrize("level", [1e-3, 1e3])
def test_the_level_of_an_encoders_tokens_does_not_matter(tokens: dict[str, Tensor], level: float) -> None:
    head = make_head(0.5, **DIMS)
    wanted = head(**tokens)
    for name, each in head(**{name: each * level for name, each in tokens.items()}).items():
        torch.testing.assert_close(each, wanted[name], atol=1e-4, rtol=0)


def test_padding_does_not_contribute(tokens: dict[str, Tensor]) -> None:
    """Clips of different lengths, in one batch and one by one."""
    head = make_head(0.5, **DIMS)
    lengths = {"image": [8, 3, 1], "motion": [5, 2, 4], "audio": [1, 2, 2]}
    masks = {name: torch.arange(each.shape[1]) < torch.tensor(lengths[name])[:, None] for name, each in tokens.items()}
    padded = {name: each.where(masks[name][..., None], torch.tensor(1e3)) for name, each in tokens.items()}
    together = head(**padded, masks=masks)
    for clip in range(3):
        alone = head(**{name: each[clip : clip + 1, : lengths[name][clip]] for name, each in tokens.items()})
        for name, each in alone.items():
            torch.testing.assert_close(together[name][clip], each[0], atol=1e-5, rtol=0)


def test_a_clip_of_a_batch_may_lack_a_modality(tokens: dict[str, Tensor]) -> None:
    head = make_head(0.5, **DIMS)
    masks = {"audio": torch.tensor([[True, True], [False, False], [True, False]])}
    fused, silent = head(**tokens, masks=masks), head(tokens["image"], tokens["motion"])
    assert torch.equal(fused["image"][1], silent["image"][1])
    assert not torch.equal(fused["image"][0], silent["image"][0])
    assert not fused["audio"][1].any()
    assert torch.isfinite(fused["audio"]).all()


def test_every_weight_learns_once_the_gates_are_open(tokens: dict[str, Tensor]) -> None:
    head = make_head(0.5, **DIMS).train().requires_grad_()
    fused = head(**tokens, masks={"audio": torch.tensor([[True, True], [False, False], [True, False]])})
    sum((each * noise(*each.shape, seed=4)).sum() for each in fused.values()).backward()
    unmoved = [name for name, each in head.named_parameters() if each.grad is None or not each.grad.isfinite().all()]
    assert not unmoved
    still = [name for name, each in head.named_parameters() if not each.grad.any()]  # type: ignore[union-attr]
    assert not [name for name in still if not name.endswith("key.bias")]  # softmax does not depend on these


def test_the_gates_of_an_untrained_head_learn_first(tokens: dict[str, Tensor]) -> None:
    head = make_head(0.0, **DIMS).train().requires_grad_()
    (head(**tokens)["image"] * noise(3, 12, seed=4)).sum().backward()
    moving = {name for name, each in head.named_parameters() if each.grad is not None and each.grad.any()}
    assert moving == {"exchanges.motion.image.gate", "exchanges.audio.image.gate"}


@pytest.mark.parametrize(("half", "apart"), [(False, 0.0), (True, 2e-3)])
def test_a_saved_head_is_read_back(tokens: dict[str, Tensor], tmp_path: Path, half: bool, apart: float) -> None:
    head = make_head(0.25, **DIMS)
    save_fusion(head, tmp_path / "head", half)
    again = load_fusion(tmp_path / "head")
    assert (again.shape, again.gates()) == (head.shape, head.gates())
    assert read_gates(tmp_path / "head") == {"motion": (0.25, 0.25), "audio": (0.25, 0.25)}
    wanted = head(**tokens)
    for name, each in again(**tokens).items():
        torch.testing.assert_close(each, wanted[name], atol=apart, rtol=0)
    assert {path.name for path in (tmp_path / "head").iterdir()} == {"fusion.safetensors", "fusion.json"}


def test_an_exchange_returns_the_changes_that_the_head_adds(tokens: dict[str, Tensor], tmp_path: Path) -> None:
    head = make_head(0.5, **DIMS)
    save_fusion(head, tmp_path)
    motion = load_with_motion(tmp_path)(tokens["image"], tokens["motion"])
    audio = load_with_audio(tmp_path)(tokens["image"], tokens["audio"])
    changes = {"image": motion[0] + audio[0], "motion": motion[1], "audio": audio[1]}
    fused = head(**tokens)
    for name, each in tokens.items():
        wanted = functional.normalize(embedding(each) + changes[name], dim=-1)
        torch.testing.assert_close(fused[name], wanted, atol=1e-6, rtol=0)


def test_the_maximum_number_of_tokens_is_supported(tokens: dict[str, Tensor]) -> None:
    fused = make_head(0.5, **DIMS)(noise(1, MAX_TOKENS, 12), noise(1, 1, 12), noise(1, MAX_TOKENS, 10))
    assert all(torch.isfinite(each).all() for each in fused.values())


def test_all_zero_tokens_yield_finite_outputs() -> None:
    fused = make_head(0.5, **DIMS)(noise(1, 2, 12), torch.zeros(1, 3, 12), torch.zeros(1, 1, 10))
    assert all(torch.isfinite(each).all() for each in fused.values())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dims": {"image": 8}}, r"dims has \['image'\]; expected image, and motion or audio or both"),
        ({"dims": {"motion": 8, "audio": 8}}, "expected image"),
        ({"dims": {**DIMS, "smell": 8}}, "smell"),
        ({"dims": DIMS, "width": 0}, "not positive"),
        ({"dims": DIMS, "width": 10, "heads": 4}, "width 10 is not a multiple of 4 heads"),
    ],
)
def test_invalid_sizes_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FusionShape(**wrong)  # type: ignore[arg-type]


def test_files_that_are_missing_or_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"fusion\.json: cannot be read"):
        load_fusion(tmp_path)
    save_fusion(make_head(0.5, image=12, motion=12), tmp_path)
    with pytest.raises(ModelError, match=r"fusion\.json: has motion; expected audio"):
        load_with_audio(tmp_path)
    (tmp_path / "fusion.json").write_text('{"dims": {"image": 12, "motion": 13}, "width": 8, "heads": 2, "hidden": 16}')
    with pytest.raises(ModelError, match=r"does not fit fusion\.json: motion\..* is \(.*12.*\); expected \(.*13"):
        load_fusion(tmp_path)
    (tmp_path / "fusion.json").write_text('{"dims": {"image": 12}}')
    with pytest.raises(ModelError, match=r"fusion\.json: .*expected image, and motion or audio"):
        read_shape(tmp_path)
    (tmp_path / "fusion.safetensors").unlink()
    (tmp_path / "fusion.json").write_text('{"dims": {"image": 12, "motion": 12}}')
    with pytest.raises(ModelError, match=r"fusion\.safetensors: .*expected the weights"):
        read_gates(tmp_path)
