"""Checkpoints of the Hugging Face hub: from the local cache, else downloaded, else an error that says what to do."""

import difflib
import json
import logging
import os
from pathlib import Path

from engines.models.checkpoint_files import OPEN_CLIP_CONFIG, checkpoint_files, open_clip_files
from engines.models.model_file import MODEL_FILE
from pipeline.errors import ModelError

log = logging.getLogger("percept.engines")

SMALL = ["*.json", "*.txt", "*.model", MODEL_FILE]
"""Configuration and vocabulary files, which decide whether the weights are worth fetching."""
TRANSFORMERS = ["model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors"]
OPEN_CLIP = ["open_clip_model.safetensors"]
PUBLISHED = (
    "openai/clip-vit-base-patch16",
    "openai/clip-vit-base-patch32",
    "openai/clip-vit-large-patch14",
    "openai/clip-vit-large-patch14-336",
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    "laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
    "facebook/metaclip-b16-fullcc2.5b",
    "facebook/metaclip-l14-fullcc2.5b",
    "facebook/metaclip-2-worldwide-b16",
    "facebook/metaclip-2-worldwide-huge-quickgelu",
    "google/siglip-base-patch16-224",
    "google/siglip-so400m-patch14-384",
    "google/siglip2-base-patch16-224",
    "google/siglip2-so400m-patch14-384",
    "kakaobrain/align-base",
    "laion/clap-htsat-unfused",
    "laion/clap-htsat-fused",
    "laion/larger_clap_general",
    "laion/larger_clap_music_and_speech",
    "timm/ViT-B-16-SigLIP",
    "timm/PE-Core-B-16",
)
"""Well-known ids in supported formats, to suggest a correction for a mistyped id."""


def from_hub(name: str, asked: str = "--model") -> Path:
    """The directory with the files of a hub id "OWNER/NAME" or "OWNER/NAME@REVISION".

    Weights are fetched only if the configuration is supported, and in one format only.

    asked: the option that named the id, for error messages.

    Raises:
        ModelError: the files are not cached and cannot be fetched.
    """
    from huggingface_hub import list_repo_files, snapshot_download

    repository, _, revision = name.partition("@")
    wanted = {"repo_id": repository, "revision": revision or None}
    try:
        found = Path(snapshot_download(**wanted, local_files_only=True))
        if is_whole(found):
            return found
    except Exception as error:  # the hub raises many kinds of errors for files that are not cached
        log.debug("%s: %r", name, error)
    log.info("%s is not in the local cache; asking the hub", name)
    try:
        found = Path(snapshot_download(**wanted, allow_patterns=SMALL))
        weights = weights_of(found)
        if weights:
            found = Path(snapshot_download(**wanted, allow_patterns=[*SMALL, *weights]))
        if not weights or is_whole(found):
            return found
        pickled = [file for file in list_repo_files(**wanted) if file.endswith((".bin", ".pt", ".pth"))]
    except Exception as error:
        raise ModelError(f"{asked} {name}: {why_not(name, error)}") from error
    raise ModelError(
        f"{asked} {name}: the hub has no {weights[0]} for it (found: {', '.join(pickled) or 'nothing'}). Run: "
        f"hf download {repository} --local-dir {repository.partition('/')[2]}; given that directory, percept "
        "prints the command that converts it"
    )


def is_whole(directory: Path) -> bool:
    """Whether a directory has all files that the model needs."""
    if (directory / MODEL_FILE).is_file():
        return True
    for files in (checkpoint_files, open_clip_files):
        try:
            if all(path.is_file() for path in files(directory)):
                return True
        except ModelError:
            continue
    return False


def weights_of(directory: Path) -> list[str]:
    """File patterns of the weights, by the configuration; empty if the format is not supported."""
    from engines.networks.transformers_format import READERS

    if (directory / MODEL_FILE).is_file():
        return ["*.safetensors"]
    config = directory / "config.json"
    if config.is_file() and json.loads(config.read_bytes()).get("model_type") in READERS:
        return TRANSFORMERS
    return OPEN_CLIP if (directory / OPEN_CLIP_CONFIG).is_file() else []


def why_not(name: str, error: Exception) -> str:
    """What the hub's error means, and what to do."""
    from huggingface_hub import constants, errors

    page = f"{constants.ENDPOINT}/{name.partition('@')[0]}"
    if isinstance(error, errors.GatedRepoError):
        return f"access requires accepting its terms. Accept them at {page}, then run: hf auth login"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"the hub has no such revision; expected a branch, a tag or a commit of {page}"
    if isinstance(error, errors.RepositoryNotFoundError):
        close = difflib.get_close_matches(name.partition("@")[0], PUBLISHED, n=1, cutoff=0.75)
        hint = f" (did you mean {close[0]}?)" if close else ""
        return (
            f"neither a directory here nor a repository on the hub{hint}. If it is private, run: hf auth login; "
            "otherwise check its spelling"
        )
    status = _status(error)
    if status:
        return f"the hub answered {status}. Try again later, or give a directory: --model path/to/model"
    if isinstance(error, OSError) and error.errno:
        return f"cannot be stored in {constants.HF_HUB_CACHE}: {os.strerror(error.errno)}"
    offline = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"
    return (
        f"not in the local cache and {offline} ({type(error).__name__}). Download it once on a connected machine (hf "
        f"download {name.partition('@')[0]}), or give a directory: --model path/to/model"
    )


def _status(error: BaseException | None) -> int:
    """The HTTP status of the hub's answer, perhaps from the cause of a cache error; 0 if it did not answer."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None:
            return int(response.status_code)
        error = error.__cause__
    return 0
