"""What this installation is and can do, told by sections that need little of it."""

import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from commands.check.codecs import AUDIO, PICTURES, VIDEO, WRITTEN, hardware_decoders, usable
from commands.check.hardware import MEMORY_INFO, cores_text, cpu_flags, has_bf16, memory_bytes
from commands.check.packages import EXTRAS, NAME, broken, installed, missing_extras, size_bytes, with_dependencies
from commands.check.report import Section
from commands.columns import folder_bytes, size_text
from engines.devices.gpus import NVIDIA_DRIVER, gpu_probe, torch_has_cuda, why_no_gpu_here
from pipeline.machine import CPU_INFO, core_count, cpu_name

Rows = Iterator[tuple[str, ...]]
CPU_TORCH = "pip install --force-reinstall torch torchaudio --index-url https://download.pytorch.org/whl/cpu"
OURS = ("commands", "configs", "engines", "pages", "pipeline", "stages", "training")
HERE = Path(__file__).resolve().parents[2]
"""The folder of our packages: percept/ if it is installed, the checkout otherwise."""
SHOWN = ("torch", "transformers", "onnxruntime", "openvino", "av", "opencv-python-headless", "numpy", "pyzmq")
"""The packages whose versions are asked for first when something is wrong."""


def sections() -> Iterator[Section]:
    """Each section that can be told; of one that cannot, what went wrong."""
    for title, rows in SECTIONS.items():
        yield told(title, rows)


def told(title: str, rows: Callable[[], Rows]) -> Section:
    """A section with the rows that can be told, and with the error that ended them."""
    known: list[tuple[str, ...]] = []
    try:
        known.extend(rows())
    except Exception as error:  # whatever is broken, the rest is what helps to repair it
        known.append(("the rest", f"unknown ({type(error).__name__}: {error})"))
    return Section(title, tuple(known))


def percept() -> Rows:
    own = installed(NAME)
    yield "version", own.version if own else f"unknown ({NAME} is not installed)"
    yield "python", f"{platform.python_version()}, {sys.executable}"
    yield "system", " ".join([platform.system(), platform.machine(), *platform.libc_ver()]).strip()
    yield "folder", str(HERE)
    yield "model", f"percept-mini, bundled, {size_text(folder_bytes(HERE / 'engines' / 'bundled'))}"
    if own:
        yield "size", size_of_installation()


def size_of_installation() -> str:
    """`33.5 MB; 1.5 GB with the 54 packages it needs (torch 721.5 MB, …)`"""
    sizes = {found.name: size_bytes(found) for found in with_dependencies()}
    sizes[NAME] = own = sum(folder_bytes(HERE / name) for name in OURS)
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    shares = ", ".join(f"{name} {size_text(sizes[name])}" for name in largest)
    return f"{size_text(own)}; {size_text(sum(sizes.values()))} with the {len(sizes) - 1} packages it needs ({shares})"


def missing() -> Rows:
    for each in broken():
        yield each.name, each.command, f"needed: {each.fault}"
    for extra in missing_extras():
        if NVIDIA_DRIVER.exists() or not extra.startswith("tensorrt"):
            yield extra, f"pip install '{NAME}[{extra}]'", f"optional: {EXTRAS[extra]}"


def machine() -> Rows:
    info = CPU_INFO.read_text(errors="replace")
    flags = cpu_flags(info)
    bf16 = "bf16" if has_bf16(flags) else "no bf16"
    yield "cpu", f"{cpu_name(info)}, {cores_text(core_count())}, {bf16} ({' '.join(flags)})"
    total, free = memory_bytes(MEMORY_INFO.read_text(errors="replace"))
    yield "memory", f"{size_text(total)}, {size_text(free)} available"
    gpus = gpu_probe()
    for number, gpu in enumerate(gpus):
        capability = ".".join(map(str, gpu.capability))
        yield f"cuda:{number}", f"{gpu.name}, {size_text(gpu.memory_bytes)}, capability {capability}, CUDA {gpu.driver}"
    if why := why_no_gpu_here("cuda"):
        yield "gpu", ("not used: " if gpus else "none: ") + why.partition(": ")[2].partition(". ")[0]


def versions() -> Rows:
    for name in SHOWN:
        found = installed(name)
        yield name, found.version if found else "not installed"
    if torch_has_cuda() and not NVIDIA_DRIVER.exists():
        yield "note", f"torch has gigabytes for NVIDIA GPUs, and there is none. Smaller: {CPU_TORCH}"


def media() -> Rows:
    import av

    from stages.decode.nvdec import why_none

    yield "ffmpeg", f"{av.ffmpeg_version_info}, inside av {av.__version__}"
    for what, names in (("video", VIDEO), ("audio", AUDIO), ("pictures", PICTURES)):
        found = usable(names)
        lacking = [name for name in names if name not in found]
        yield what, " ".join(found) + (f"; not {' '.join(lacking)}" if lacking else "")
    written = usable(WRITTEN, "w")
    yield (
        "labelled video",
        " ".join(written) if len(written) == len(WRITTEN) else "cannot be written: no libx264",
    )
    why = why_none("cuda")
    use = f"not used: {why}" if why else "NVDEC with --set decode.device=auto"
    yield "hardware", f"{' '.join(hardware_decoders()) or 'none'} in this build; {use}"


SECTIONS: dict[str, Callable[[], Rows]] = {
    "percept": percept,
    "missing": missing,
    "machine": machine,
    "packages": versions,
    "media": media,
}
"""By title, in the order in which a person needs them."""
