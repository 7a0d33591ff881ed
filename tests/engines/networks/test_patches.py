"""Patches: what a picture tower reads in each cell, beside the same tokens, from engines of their own."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from engines.gate.golden import golden
from engines.models.checkpoint import BUNDLED
from engines.models.network import network, patch_grid, with_patches
from engines.models.patch_tower import PatchTower
from engines.networks.picture import load_picture
from pipeline.errors import ModelError
from pipeline.stage import RunSettings
from tests.engines.networks.test_features import MINI, feeds_of

FAMILIES = {"tiny_clip": "clip_vision", "tiny_metaclip_2": "metaclip_2_vision", "tiny_siglip": "siglip_vision"}


def test_the_bundled_tower_reads_196_cells_beside_its_usual_token() -> None:
    given = feeds_of("concept_picture", MINI, 2)
    with torch.inference_mode():
        tokens, patches = network("concept_picture+patches").load(MINI)(given)
        torch.testing.assert_close(tokens, load_picture(MINI)(given), atol=1e-5, rtol=1e-5)
    assert patches.shape == (2, 196, 384)
    assert patch_grid("concept_picture", MINI) == (14, 14)


def test_without_a_detector_a_cell_is_read_out_as_a_quarter_is() -> None:
    from engines.networks.patches import PicturePatches

    tower, given = load_picture(MINI), feeds_of("concept_picture", MINI, 1)
    with torch.inference_mode():
        _, patches = PicturePatches(tower, None)(given)
        place = tower.network.features(given)[:, :, 2, 5]
        wanted = tower.network._fc(place).softmax(-1) @ tower.concepts
        wanted = wanted + functional.normalize(place, dim=-1) @ tower.projection
    for row, column in ((4, 10), (5, 11)):
        torch.testing.assert_close(patches[:, 14 * row + column], functional.normalize(wanted, dim=-1))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_tokens_of_a_checkpoint_with_patches_are_its_own(family: str, request: pytest.FixtureRequest) -> None:
    directory: Path = request.getfixturevalue(family)
    key = FAMILIES[family]
    given = feeds_of(key, directory)
    with torch.inference_mode():
        tokens, patches = network(f"{key}+patches").load(directory)(given)
        torch.testing.assert_close(tokens, network(key).load(directory)(given), atol=1e-5, rtol=1e-5)
    (_, port) = network(f"{key}+patches").ports(directory)[1]
    assert port.dims == f"B {patches.shape[1]} {tokens.shape[1]}"


def test_a_patch_of_clip_is_what_its_last_block_makes_of_a_cell_that_sees_itself_alone(tiny_clip: Path) -> None:
    tower, given = network("clip_vision").load(tiny_clip), feeds_of("clip_vision", tiny_clip)
    with torch.inference_mode():
        _, patches = network("clip_vision+patches").load(tiny_clip)(given)
        vision = tower.vision
        states = vision.pre_layrnorm(vision.embeddings(given))
        *early, last = vision.encoder.layers
        for layer in early:
            states = layer(states, attention_mask=None)
        alone = torch.full((states.shape[1],) * 2, float("-inf")).fill_diagonal_(0)[None, None]
        wanted = tower.projection(vision.post_layernorm(last(states, attention_mask=alone)[:, 1:]))
    torch.testing.assert_close(patches, wanted, atol=1e-5, rtol=1e-4)


def test_a_patch_of_siglip_is_what_its_head_makes_of_a_single_cell(tiny_siglip: Path) -> None:
    tower, given = network("siglip_vision").load(tiny_siglip), feeds_of("siglip_vision", tiny_siglip)
    with torch.inference_mode():
        _, patches = network("siglip_vision+patches").load(tiny_siglip)(given)
        states = tower.vision(pixel_values=given).last_hidden_state
        wanted = torch.stack([tower.vision.head(states[:, cell : cell + 1]) for cell in range(states.shape[1])], 1)
    torch.testing.assert_close(patches, wanted, atol=1e-5, rtol=1e-4)


def test_a_wide_picture_has_a_wide_grid(tiny_clip: Path) -> None:
    assert patch_grid("clip_vision@16x72", tiny_clip) == (2, 9)


def test_a_tower_without_patches_is_told_with_those_that_have_them(tiny_align: Path, run: RunSettings) -> None:
    from engines.models.checkpoint import read_model

    with pytest.raises(ModelError, match=r"clip_vision, concept_picture, metaclip_2_vision, siglip_vision"):
        with_patches("raft_small")
    with pytest.raises(ModelError, match=r"gives no patches.*Use another --model"):
        PatchTower(read_model(str(tiny_align)), run)


def test_a_plain_tower_has_the_same_engines_as_before() -> None:
    plain, more = (
        network(key).fingerprint(BUNDLED / "percept-mini") for key in ("concept_picture", "concept_picture+patches")
    )
    assert "wrapper" not in plain
    assert "patches.py" not in plain
    assert {"patches.py", "detector.py", "detector.safetensors"} <= more.keys()
    assert golden(network("concept_picture+patches").ports(MINI)[0], 1)
