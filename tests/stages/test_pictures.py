"""Network inputs equal to those of transformers' own image processors, and flow, sound and crops as pictures."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engines.models.model import MelSpec, TowerSpec
from stages.pictures import (
    crop_pictures,
    evenly,
    flow_clips,
    flow_pictures,
    frame_pictures,
    log_mel_pictures,
    square_around,
    without_repeats,
)

CLIP = TowerSpec(
    network="clip_vision",
    space="clip",
    size_px=224,
    fit="crop",
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
)
SIGLIP = TowerSpec(network="siglip_vision", space="siglip", size_px=224, fit="stretch", mean=(0.5,) * 3, std=(0.5,) * 3)
PLAIN = TowerSpec(network="clip_vision", space="clip", size_px=64)


def processor_of(tower: TowerSpec) -> Any:
    from engines.networks.torchaudio_import import import_torchaudio

    import_torchaudio()
    from transformers import CLIPImageProcessor, SiglipImageProcessor

    if tower.fit == "crop":
        return CLIPImageProcessor(size={"shortest_edge": tower.size_px}, crop_size=tower.size_px)
    return SiglipImageProcessor(size={"height": tower.size_px, "width": tower.size_px}, resample=3)


def theirs(frames: Any, tower: TowerSpec) -> Any:
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames]
    return processor_of(tower)(images=images, return_tensors="np")["pixel_values"]


def scene(height: int, width: int, count: int = 2) -> Any:
    """Gradients, edges, a fine grid and noise: uint8 "count H W 3"."""
    random = np.random.default_rng(height)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    planes = [x / width * 255, ((x // 7 + y // 5) % 2) * 255, 127 + 90 * np.sin(x * y / 900)]
    frames = np.stack([np.stack(np.roll(planes, turn, axis=0), -1) for turn in range(count)])
    return np.clip(frames + random.normal(0, 12, frames.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("tower", [CLIP, SIGLIP], ids=["clip", "siglip"])
@pytest.mark.parametrize("size", [(224, 398), (398, 224), (224, 224), (225, 400), (360, 640), (120, 160), (37, 500)])
def test_frames_become_the_same_pictures_as_in_transformers(tower: TowerSpec, size: tuple[int, int]) -> None:
    frames = scene(*size)
    ours, wanted = frame_pictures(frames, tower), theirs(frames, tower)
    assert ours.shape == wanted.shape
    assert ours.dtype == np.float32
    apart = np.abs(ours - wanted) * np.reshape(tower.std, (1, 3, 1, 1)) * 255
    assert apart.max() <= 3


def test_frames_moved_by_one_pixel_would_be_noticed() -> None:
    frames = scene(225, 400)
    moved = frame_pictures(np.roll(frames, 1, axis=2), CLIP)
    assert (np.abs(moved - theirs(frames, CLIP)) * np.reshape(CLIP.std, (1, 3, 1, 1))).max() * 255 > 30


def test_frames_that_look_alike_are_told_from_others() -> None:
    scene_, random = scene(225, 400)[0], np.random.default_rng(1)
    noisy = np.clip(scene_ + random.normal(0, 6, scene_.shape), 0, 255).astype(np.uint8)
    changed = scene_.copy()
    changed[100:130, 200:230] += 40  # a thing of a hundredth of the picture
    red = scene_.copy()
    red[100:130, 200:230, 0] += 60
    distinct, which = without_repeats([scene_, noisy, changed, scene_, red, noisy])
    assert (distinct, which.tolist()) == ([0, 2, 4], [0, 0, 1, 0, 2, 0])


def test_frames_are_neither_changed_nor_kept() -> None:
    frames = scene(64, 80)
    before = frames.copy()
    pictures = frame_pictures(frames, PLAIN)
    pictures[:] = 0
    np.testing.assert_array_equal(frames, before)
    frames.flags.writeable = False
    assert frame_pictures(frames, PLAIN).max() > 0


def test_padding_shows_all_of_the_frame_on_the_mean_colour() -> None:
    tower = msgspec.structs.replace(PLAIN, fit="pad", mean=(0.5, 0.5, 0.5))
    white = np.full((1, 32, 64, 3), 255, np.uint8)
    picture = frame_pictures(white, tower)
    assert picture.shape == (1, 3, 64, 64)
    np.testing.assert_allclose(picture[:, :, 16:48], 0.5, atol=1e-3)
    np.testing.assert_allclose(picture[:, :, :16], 0, atol=0.01)


def test_tiles_cover_the_frame_from_end_to_end() -> None:
    tower = msgspec.structs.replace(PLAIN, fit="tiles")
    frames = np.zeros((2, 64, 150, 3), np.uint8)
    frames[:, :, :10, 0] = frames[:, :, -10:, 1] = 255
    pictures = frame_pictures(frames, tower).reshape(2, -1, 3, 64, 64)
    assert pictures.shape[1] == 3
    assert pictures[:, 0, 0, :, :10].min() > 0.9
    assert pictures[:, -1, 1, :, -10:].min() > 0.9
    assert frame_pictures(frames[:, :, :64], tower).shape == (2, 3, 64, 64)


def test_no_motion_is_grey_and_the_bound_is_the_end_of_the_scale() -> None:
    flow = np.zeros((3, 64, 64, 2), np.float16)
    flow[1, ..., 0], flow[2, ..., 1] = 2.0, -5.0
    pictures = flow_pictures(flow, PLAIN)
    assert pictures.shape == (3, 3, 64, 64)
    np.testing.assert_allclose(pictures.mean((2, 3)) * 255, [[128, 128, 0], [255, 128, 255], [128, 0, 255]], atol=0.51)


def test_flow_of_another_size_is_resized() -> None:
    assert flow_pictures(np.zeros((2, 50, 90, 2), np.float16), PLAIN).shape == (2, 3, 64, 64)


@pytest.mark.parametrize("pairs", [1, 3, 8, 9, 16])
def test_the_flow_of_a_clip_is_one_input_of_fixed_length_in_order_of_time(pairs: int) -> None:
    tower = msgspec.structs.replace(PLAIN, input="flow_clip", fit="stretch")
    flow = np.zeros((pairs, 30, 50, 2), np.float16)
    flow[..., 0] = np.linspace(-1, 1, pairs)[:, None, None] if pairs > 1 else 1
    (clip,) = flow_clips(flow, tower)
    assert clip.shape == (8, 3, 64, 64)
    to_the_right = clip[:, 0, 32, 32]
    assert (np.diff(to_the_right) >= 0).all()
    assert len(np.unique(to_the_right)) == min(pairs, 8)
    counts = np.unique(to_the_right, return_counts=True)[1]
    assert counts.max() - counts.min() <= 1, "all are repeated equally often"


def test_a_spectrogram_is_upright_and_silence_is_black() -> None:
    mel = MelSpec()
    log_mel = np.full((2, 96, 64), np.log(mel.log_offset), np.float32)
    log_mel[0, 48:, :16] = 5.0
    pictures = log_mel_pictures(log_mel, msgspec.structs.replace(PLAIN, mel=mel))
    assert pictures.shape == (2, 3, 64, 64)
    loud_later_and_low = pictures[0, :, -14:, 34:]
    assert loud_later_and_low.min() > 0.9
    assert pictures[1].max() == 0
    assert pictures[0, :, :40].max() < 0.1


@pytest.mark.parametrize(
    "box",
    [(10, 10, 30, 50), (0, 0, 100, 80), (-20, -5, 3, 4), (98, 70, 140, 90), (50, 40, 50, 40), (300, 300, 310, 310)],
)
def test_the_square_around_a_box_stays_in_the_frame_and_is_never_empty(box: tuple[float, ...]) -> None:
    x0, y0, x1, y1 = square_around(np.array(box), 80, 100, 0.1)
    assert 0 <= x0 < x1 <= 100
    assert 0 <= y0 < y1 <= 80


def test_the_square_contains_the_padded_box() -> None:
    x0, y0, x1, y1 = square_around(np.array([40.0, 30.0, 50.0, 50.0]), 80, 100, 0.1)
    assert (x1 - x0, y1 - y0) == (24, 24)
    assert x0 <= 39
    assert x1 >= 51
    assert y0 <= 28
    assert y1 >= 52


def test_crops_show_the_content_of_the_box() -> None:
    frames = np.zeros((2, 80, 100, 3), np.uint8)
    frames[1, 20:60, 30:70] = 255
    boxes = np.array([[1, 35, 25, 65, 55, 0.9], [0, 35, 25, 65, 55, 0.9]], np.float32)
    crops = crop_pictures(frames, boxes, PLAIN)
    assert crops.shape == (2, 3, 64, 64)
    assert crops[0].min() > 0.99
    assert crops[1].max() == 0
    assert crop_pictures(frames, boxes[:0], PLAIN).shape == (0, 3, 64, 64)


def test_blurred_surroundings_keep_their_colour_and_the_box_with_its_margin_stays_sharp() -> None:
    stripes = np.zeros((80, 100, 3), np.uint8)
    stripes[:, ::2] = 200
    box = np.array([[0, 40, 20, 50, 60]], np.float32)  # 10 wide, in a square of 40; its margin is 4
    tower = msgspec.structs.replace(PLAIN, surroundings="blurred")
    (crop,) = crop_pictures(stripes[None], box, tower) * 255
    inside, outside = crop[:, :, 23:41], np.concatenate([crop[:, :, :17], crop[:, :, 47:]], axis=2)
    assert inside.max() - inside.min() > 150
    assert outside.max() - outside.min() < 20
    assert abs(outside.mean() - 100) < 15


@pytest.mark.parametrize("of", [1, 3, 8, 9, 16, 17])
def test_chosen_frames_are_spread_evenly(of: int) -> None:
    chosen = evenly(8, of)
    assert len(chosen) == min(8, of) == len(set(chosen.tolist()))
    assert (np.diff(chosen) > 0).all()
    assert chosen.min() >= 0
    assert chosen.max() < of
    if of > 8:
        assert abs((chosen.mean() + 0.5) / of - 0.5) < 0.06


def test_the_frame_in_the_slot_has_nearly_the_vector_of_the_full_frame(
    shared_data: Path, tmp_path: Path, record_property: Any
) -> None:
    """Scaled by swscale to a short side of 224 and cropped; compared with transformers' way from the full frame."""
    import av
    import torch

    from engines.networks.torchaudio_import import import_torchaudio

    import_torchaudio()
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    small = {"hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 4, "num_attention_heads": 3}
    model = CLIPModel(CLIPConfig(vision_config={**small, "patch_size": 32}, projection_dim=64)).eval()
    slots, full = [], []
    for path in sorted(shared_data.glob("clips/*.mp4"))[:12]:
        with av.open(str(path), metadata_errors="ignore") as container:
            frame = next(frame for index, frame in enumerate(container.decode(video=0)) if index == 10)
        scale = 224 / min(frame.width, frame.height)
        size = {"width": max(224, round(frame.width * scale)), "height": max(224, round(frame.height * scale))}
        slot = frame.reformat(**size, format="rgb24", interpolation="BICUBIC").to_ndarray()
        slots.append(frame_pictures(slot[None], CLIP))
        full.append(theirs([frame.to_ndarray(format="rgb24")], CLIP))
    with torch.inference_mode():
        ours, wanted = (
            model.get_image_features(pixel_values=torch.from_numpy(np.concatenate(pictures))).pooler_output
            for pictures in (slots, full)
        )
    plain = torch.nn.functional.cosine_similarity(ours, wanted)
    centred = torch.nn.functional.cosine_similarity(ours - wanted.mean(0), wanted - wanted.mean(0))
    figures = {"cosine": float(plain.min()), "centred": float(centred.min())}
    record_property("smallest", figures)
    print(f"smallest over {len(slots)} clips: {figures}")
    assert plain.min() >= 0.99
    assert centred.min() >= 0.95
