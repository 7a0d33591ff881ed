"""Small random models in the published formats."""

import json
from pathlib import Path
from typing import Any

TEXTS = ["a photo of a dog", "rain on a tin roof", "people talking"]


SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def make_tiny_clip(directory: Path, size_px: int = 32, patch_px: int = 8) -> Path:
    from engines.networks.torchaudio_import import import_torchaudio

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
    _write_clip_preprocessor(directory, size_px)
    return directory


def make_tiny_laion(directory: Path) -> Path:
    """CLIP as published by LAION: gelu, padded with "!", and the wrong `eos_token_id` of 2 that old files have."""
    from engines.networks.torchaudio_import import import_torchaudio

    import_torchaudio()
    import torch
    from transformers import CLIPConfig, CLIPModel

    directory.mkdir(parents=True)
    vocabulary = _write_clip_tokenizer(directory, pad="!")
    torch.manual_seed(1)
    config = CLIPConfig(
        text_config={
            **SIZES, "vocab_size": vocabulary, "hidden_act": "gelu", "eos_token_id": 2, "bos_token_id": 0,
        },
        vision_config={**SIZES, "hidden_size": 48, "image_size": 32, "patch_size": 8, "hidden_act": "gelu"},
        projection_dim=24,
        logit_scale_init_value=4.0,
    )  # fmt: skip
    CLIPModel(config).save_pretrained(directory)
    _write_clip_preprocessor(directory, 32)
    return directory


def make_tiny_metaclip_2(directory: Path) -> Path:
    from engines.networks.torchaudio_import import import_torchaudio

    import_torchaudio()
    import torch
    from transformers import MetaClip2Config, MetaClip2Model

    directory.mkdir(parents=True)
    vocabulary = _write_xlm_tokenizer(directory)
    torch.manual_seed(2)
    config = MetaClip2Config(
        text_config={**SIZES, "vocab_size": vocabulary, "eos_token_id": 2, "hidden_act": "quick_gelu"},
        vision_config={**SIZES, "image_size": 32, "patch_size": 8, "hidden_act": "quick_gelu"},
        projection_dim=16,
    )
    MetaClip2Model(config).save_pretrained(directory)
    _write_clip_preprocessor(directory, 32)
    return directory


def make_tiny_align(directory: Path) -> Path:
    """ALIGN with the preprocessing of `kakaobrain/align-base` at a smaller size: resized to 72, cropped to 64."""
    from engines.networks.torchaudio_import import import_torchaudio

    import_torchaudio()
    import torch
    from transformers import AlignConfig, AlignModel

    directory.mkdir(parents=True)
    vocabulary = _write_bert_tokenizer(directory)
    torch.manual_seed(3)
    config = AlignConfig(
        text_config={**SIZES, "vocab_size": vocabulary, "max_position_embeddings": 64},
        vision_config={
            "width_coefficient": 0.25, "depth_coefficient": 0.3, "hidden_dim": 40, "image_size": 600,
            "in_channels": [32, 16, 24], "out_channels": [16, 24, 160], "kernel_sizes": [3, 3, 5],
            "strides": [1, 2, 2], "num_block_repeats": [1, 1, 1], "expand_ratios": [1, 2, 2], "depthwise_padding": [],
        },
        projection_dim=40,
        temperature_init_value=0.07,
    )  # fmt: skip
    model = AlignModel(config)
    for module in model.vision_model.modules():  # with the default initialisation the features almost vanish
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    model.save_pretrained(directory)
    write_preprocessor(
        directory,
        image_processor_type="EfficientNetImageProcessor",
        do_resize=True,
        size={"height": 72, "width": 72},
        resample=2,
        do_center_crop=True,
        crop_size={"height": 64, "width": 64},
        do_normalize=False,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
        include_top=False,
        rescale_factor=1 / 127.5,
        rescale_offset=True,
    )
    return directory


def make_tiny_siglip(directory: Path) -> Path:
    from engines.networks.torchaudio_import import import_torchaudio

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
    model = SiglipModel(config)
    model.logit_bias.data.fill_(-12.5)
    model.save_pretrained(directory)
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


def make_tiny_clap(directory: Path, fused: bool = False) -> Path:
    from engines.networks.torchaudio_import import import_torchaudio

    import_torchaudio()
    import torch
    from transformers import ClapConfig, ClapModel

    directory.mkdir(parents=True)
    vocabulary = _write_roberta_tokenizer(directory)
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
            "pad_token_id": 1,
        },
        audio_config={
            **heads,
            "patch_embeds_hidden_size": 8,
            "hidden_size": 16,
            "depths": [1, 1],
            "num_attention_heads": [2, 2],
            "num_hidden_layers": 2,
            "enable_fusion": fused,
            "fusion_type": "aff_2d" if fused else None,
            "aff_block_r": 2,
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
        "truncation": "fusion" if fused else "rand_trunc",
    }
    (directory / "preprocessor_config.json").write_text(json.dumps(settings))
    return directory


