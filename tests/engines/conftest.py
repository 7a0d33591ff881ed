"""Fixtures for the engine tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.cache.cache import Cache
from engines.models.network import NETWORKS
from pipeline.stage import RunSettings
from tests.engines.faulty import export_vit
from tests.engines.small import NETWORK, write_small
from tests.tiny_models import (
    make_tiny_align,
    make_tiny_clap,
    make_tiny_clip,
    make_tiny_laion,
    make_tiny_metaclip_2,
    make_tiny_owl,
    make_tiny_siglip,
)


@pytest.fixture(scope="session")
def cache_directory(tmp_path_factory: pytest.TempPathFactory, exports: Path) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    (cache / "exports").symlink_to(exports)
    return cache


@pytest.fixture
def run(cache_directory: Path) -> RunSettings:
    return RunSettings(cache_directory=str(cache_directory))


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_clip(tmp_path_factory.mktemp("models") / "tiny-clip")


@pytest.fixture(scope="session")
def tiny_siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_siglip(tmp_path_factory.mktemp("models") / "tiny-siglip")


@pytest.fixture(scope="session")
def tiny_clap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_clap(tmp_path_factory.mktemp("models") / "tiny-clap")


@pytest.fixture(scope="session")
def tiny_clap_fused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_clap(tmp_path_factory.mktemp("models") / "tiny-clap-fused", fused=True)


@pytest.fixture(scope="session")
def tiny_laion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_laion(tmp_path_factory.mktemp("models") / "tiny-laion")


@pytest.fixture(scope="session")
def tiny_metaclip_2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_metaclip_2(tmp_path_factory.mktemp("models") / "tiny-metaclip-2")


@pytest.fixture(scope="session")
def tiny_align(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_align(tmp_path_factory.mktemp("models") / "tiny-align")


@pytest.fixture(scope="session")
def tiny_owlvit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_owl(tmp_path_factory.mktemp("models") / "tiny-owlvit")


@pytest.fixture(scope="session")
def tiny_owlv2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_owl(tmp_path_factory.mktemp("models") / "tiny-owlv2", "owlv2")


@pytest.fixture(scope="session")
def vit(between_workers: Path) -> Path:
    """The ONNX file of the vision transformer in `tests.engines.faulty`."""

    def build(into: Path) -> None:
        export_vit(into)

    return Cache(between_workers, "vits").get("vit", {}, build) / "vit.onnx"


@pytest.fixture(scope="session", autouse=True)
def _small_is_known() -> Iterator[None]:
    NETWORKS["small"] = NETWORK
    yield
    del NETWORKS["small"]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model directory of the small network."""
    return write_small(tmp_path_factory.mktemp("models") / "small")
