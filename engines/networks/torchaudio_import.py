"""The one way to import torchaudio (and, after it, transformers) in this project."""

import sys
import types
from types import ModuleType
from typing import Any


def import_torchaudio() -> ModuleType:
    """Import torchaudio, with a stub for its C++ extension if the real one cannot be loaded.

    torchaudio's wheels link CUDA; with a CPU build of torch the extension raises `OSError`, although the transforms are
    pure torch. transformers imports torchaudio if it is installed and would fail too, so call this before importing
    transformers.
    """
    try:
        import torchaudio
    except OSError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        stub: Any = types.ModuleType("torchaudio._extension")
        stub._IS_TORCHAUDIO_EXT_AVAILABLE = stub._IS_ALIGN_AVAILABLE = False
        stub._check_cuda_version = lambda: None
        stub.fail_if_no_align = lambda function: function
        sys.modules["torchaudio._extension"] = stub
        import torchaudio
    module: ModuleType = torchaudio
    return module
