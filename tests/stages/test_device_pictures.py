"""Pictures made on a device equal those made on the CPU to a grey level or two; here the device is the CPU."""

from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from engines.devices.device import Uploader
from engines.models.model import MelSpec, TowerSpec
from stages import device_pictures, pictures
from stages.tower_inputs import tower_tensor

CLIP = TowerSpec(
    network="clip_vision",
    space="clip",
    size_px=64,
    fit="crop",
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
)
FITS = ("crop", "pad", "stretch", "tiles")
SMALLER = [(64, 64), (64, 114), (114, 64), (65, 120), (180, 320), (480, 270)]
LARGER = [(48, 60), (17, 130)]


def with_(**changes: Any) -> TowerSpec:
    return msgspec.structs.replace(CLIP, **changes)


def scene(height: int, width: int, count: int = 2) -> Any:
    """Gradients, edges, a fine grid and noise: uint8 "count H W 3", read-only as in a slot."""
    random = np.random.default_rng(height)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    planes = [x / width * 255, ((x // 7 + y // 5) % 2) * 255, 127 + 90 * np.sin(x * y / 900)]
    frames = np.stack([np.stack(np.roll(planes, turn, axis=0), -1) for turn in range(count)])
    made = np.clip(frames + random.normal(0, 12, frames.shape), 0, 255).astype(np.uint8)
    made.flags.writeable = False
    return made


def levels_apart(ours: torch.Tensor, wanted: Any, tower: TowerSpec = CLIP) -> Any:
    """Grey levels between two sets of pictures; they have the same shape and type."""
    assert (tuple(ours.shape), ours.dtype, wanted.dtype) == (wanted.shape, torch.float32, np.float32)
    return np.abs(ours.numpy() - wanted) * np.reshape(tower.std, (1, 3, 1, 1)) * 255


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("how", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", SMALLER + LARGER)
def test_frames_are_fitted_as_on_the_cpu(fit: Any, how: Any, size: tuple[int, int]) -> None:
    tower, frames = with_(fit=fit, resample=how), scene(*size)
    ours = tower_tensor(tower, frames, Uploader("cpu"))
    apart = levels_apart(ours, pictures.frame_pictures(frames, tower))
    assert apart.max() <= (1.01 if size in SMALLER else 2.01)
    assert apart.mean() < 0.02


def test_a_frame_moved_by_one_pixel_would_be_noticed() -> None:
    frames = scene(65, 120)
    moved = tower_tensor(CLIP, np.roll(frames, 1, axis=2), Uploader("cpu"))
    assert levels_apart(moved, pictures.frame_pictures(frames, CLIP)).max() > 30


def test_the_frames_of_a_clip_are_chosen_before_the_upload() -> None:
    frames, uploaded = scene(64, 80, 16), []

    class Recorder(Uploader):
        def upload(self, array: Any, rows: Any = None) -> Any:
            uploaded.append(list(rows))
            return super().upload(array, rows)

    ours = tower_tensor(CLIP, frames, Recorder("cpu"))
    chosen = pictures.evenly(8, 16)
    assert uploaded == [chosen.tolist()]
    assert levels_apart(ours, pictures.frame_pictures(frames[chosen], CLIP)).max() <= 1.01


@pytest.mark.parametrize("size", [(64, 90), (50, 90), (80, 64)])
@pytest.mark.parametrize("fit", FITS)
def test_flow_has_the_same_colours(size: tuple[int, int], fit: Any) -> None:
    tower = with_(fit=fit, input="flow_picture")
    flow = np.random.default_rng(1).normal(0, 1.5, (5, *size, 2)).astype(np.float16)
    ours = tower_tensor(tower, flow, Uploader("cpu"))
    apart = levels_apart(ours, pictures.flow_pictures(flow, tower))
    assert apart.max() <= 2.01
    assert apart.mean() < 0.02


@pytest.mark.parametrize("pairs", [1, 5, 8, 15])
def test_the_flow_of_a_clip_is_the_same_input(pairs: int) -> None:
    tower = with_(fit="stretch", input="flow_clip")
    flow = np.random.default_rng(4).normal(0, 1.0, (pairs, 80, 120, 2)).astype(np.float16)
    ours, wanted = tower_tensor(tower, flow, Uploader("cpu")), pictures.flow_clips(flow, tower)
    assert ours.shape == (1, 8, 3, 64, 64)
    assert levels_apart(ours[0], wanted[0]).max() <= 2.01


def test_a_spectrogram_is_the_same_picture() -> None:
    tower = with_(input="log_mel_picture", mel=MelSpec())
    log_mel = np.random.default_rng(2).normal(-2, 3, (3, 96, 64)).astype(np.float32)
    ours = tower_tensor(tower, log_mel, Uploader("cpu"))
    assert levels_apart(ours, pictures.log_mel_pictures(log_mel, tower)).max() <= 1.01


def test_sound_for_a_sound_tower_is_unchanged() -> None:
    log_mel = np.random.default_rng(3).normal(size=(3, 96, 64)).astype(np.float32)
    ours = tower_tensor(with_(input="log_mel"), log_mel, Uploader("cpu"))
    np.testing.assert_array_equal(ours.numpy(), log_mel)


def test_chunks_of_sound_are_the_same_picture() -> None:
    log_mel = np.random.default_rng(4).normal(-4, 3, (3, 100, 16)).astype(np.float32)
    tower = with_(input="log_mel_chunks", mean=(-4.3, -4.2, -4.1), std=(9.1, 9.2, 9.3))
    ours = tower_tensor(tower, log_mel, Uploader("cpu")).numpy()
    np.testing.assert_allclose(ours, pictures.log_mel_chunks(log_mel, tower), atol=1e-6)


@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_the_centre_of_a_larger_picture_is_the_same(fit: Any) -> None:
    tower = with_(fit=fit, size_px=64, resized_px=80)
    frames = scene(90, 160, 2)
    ours = tower_tensor(tower, frames, Uploader("cpu"))
    assert ours.shape == (2, 3, 64, 64)
    assert levels_apart(ours, pictures.frame_pictures(frames, tower)).max() <= 1.01


@pytest.mark.parametrize("surroundings", ["shown", "blurred"])
def test_crops_are_the_same_pictures(surroundings: Any) -> None:
    tower = msgspec.structs.replace(CLIP, surroundings=surroundings)
    frames = scene(80, 120, 4)
    boxes = np.array([[3, 10, 10, 50, 60], [1, 0, 0, 119, 79], [3, 100, 60, 140, 90], [0, 5, 5, 9, 30]], np.float32)
    ours = device_pictures.box_tensor(tower, frames, boxes, Uploader("cpu"))
    apart = levels_apart(ours, pictures.crop_pictures(frames, boxes, tower))
    assert apart.max() <= 2.01
    assert apart.mean() < 0.02
    assert device_pictures.box_tensor(tower, frames, boxes[:0], Uploader("cpu")).shape == (0, 3, 64, 64)


@pytest.mark.parametrize("fit", FITS)
def test_a_network_returns_the_same_vectors(fit: Any) -> None:
    from engines.networks.torchaudio_import import import_torchaudio

    import_torchaudio()
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    sizes = {"hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 4, "num_attention_heads": 3}
    config = CLIPVisionConfig(**sizes, image_size=64, patch_size=16, projection_dim=64)
    network = CLIPVisionModelWithProjection(config).eval()
    tower, frames = with_(fit=fit), scene(90, 160, 8)
    ours = tower_tensor(tower, frames, Uploader("cpu"))
    wanted = torch.from_numpy(pictures.frame_pictures(frames, tower))
    with torch.inference_mode():
        a, b = (network(pixel_values=each).image_embeds for each in (ours, wanted))
    assert torch.nn.functional.cosine_similarity(a, b).min() >= 0.9995
    assert torch.nn.functional.cosine_similarity(a - b.mean(0), b - b.mean(0)).min() >= 0.999
