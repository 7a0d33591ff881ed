"""Whether networks would run on a GPU here, found out without touching it: no process may do so before it forks."""

from importlib.util import find_spec
from pathlib import Path

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def gpu_here() -> bool:
    """A driver is loaded, and torch is built for it."""
    if not NVIDIA_DRIVER.exists():
        return False
    torch = find_spec("torch")
    places = torch.submodule_search_locations if torch else None
    return any(any(Path(place, "lib").glob("libtorch_cuda*")) for place in places or ())
