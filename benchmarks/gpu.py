"""What does a GPU bring? The share of the encoder's speed that the whole pipeline keeps, speed by batch, build time,
and the time that a live clip waits for its labels.

    python -m benchmarks.gpu [--device cuda] [--model l14] [--parts fraction,sweep,build,latency] [--output FILE]
    python -m benchmarks.gpu --quick [--budget 240]      what matters most, in four minutes: benchmarks/gpu_quick.py

`--device cpu --model tiny` tests the script itself; results are written only from a GPU, or with --output.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import media, paced, report
from engines.backends.table import BACKENDS, Settings, backend
from engines.building.building import GPU_BATCH, open_network
from engines.engine import Engine
from pipeline.config import BUNDLED
from pipeline.errors import ModelError
from stages.decode.nvdec import why_none
from tests.tiny_models import make_tiny_clip

VISION = {
    "tiny": (32, 32, 8, 2, 2),
    "b32": (224, 768, 32, 12, 12),
    "b16": (224, 768, 16, 12, 12),
    "l14": (224, 1024, 14, 24, 16),
}
"""Picture size, width, patch, layers, heads. Weights are random, because speed does not depend on them."""
MODEL = """name = "clip-{kind}"
background = ""
[texts.clip]
network = "clip_text"
dim = {dim}
max_tokens = 77
[image]
{tower}
[motion]
{tower}input = "flow_picture"
[audio]
{tower}input = "log_mel_picture"
[audio.mel]
patch_bins = 200
patch_hop_bins = 200
"""
TOWER = 'network = "clip_vision"\nspace = "clip"\nsize_px = {size}\n'
MOST_CLIPS_PER_S = 200
"""Limit of the clips prepared per second of measurement; a tiny network would need thousands."""
PICTURES = 8
"""Pictures per clip of a tower that uses frames."""
CONFIG = """
modalities = {modalities}
[decode]
factory = "benchmarks.paced:{reader}"
device = "{decode}"
workers = {sources}
[model]
path = "{model}"
device = "{device}"
engine = "{engine}"
precision = "{precision}"
cache_directory = "{cache}"
[labels]
words = "dog barking, rain, people talking"
[queue]
credit = 16
[stages.stamp]
class = "benchmarks.paced:Stamp"
path = "{stamps}"
"""
NEEDS_MORE_THAN_PICTURES = {"flow", "spectrogram", "detect", "track"}


def main() -> None:
    options = make_parser().parse_args()
    if options.quick or options.step:
        from benchmarks import gpu_quick

        gpu_quick.run(options)
        return
    bench = Bench(options)
    figures: dict[str, Any] = {"device": device_name(options.device), "model": options.model}
    with tempfile.TemporaryDirectory() as folder:
        bench.prepare(Path(folder))
        for part in options.parts.split(","):
            figures[part] = getattr(bench, part)()
    keep(figures, options)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", choices=VISION, default="l14", help="with --quick: b16, unless given")
    parser.add_argument("--engine", default="torch", help="engine of the runs; the sweep uses all that are installed")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--parts", default="sweep,build,fraction,latency")
    parser.add_argument("--sources", default="1,8,32", help="numbers of simultaneous paced sources")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each measurement")
    parser.add_argument("--output", type=Path)
    quick = parser.add_argument_group("quick")
    quick.add_argument("--quick", action="store_true")
    quick.add_argument("--budget", type=float, default=240.0, help="seconds for everything")
    quick.add_argument("--file-seconds", type=float, default=60.0, help="length of the files")
    quick.add_argument("--shrink", type=int, default=1, help="tests the script with smaller pictures")
    quick.add_argument("--steps", default="", help="some of them, such as media,files_720")
    quick.add_argument("--folder", type=Path, help="where media, model and engines stay for the next time")
    quick.add_argument("--step", help=argparse.SUPPRESS)
    return parser


def made_once(path: Path, make: Callable[[Path], Any]) -> Path:
    """Make a file or folder, unless it is there. What is made halfway has another name."""
    if not path.exists():
        part = path.with_name(f"part-{path.name}")
        make(part)
        part.rename(path)
    return path


def keep(figures: dict[str, Any], options: argparse.Namespace) -> None:
    """Write the figures, or print those of a test of the script."""
    if options.output:
        options.output.write_text(json.dumps({"machine": report.machine(), **figures}, indent=1) + "\n")
    elif options.device != "cpu":
        report.write("gpu", figures)
    else:
        print(json.dumps(figures, indent=1))


def device_name(device: str) -> str:
    if device == "cpu":
        return "cpu"
    import torch

    return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"


def make_model(folder: Path, kind: str) -> Path:
    from engines.networks.torchaudio_import import import_torchaudio

    import_torchaudio()
    import torch
    from transformers import CLIPConfig, CLIPModel

    size, width, patch, layers, heads = VISION[kind]
    make_tiny_clip(folder, size, patch)
    if kind != "tiny":
        torch.manual_seed(0)
        vision = {"image_size": size, "patch_size": patch, "hidden_size": width, "intermediate_size": 4 * width}
        vision |= {"num_hidden_layers": layers, "num_attention_heads": heads}
        CLIPModel(CLIPConfig(vision_config=vision)).eval().save_pretrained(folder)
    dim = 16 if kind == "tiny" else 512
    (folder / "model.toml").write_text(MODEL.format(kind=kind, dim=dim, tower=TOWER.format(size=size)))
    return folder


class Bench:
    """One method per part; each returns the figures it prints."""

    folder: Path
    model: Path
    video: Path
    shrink: int

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def prepare(self, folder: Path) -> None:
        """Make the model and the video that all parts use, unless they are there."""
        self.folder, self.model, self.video = folder, folder / "model", folder / "720p.mp4"
        self.shrink = self.options.shrink
        made_once(self.model, lambda path: make_model(path, self.options.model))
        made_once(self.video, lambda path: media.scaled(path, 1280 // self.shrink, 720 // self.shrink))

    # -- engines alone --------------------------------------------------------------------------------------------

    def sweep(self) -> dict[str, Any]:
        """Pictures per second by batch size, of every available backend and precision; from host memory, and on a GPU
        also from device memory."""
        found: dict[str, Any] = {}
        for name in BACKENDS:
            chosen = backend(name)
            if why := chosen.missing(self.options.device):
                print(f"{name}: {why}")
                continue
            for precision in (*chosen.precisions(self.options.device), *chosen.other_precisions(self.options.device)):
                try:
                    engine = self._engine(name, precision, self.folder / "cache")
                except ModelError as error:
                    print(f"{name}-{precision}: {error}")
                    continue
                found[engine.name] = {str(batch): self._rates(engine, batch) for batch in (1, 2, 4, 8, 16, 32, 64)}
                print(engine.name, {batch: round(rates["host"], 1) for batch, rates in found[engine.name].items()})
                engine.close()
        return found

    def build(self) -> dict[str, Any]:
        """Seconds until the engine of the runs is open, first with an empty cache, then with the filled one."""
        seconds = []
        for _ in range(2):
            began = time.monotonic()
            engine = self._engine(self.options.engine, self.options.precision, self.folder / "build")
            seconds.append(time.monotonic() - began)
            engine.close()
        print(f"{engine.name}: built and open in {seconds[0]:.1f} s, from the cache in {seconds[1]:.1f} s")
        return {"engine": engine.name, "cold_s": seconds[0], "cached_s": seconds[1]}

    def _engine(self, name: str, precision: str, cache: Path) -> Engine:
        settings = Settings(name, precision, self.options.device, 1, str(cache))
        return open_network("clip_vision", str(self.model), settings, build=True)

    def _rates(self, engine: Engine, batch: int) -> dict[str, float]:
        import torch

        feed = torch.randn(batch, *map(int, engine.inputs[0].dims.split()[1:]))
        rates = {"host": rate(engine, feed.numpy(), self.options.seconds / 20)}
        if engine.device != "cpu":
            rates["device"] = rate(engine, feed.to(engine.device), self.options.seconds / 20)
        return rates

    # -- the whole pipeline ---------------------------------------------------------------------------------------

    def fraction(self) -> dict[str, Any]:
        """Clips per second of the pipeline (pictures only, from sources without decoding cost) against the limit of the
        engine alone; with one process for the networks, and with two."""
        alone = self.encoder()
        return {"encoder_clips_per_s": alone} | {f"workers_{workers}": self.kept(alone, workers) for workers in (1, 2)}

    def encoder(self) -> float:
        """Clips per second of the engine alone."""
        engine = self._engine(self.options.engine, self.options.precision, self.folder / "cache")
        alone = max(self._rates(engine, GPU_BATCH).values()) / PICTURES
        engine.close()
        return alone

    def kept(self, alone: float, workers: int) -> dict[str, float]:
        """What the pipeline keeps of that, with so many processes for the networks."""
        sources = 2 if self.options.device == "cpu" else 8
        clips = int(min(alone, MOST_CLIPS_PER_S) * self.options.seconds)
        folder = self._sources(f"repeated{workers}", sources)
        (folder / paced.CLIPS).write_text(str(max(8, clips // sources)))
        config = self._config(folder, "make_repeating_reader", ["image"], sources, workers)
        done = report.execute([*command(config), *videos(folder), "-o", "/dev/null"])
        whole = report.clips_per_s(done.stderr)
        print(f"engine alone {alone:.1f} clips/s, pipeline ({workers}) {whole:.1f}: {whole / alone:.2f}")
        batch = report.field(done.stderr, "mean_batch_model")
        return {"pipeline_clips_per_s": whole, "fraction": whole / alone, "mean_batch": batch}

    def latency(self) -> dict[str, Any]:
        """Time from the moment a live source has a complete clip to its labels, and to its line in the output.

        Lines are written source by source, so only those of the first source are written as soon as they are ready.
        """
        found = {}
        for sources in map(int, self.options.sources.split(",")):
            found[str(sources)] = figures = self.delay(sources)
            print(f"{sources} sources: {figures}")
        return found

    def delay(self, sources: int) -> dict[str, float]:
        folder = self._sources(f"paced{sources}", sources)
        config = self._config(folder, "make_paced_reader", ["image", "motion", "audio"], sources)
        lines: list[tuple[float, int]] = []
        with subprocess.Popen(
            [*command(config), *videos(folder), "-o", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            errors: list[bytes] = []
            threads = [
                threading.Thread(target=paced.note_lines, args=(process.stdout, videos(folder)[0], lines)),
                threading.Thread(target=lambda: errors.append(process.stderr.read() if process.stderr else b"")),
            ]
            for thread in threads:
                thread.start()
            while process.poll() is None and len({row[0] for row in paced.stamps(folder)}) < sources:
                time.sleep(0.05)
            go_ns = time.monotonic_ns() + 1_000_000_000
            (folder / "go.new").write_text(str(go_ns))
            (folder / "go.new").rename(folder / paced.GO)
            for thread in threads:
                thread.join()
        if process.returncode:
            raise SystemExit(errors[0].decode()[-3000:])
        return paced.latencies(paced.stamps(folder), lines, go_ns)

    def _sources(self, name: str, count: int) -> Path:
        """A folder of identical videos, as long as a measurement."""
        folder, video = self.folder / name, self.folder / f"long{self.options.seconds:g}.mp4"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        made_once(video, lambda path: media.looped(path, self.options.seconds, self.video))
        for number in range(count):
            shutil.copy(video, folder / f"{number:03}.mp4")
        return folder

    def _config(self, folder: Path, reader: str, modalities: list[str], sources: int, workers: int = 1) -> Path:
        path = folder / "config.toml"
        text = CONFIG.format(
            reader=reader,
            decode=decoder(self.options.device),
            modalities=modalities,
            sources=sources,
            model=self.model,
            device=self.options.device,
            engine=self.options.engine,
            precision=self.options.precision,
            cache=self.folder / "cache",
            stamps=folder / paced.STAMPS,
        )
        path.write_text(text + groups(workers, set() if "motion" in modalities else NEEDS_MORE_THAN_PICTURES))
        return path


def decoder(device: str) -> str:
    """What decodes pictures of a run whose networks run on a device."""
    return device if device != "cpu" and not why_none(device) else "cpu"


def groups(workers: int, without: set[str]) -> str:
    """The groups of `configs/gpu.toml` with `workers` processes for the networks, and `stamp` as the last stage."""
    given = tomllib.loads((BUNDLED / "gpu.toml").read_text())["groups"]
    given[-1]["stages"].append("stamp")
    text = ""
    for group in given:
        stages = [name for name in group["stages"] if name not in without]
        own = {"workers": workers} if "encode" in stages else {}
        text += "[[groups]]\n" + "".join(
            f"{key} = {value!r}\n" for key, value in (group | own | {"stages": stages}).items()
        )
    return text


def rate(engine: Engine, feed: Any, seconds: float) -> float:
    """Pictures per second: the median of five measurements."""
    feeds, rates = {engine.inputs[0].name: feed}, []
    engine.run(feeds)
    for _ in range(5):
        began, runs = time.monotonic(), 0
        while runs == 0 or time.monotonic() - began < seconds / 5:
            engine.run(feeds)
            runs += 1
        rates.append(runs * len(feed) / (time.monotonic() - began))
    return statistics.median(rates)


def command(config: Path) -> list[str]:
    return [sys.executable, "-m", "commands.main", "run", "-c", str(config)]


def videos(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.glob("*.mp4"))]


if __name__ == "__main__":
    main()
