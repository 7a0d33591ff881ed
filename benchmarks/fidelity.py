"""How close is an embedding of a slot's frame (scaled while decoding) to transformers' own from the full frame?

    python -m benchmarks.fidelity [--data ../shared/data]

The middle frame of the first clip of each real video with square pixels (picture processors support no others); CLIP
ViT-B/32 at its real size, random weights. Cosine of the two embeddings, and the centred cosine, with the mean embedding
of all frames subtracted, which is the stricter measure.
"""

import argparse
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks import report
from engines.models.model import TowerSpec
from pipeline.clip import DecodedClip
from stages.decode.reader import ReaderOptions, make_reader
from stages.pictures import frame_pictures

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--most", type=int, default=40)
    options = parser.parse_args()
    network, processor = make_clip()
    ours, theirs = [], []
    for path in sorted(Path(options.data, "clips").glob("*.m[pk][4v]"))[: options.most]:
        both = frames(str(path))
        if both is not None:
            tower = TowerSpec(network="clip_vision", space="clip", mean=MEAN, std=STD)
            ours.append(frame_pictures(both[0][None], tower)[0])
            theirs.append(processor(images=both[1], return_tensors="np")["pixel_values"][0])
    a, b = (embed(network, np.stack(pictures)) for pictures in (ours, theirs))
    plain, centred = cosines(a, b), cosines(a - b.mean(0), b - b.mean(0))
    print(f"{len(a)} frames: cosine median {np.median(plain):.5f}, min {plain.min():.5f}; "
          f"centred median {np.median(centred):.4f}, min {centred.min():.4f}")  # fmt: skip
    report.write(
        "fidelity", {"frames": len(a), "cosine": min_median_max(plain), "centred_cosine": min_median_max(centred)}
    )


def min_median_max(values: Any) -> dict[str, float]:
    return report.min_median_max([float(value) for value in values])


def make_clip() -> tuple[Any, Any]:
    from engines.networks.torchaudio_import import import_torchaudio

    import_torchaudio()
    import torch
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    config = CLIPVisionConfig(patch_size=32, hidden_size=768, intermediate_size=3072, num_attention_heads=12)
    return CLIPVisionModelWithProjection(config).eval(), CLIPImageProcessorPil()


def embed(network: Any, pictures: Any) -> Any:
    import torch

    with torch.inference_mode():
        vectors = network(pixel_values=torch.from_numpy(pictures)).image_embeds
    return torch.nn.functional.normalize(vectors, dim=-1).numpy()


def cosines(a: Any, b: Any) -> Any:
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def frames(path: str) -> tuple[Any, Any] | None:
    """The middle frame of the first clip as in its slot, "H W 3", and the full frame as a PIL image.

    None if the pixels are not square, the frame is rotated, or no frame has this time.
    """
    with make_reader(path, 0, ReaderOptions(modalities=("image",), audio_rate_hz=0)) as reader:
        reader.open()
        clip = next(item for item in reader.clips() if isinstance(item, DecodedClip) and "frames" in item.arrays)
    index = len(clip.arrays["frames"]) // 2
    time_s = clip.arrays["frame_times_ns"][index] / 1e9
    with av.open(path, metadata_errors="ignore") as container:
        start_s = (container.start_time or 0) / 1e6
        if (container.streams.video[0].sample_aspect_ratio or 1) != 1:
            return None
        for frame in container.decode(video=0):
            if frame.time is not None and abs(frame.time - start_s - time_s) < 2e-3 and not frame.rotation:
                return clip.arrays["frames"][index], frame.to_image()
    return None


if __name__ == "__main__":
    main()
