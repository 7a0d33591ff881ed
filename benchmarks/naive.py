"""How fast is it compared with a typical hand-written script?

    python -m benchmarks.naive NAIVE_SCRIPT [--pairs 5] [--seconds 40] [--mini-seconds 240]

NAIVE_SCRIPT is a single-process script (PyAV, Farneback flow, torchaudio, transformers' CLIP in torch fp32) that prints
"N clips, S s, R clips/s" without its loading time. Ours runs the same CLIP ViT-B/32 (same random weights) on the same
17 pictures per clip (8 frames, 8 flow pictures, 1 spectrogram picture) with ONNX Runtime fp32, OpenVINO bf16 and
OpenVINO int8, quantised on the same video beforehand. bf16 needs a CPU that has it. The last figure is the speed of
percept-mini at default settings, as a multiple of real time.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks import media, report
from tests.tiny_models import make_tiny_clip

MODEL = """name = "clip-three-ways"
background = ""
[texts.clip]
network = "clip_text"
dim = 512
max_tokens = 77
[image]
{tower}
[motion]
{tower}input = "flow_picture"
[audio]
{tower}input = "log_mel_picture"
pictures_per_clip = 1
[audio.mel]
n_fft = 400
patch_bins = 200
patch_hop_bins = 200
f_min_hz = 0.0
f_max_hz = 8000.0
style = "power"
"""
INT8 = ("openvino", "int8")
ENGINES = (("onnxruntime", "fp32"), ("openvino", "bf16"), INT8)
TOWER = """network = "clip_vision"
space = "clip"
mean = [0.481, 0.458, 0.408]
std = [0.269, 0.261, 0.276]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("naive_script")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--mini-seconds", type=float, default=240.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hd = media.scaled(folder / "720p.mp4")
        video = media.looped(folder / "short.mp4", options.seconds, hd)
        model = make_model(folder)
        figures = against_script(options.naive_script, str(video), str(model), options.pairs)
        figures |= mini(str(media.looped(folder / "long.mp4", options.mini_seconds, hd)), options.pairs)
    report.write("naive", figures)


def make_model(folder: Path, patch_px: int = 32) -> Path:
    """A CLIP ViT-B with random weights in transformers format, with a model.toml for three towers of one network.

    With patches of 32 pixels it is the network of the naive script.
    """
    from engines.networks.torchaudio_import import import_torchaudio

    import_torchaudio()
    import torch
    from transformers import CLIPConfig, CLIPModel

    model = make_tiny_clip(folder / f"clip-b{patch_px}")
    torch.manual_seed(0)
    vision = {"patch_size": patch_px, "hidden_size": 768, "intermediate_size": 3072}
    vision |= {"num_hidden_layers": 12, "num_attention_heads": 12}
    CLIPModel(CLIPConfig(vision_config=vision)).eval().save_pretrained(model)
    (model / "model.toml").write_text(MODEL.format(tower=TOWER))
    return model


def quantized(model: str, video: str) -> bool:
    """Build an int8 engine of the model; returns whether it could be built and passed its gate."""
    command = [sys.executable, "-m", "commands.main", "engine", "quantize", model, video]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr[-2000:] * bool(done.returncode), file=sys.stderr)
    return done.returncode == 0


def against_script(script: str, video: str, model: str, count: int) -> dict[str, object]:
    words = ", ".join(f"word {number}" for number in range(100))

    def ours(engine: str, precision: str) -> float:
        command = [sys.executable, "-m", "commands.main", "run", video, "--labels", words, "--model", model]
        command += ["--engine", engine, "--precision", precision, "--set", "detect.crops_per_clip=0"]
        return report.clips_per_s(report.execute([*command, "-o", "/dev/null"]).stderr)

    def naive() -> float:
        done = report.execute([sys.executable, script, video, model])
        return float(re.findall(r"([\d.]+) clips/s", done.stdout)[-1])

    engines = [engine for engine in ENGINES if engine != INT8 or quantized(model, video)]
    sides = {f"{engine} {precision}": partial(ours, engine, precision) for engine, precision in engines}
    for side in sides.values():
        side()  # builds engines that are not in the cache yet
    rates = report.rounds(count, {**sides, "naive": naive})
    figures: dict[str, object] = {"naive_clips_per_s": report.min_median_max(rates["naive"])}
    for name in sides:
        ratio = report.ratios(rates[name], rates["naive"])
        print(f"{name}: {statistics.median(rates[name]):.3f} clips/s, {ratio['median']:.2f}× the naive script")
        key = "" if name == "onnxruntime fp32" else name.replace(" ", "_") + "_"
        figures |= {f"{key}clips_per_s": report.min_median_max(rates[name]), f"{key}ratio": ratio}
    return figures


def mini(video: str, count: int) -> dict[str, object]:
    """percept-mini at default settings: seconds of video per second, without and with loading."""
    rates, wholes = [], []
    for _ in range(count):
        command = [sys.executable, "-m", "commands.main", "run", video, "-o", "/dev/null"]
        done = report.execute(command)
        rates.append(2.0 * report.clips_per_s(done.stderr))
        wholes.append(report.field(done.stderr, "media_s") / done.seconds)
    print(f"percept-mini: {statistics.median(rates):.1f}× real time, {statistics.median(wholes):.1f}× with loading")
    return {
        "mini_x_real_time": report.min_median_max(rates),
        "mini_x_real_time_with_loading": report.min_median_max(wholes),
    }


if __name__ == "__main__":
    main()
