"""Small random models in the real formats."""

import json
from pathlib import Path
from typing import Any

TEXTS = ["a photo of a dog", "rain on a tin roof", "people talking"]


def make_tiny_clip(directory: Path, size_px: int = 32, patch_px: int = 8) -> Path:
    from engines.torchaudio_import import import_torchaudio

    import_torchaudio()
    import torch
    from transformers import CLIPConfig, CLIPModel

    directory.mkdir(parents=True)
    vocabulary = _write_clip_tokenizer(directory)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"bos_token_id": vocabulary - 2, "eos_token_id": vocabulary - 1, "pad_token_id": vocabulary - 1}
    config = CLIPConfig(
        text_config={**sizes, **ends, "vocab_size": vocabulary, "max_position_embeddings": 77},
        vision_config={**sizes, "image_size": size_px, "patch_size": patch_px},
        projection_dim=16,
    )
    CLIPModel(config).save_pretrained(directory)
    write_preprocessor(
        directory,
        image_processor_type="CLIPImageProcessor",
        do_resize=True,
        size={"shortest_edge": size_px},
        resample=3,
        do_center_crop=True,
        crop_size={"height": size_px, "width": size_px},
        image_mean=[0.48145466, 0.4578275, 0.40821073],
        image_std=[0.26862954, 0.26130258, 0.27577711],
    )
    return directory


def make_tiny_siglip(directory: Path) -> Path:
    from engines.torchaudio_import import import_torchaudio

    import_torchaudio()
    import torch
    from transformers import SiglipConfig, SiglipModel

    directory.mkdir(parents=True)
    vocabulary = _write_word_tokenizer(directory)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = SiglipConfig(
        text_config={**sizes, "vocab_size": vocabulary, "max_position_embeddings": 64, "projection_size": 32},
        vision_config={**sizes, "image_size": 32, "patch_size": 8},
    )
    SiglipModel(config).save_pretrained(directory)
    write_preprocessor(
        directory,
        image_processor_type="SiglipImageProcessor",
        do_resize=True,
        size={"height": 32, "width": 32},
        resample=3,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )
    return directory


def make_tiny_clap(directory: Path) -> Path:
    from engines.torchaudio_import import import_torchaudio

    import_torchaudio()
    import torch
    from transformers import ClapConfig, ClapModel

    directory.mkdir(parents=True)
    vocabulary = _write_word_tokenizer(directory)
    torch.manual_seed(0)
    heads = {"projection_dim": 16, "projection_hidden_size": 16}
    config = ClapConfig(
        text_config={
            **heads,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "vocab_size": vocabulary,
            "max_position_embeddings": 80,
            "pad_token_id": 0,
        },
        audio_config={
            **heads,
            "patch_embeds_hidden_size": 8,
            "hidden_size": 16,
            "depths": [1, 1],
            "num_attention_heads": [2, 2],
            "num_hidden_layers": 2,
        },
        projection_dim=16,
    )
    ClapModel(config).save_pretrained(directory)
    settings = {
        "feature_extractor_type": "ClapFeatureExtractor",
        "feature_size": 64,
        "fft_window_size": 1024,
        "frequency_max": 14000,
        "frequency_min": 50,
        "hop_length": 480,
        "max_length_s": 10,
        "padding": "repeatpad",
        "sampling_rate": 48000,
        "truncation": "rand_trunc",
    }
    (directory / "preprocessor_config.json").write_text(json.dumps(settings))
    return directory


def write_mov_like(directory: Path, clip: Path) -> Path:
    """A model whose three towers are one picture network."""
    tower = f'network = "clip_vision"\ndirectory = "{clip}"\nspace = "clip"\nsize_px = 32\n'
    text = f'[texts.clip]\nnetwork = "clip_text"\ndirectory = "{clip}"\ndim = 16\nmax_tokens = 77\n'
    motion, audio = (
        f'[motion]\n{tower}input = "flow_picture"\n',
        f'[audio]\n{tower}input = "log_mel_picture"\n[audio.mel]\n',
    )
    (directory / "model.toml").write_text(f'name = "mov-like"\n{text}[image]\n{tower}{motion}{audio}')
    return directory


def write_preprocessor(directory: Path, **settings: Any) -> None:
    always = {"do_normalize": True, "do_rescale": True, "rescale_factor": 1 / 255}
    (directory / "preprocessor_config.json").write_text(json.dumps({**always, **settings}))


def _write_clip_tokenizer(directory: Path) -> int:
    """Byte-pair tokenizer files as CLIP's: every byte, every byte at a word's end, and some merges. Gives the size."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    merges = [("t", "h"), ("o", "g</w>"), ("d", "og</w>"), ("p", "h"), ("o", "n</w>")]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges)]
    vocabulary = {token: index for index, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    (directory / "vocab.json").write_text(json.dumps(vocabulary))
    (directory / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges)]) + "\n")
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 77,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(vocabulary)


def _write_word_tokenizer(directory: Path) -> int:
    """A tokenizer.json of whole words, with SigLIP's padding and end. Gives the size of its vocabulary."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    words = sorted({word for text in TEXTS for word in text.split()})
    vocabulary = {word: index for index, word in enumerate(["<pad>", "</s>", "<unk>", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "model_max_length": 64,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(vocabulary)
