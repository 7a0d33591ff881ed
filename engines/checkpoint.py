"""Models on disk: find one, read what it is, open its towers, turn words into vectors."""

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from engines.cache import NetworkCache, key_of
from engines.engine import Engine, Port
from engines.model import ModelSpec, TextSpec, TowerSpec
from engines.network import Network, network
from engines.networks.transformers_format import read_spec
from pipeline.arrays import Array
from pipeline.errors import ModelError

log = logging.getLogger("percept.engines")

BUNDLED = Path(__file__).resolve().parent / "bundled"
MODEL_FILE = "model.toml"
BACKENDS = ("onnxruntime", "torch")
"""The order in which "auto" tries them."""
TEXT_BATCH = 64

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", MODEL_FILE]


class EngineSettings(Protocol):
    """What of a run's settings concerns engines; `RunSettings` has it all."""

    @property
    def engine(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def cache_directory(self) -> str: ...


# Finding and reading


def find_model(name: str) -> Path:
    """The directory of a model: bundled, a path, or a hub id.

    Raises:
        ModelError: there is none, or the hub's copy is not here and cannot be fetched.
    """
    if (BUNDLED / name / MODEL_FILE).is_file() and "/" not in name:
        return BUNDLED / name
    path = Path(name).expanduser()
    if path.is_dir():
        return path.resolve()
    if path.exists():
        raise ModelError(f"--model {name}: is a file; expected the directory that holds it")
    if not _HUB_ID.fullmatch(name):
        bundled = ", ".join(sorted(entry.name for entry in BUNDLED.iterdir() if (entry / MODEL_FILE).is_file()))
        raise ModelError(f"--model {name}: no such directory; expected a directory, a hub id, or one of: {bundled}")
    return _from_hub(name)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        found = Path(snapshot_download(name, allow_patterns=_HUB_FILES, local_files_only=True))
        if (found / MODEL_FILE).is_file() or any(found.glob("*.safetensors")):
            return found
    except Exception as error:  # the hub has a dozen ways to say that it is not in the cache
        log.info("%s is not in the local cache (%s); asking the hub", name, type(error).__name__)
    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except Exception as error:
        raise ModelError(
            f"--model {name}: not in the local cache and the hub cannot be reached ({type(error).__name__}). Download "
            "it once on a connected machine, or give a directory: --model path/to/model"
        ) from error


def read_model(name: str, audio_model: str = "") -> ModelSpec:
    """What the model is, every directory absolute. Cheap: neither torch nor transformers is imported.

    `audio_model` names a second model whose audio tower is used in place of the first one's.

    Raises:
        ModelError: it cannot be found or read, or the second has no audio tower.
    """
    spec = _read_directory(find_model(name), name)
    if not audio_model:
        return spec
    second = _read_directory(find_model(audio_model), audio_model)
    if second.audio is None:
        raise ModelError(f"--audio-model {audio_model}: has no audio tower; expected a model that has one")
    space = f"{second.audio.space}, {second.id}"
    audio = msgspec.structs.replace(second.audio, space=space)
    texts = {**spec.texts, space: second.texts[second.audio.space]}
    return msgspec.structs.replace(spec, name=f"{spec.name}+{second.name}", audio=audio, texts=texts)


def _read_directory(directory: Path, name: str) -> ModelSpec:
    path = directory / MODEL_FILE
    if not path.is_file():
        spec = read_spec(directory)
        return msgspec.structs.replace(spec, name=name) if _HUB_ID.fullmatch(name) and not Path(name).is_dir() else spec
    try:
        spec = msgspec.toml.decode(path.read_bytes(), type=ModelSpec)
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(f"{path}: {error}") from error
    spec = _absolute(spec, directory)
    for modality, tower in spec.towers().items():
        network(tower.network)
        if tower.space not in spec.texts:
            raise ModelError(
                f"{path}: {modality} reads text space {tower.space!r}; expected one of {sorted(spec.texts)}"
            )
    return spec


def _absolute(spec: ModelSpec, directory: Path) -> ModelSpec:
    """The same model with its parts' directories as absolute paths."""

    def place(part: Any) -> Any:
        return part and msgspec.structs.replace(part, directory=str((directory / part.directory).resolve()))

    return msgspec.structs.replace(
        spec,
        directory=str(directory),
        texts={space: place(text) for space, text in spec.texts.items()},
        image=place(spec.image),
        motion=place(spec.motion),
        audio=place(spec.audio),
    )


# Opening towers


def tower_key(spec: ModelSpec, modality: str) -> tuple[str, str, str]:
    """What names the tower's engine among a worker's resources; towers of the same network and files share one."""
    tower = _tower(spec, modality)
    first = next(
        name
        for name, other in spec.towers().items()
        if (other.network, other.directory) == (tower.network, tower.directory)
    )
    return "tower", spec.directory, first


def prepare_tower(spec: ModelSpec, modality: str, run: EngineSettings, report: Callable[[str], None]) -> None:
    """Build what `open_tower` will load, once per model and machine. Takes seconds the first time.

    Raises:
        ModelError: it cannot be built; with engine "auto" only if torch, which needs no building, is no way out.
    """
    tower = _tower(spec, modality)
    if "onnxruntime" not in _backends(run):
        return
    try:
        _exported(
            tower.network, tower.directory, run, lambda: report(f"building the {modality} engine, once per model")
        )
    except Exception as error:
        if run.engine != "auto":
            raise
        log.warning("%s engine: onnxruntime cannot be used (%s); torch is taken", modality, error)


def open_tower(spec: ModelSpec, modality: str, run: EngineSettings, build: bool = False) -> Engine:
    """The tower's engine, open: pictures "B 3 S S" or log-mel patches "B bins bands" in, "tokens" "B D" out.

    build: export it now if it was never prepared; otherwise that is an error, because it takes seconds and memory.

    Raises:
        ModelError: no backend can run it.
    """
    tower = _tower(spec, modality)
    return _open(tower.network, tower.directory, run, _backends(run), build)


def _open(key: str, directory: str, run: EngineSettings, backends: Sequence[str], build: bool) -> Engine:
    for last, backend in zip([*[False] * (len(backends) - 1), True], backends, strict=True):
        try:
            engine = _make(backend, key, directory, run, build)
            engine.open()
            return engine
        except (ModelError, ImportError, FileNotFoundError, ValueError) as error:
            if last:
                raise error if isinstance(error, ModelError) else ModelError(f"{key}: {error}") from error
            log.warning("%s: %s cannot be used (%s); %s is tried", key, backend, error, backends[-1])
    raise AssertionError("there is always a last backend")


def _make(backend: str, key: str, directory: str, run: EngineSettings, build: bool) -> Engine:
    loader, folder = network(key), Path(directory)
    inputs, outputs = loader.ports(folder)
    if backend == "torch":
        from engines.on_torch import TorchEngine

        device = "cpu" if run.device == "auto" else run.device
        return TorchEngine(_Load(loader, folder), inputs, outputs, device, run.threads)
    from engines.on_onnxruntime import OnnxRuntimeEngine

    path = _exported(key, directory, run, lambda: None) if build else _already_exported(key, directory, run)
    return OnnxRuntimeEngine(path / "network.onnx", inputs, outputs, run.threads, loader.micro_batch)


class _Load:
    """Loads a network's module when called; picklable, as engines are before they are open."""

    def __init__(self, loader: Network, directory: Path) -> None:
        self.loader = loader
        self.directory = directory

    def __call__(self) -> Any:
        return self.loader.load(self.directory)


def _backends(run: EngineSettings) -> tuple[str, ...]:
    if run.engine not in ("auto", *BACKENDS):
        raise ModelError(f"--engine {run.engine}: not known; expected auto, {', '.join(BACKENDS)}")
    on_gpu = run.device not in ("auto", "cpu")
    if on_gpu and run.engine == "onnxruntime":
        raise ModelError(f"--device {run.device}: onnxruntime runs on the CPU here. Choose --engine torch")
    if run.engine == "auto":
        return ("torch",) if on_gpu else BACKENDS
    return (run.engine,)


def _facts(key: str, directory: str) -> dict[str, str]:
    """What an exported network depends on."""
    from importlib.metadata import version

    from engines.export import EXPORTER_VERSION, OPSET

    made_by = {"exporter": str(EXPORTER_VERSION), "opset": str(OPSET), "network": key}
    tools = {name: version(name) for name in ("torch", "onnxscript")}
    return {**made_by, **tools, **network(key).fingerprint(Path(directory))}


def _exported(key: str, directory: str, run: EngineSettings, on_build: Callable[[], None]) -> Path:
    facts, loader, folder = _facts(key, directory), network(key), Path(directory)

    def build(into: Path) -> None:
        from engines.export import export

        on_build()
        export(loader.load(folder), *loader.ports(folder), into / "network.onnx")

    return NetworkCache(run.cache_directory).get(key_of(facts), facts, build)


def _already_exported(key: str, directory: str, run: EngineSettings) -> Path:
    cache = NetworkCache(run.cache_directory)
    found = cache.find(key_of(_facts(key, directory)))
    if found is None:
        raise ModelError(f"{key}: not built yet in {cache.directory}. Run `percept check` once, which builds it")
    return found


def _tower(spec: ModelSpec, modality: str) -> TowerSpec:
    towers = spec.towers()
    if modality not in towers:
        raise ModelError(f"{spec.id} has no {modality} tower (it has: {', '.join(towers) or 'none'})")
    return towers[modality]


# Words


class TextTower:
    """A text tower with its tokenizer: prompts in, unit vectors out."""

    def __init__(self, text: TextSpec, run: EngineSettings) -> None:
        # With "auto", torch: vectors are computed once and kept; building an engine would cost more than it saves.
        backends = ("torch",) if run.engine == "auto" else _backends(run)
        self._text = text
        self._encode = _tokenizer(text)
        self._engine = _open(text.network, text.directory, run, backends, build=True)

    def vectors(self, prompts: Sequence[str], report: Callable[[int], None] = lambda done: None) -> Array:
        """float32 "N D", unit length, in the order given; `report` hears how many are done."""
        result = np.zeros((len(prompts), self._text.dim), np.float32)
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        for begin in range(0, len(order), TEXT_BATCH):
            chosen = order[begin : begin + TEXT_BATCH]
            feeds = self._encode([prompts[index] for index in chosen], self._engine.inputs)
            vectors = self._engine.run(feeds)["vectors"]
            result[chosen] = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
            report(begin + len(chosen))
        return result

    def close(self) -> None:
        self._engine.close()


def text_vectors(
    spec: ModelSpec,
    space: str,
    prompts: Sequence[str],
    run: EngineSettings,
    report: Callable[[int], None] = lambda done: None,
) -> Array:
    """Vectors of prompts in a text space of the model: float32 "N D", unit length, nothing taken off.

    Raises:
        ModelError: the text tower cannot be loaded.
    """
    tower = TextTower(spec.texts[space], run)
    try:
        return tower.vectors(prompts, report)
    finally:
        tower.close()


Encode = Callable[[list[str], tuple[Port, ...]], dict[str, Array]]


def _tokenizer(text: TextSpec) -> Encode:
    """Prompts to the feeds of the text tower."""
    directory = Path(text.directory)
    if text.network == "mini_text":
        from engines.networks.text import load_tokenizer, tokenize

        mini = load_tokenizer(directory / "tokenizer.json")
        return lambda prompts, ports: dict(zip([port.name for port in ports], tokenize(mini, prompts), strict=True))

    from engines.networks.transformers_towers import load_tokenizer as load

    try:
        theirs = load(directory)
    except Exception as error:  # transformers raises whatever its parts do
        raise ModelError(f"{directory}: no usable tokenizer ({error}); expected tokenizer.json beside it") from error
    padding = "max_length" if text.pad_to_max else True

    def encode(prompts: list[str], ports: tuple[Port, ...]) -> dict[str, Array]:
        batch = theirs(
            prompts,
            padding=padding,
            truncation=True,
            max_length=text.max_tokens,
            return_tensors="np",
            return_attention_mask=True,
        )
        columns = (batch["input_ids"], batch["attention_mask"])
        return {port.name: np.asarray(column, np.int64) for port, column in zip(ports, columns, strict=False)}

    return encode


def center_of(spec: ModelSpec, tower: TowerSpec) -> Array | None:
    """The vector taken off label vectors before they are compared with this tower: float32 "D", or None.

    Raises:
        ModelError: the file or the tensor is not there.
    """
    if not tower.center:
        return None
    from safetensors import SafetensorError, safe_open

    name, _, tensor = tower.center.partition(":")
    path = Path(tower.directory) / name
    try:
        with safe_open(path, framework="np") as file:
            return np.asarray(file.get_tensor(tensor), np.float32).reshape(-1)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: has no tensor {tensor!r} to center {spec.id} on: {error}") from error