def write_mov_like(directory: Path, clip: Path) -> Path:
    """A model whose three towers are the same picture network."""
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


def _write_clip_preprocessor(directory: Path, size_px: int) -> None:
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


def _write_clip_tokenizer(directory: Path, pad: str = "<|endoftext|>", max_length: int = 77) -> int:
    """Write byte-pair tokenizer files like CLIP's: all bytes, also as word ends, and some merges; return the size."""
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
        "pad_token": pad,
        "model_max_length": max_length,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(vocabulary)


def _write_bert_tokenizer(directory: Path) -> int:
    words = sorted({word for text in TEXTS for word in text.split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (directory / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 64}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(vocabulary)


def _write_roberta_tokenizer(directory: Path) -> int:
    """Write byte-pair tokenizer files like RoBERTa's, which CLAP uses; return the vocabulary size."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    merges = [("o", "g"), ("d", "og"), ("p", "h"), ("o", "n")]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *bytes_to_unicode().values(), *("".join(pair) for pair in merges)]
    (directory / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate([*tokens, "<mask>"])}))
    (directory / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges)]) + "\n")
    settings = {"tokenizer_class": "RobertaTokenizer", "model_max_length": 512}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(tokens) + 1


def _write_xlm_tokenizer(directory: Path) -> int:
    """Write a unigram tokenizer.json like XLM-RoBERTa's, which MetaCLIP 2 uses; return the vocabulary size."""
    from transformers import XLMRobertaTokenizer

    words = sorted({word for text in TEXTS for word in text.split()})
    pieces = [(piece, 0.0) for piece in ("<s>", "<pad>", "</s>", "<unk>")]
    pieces += [(f"▁{word}", -float(index + 1)) for index, word in enumerate(words)] + [("▁", -20.0)]
    XLMRobertaTokenizer(vocab=[*pieces, ("<mask>", 0.0)]).save_pretrained(directory)
    return len(pieces) + 1


def _write_word_tokenizer(directory: Path) -> int:
    """Write a tokenizer.json of whole words with SigLIP's padding and end token; return the vocabulary size."""
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


OWL_SIDE_PX = {"owlvit": 96, "owlv2": 128}


def make_tiny_owl(directory: Path, kind: str = "owlvit") -> Path:
    """OWL-ViT or OWLv2 ("owlv2") that nobody trained, with heads that tell words and places apart."""
    from engines.networks.torchaudio_import import import_torchaudio

    import_torchaudio()
    import torch
    import transformers

    directory.mkdir(parents=True)
    vocabulary = _write_clip_tokenizer(directory, pad="!", max_length=16)
    torch.manual_seed(5)
    ends = {"bos_token_id": vocabulary - 2, "eos_token_id": vocabulary - 1, "pad_token_id": 0}
    prefix = "OwlViT" if kind == "owlvit" else "Owlv2"
    config = getattr(transformers, f"{prefix}Config")(
        text_config={**SIZES, **ends, "vocab_size": vocabulary, "max_position_embeddings": 16},
        vision_config={**SIZES, "hidden_size": 48, "image_size": OWL_SIDE_PX[kind], "patch_size": 16},
        projection_dim=32,
    )
    model = getattr(transformers, f"{prefix}ForObjectDetection")(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "layernorm" not in name and "layer_norm" not in name and weight.ndim > 1:
                weight.copy_(torch.randn_like(weight) * (0.6 if "embedding" in name else weight.shape[-1] ** -0.5))
        model.class_head.logit_scale.bias.fill_(1.5)
        model.class_head.logit_shift.bias.fill_(-0.1)
    model.save_pretrained(directory)
    write_preprocessor(
        directory,
        image_processor_type=f"{prefix}ImageProcessor",
        do_resize=True,
        size={"height": OWL_SIDE_PX[kind], "width": OWL_SIDE_PX[kind]},
        resample=3 if kind == "owlvit" else 2,
        do_center_crop=False,
        do_pad=kind == "owlv2",
        image_mean=[0.48145466, 0.4578275, 0.40821073],
        image_std=[0.26862954, 0.26130258, 0.27577711],
    )
    return directory
