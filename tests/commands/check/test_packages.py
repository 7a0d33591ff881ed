"""Which packages are needed, present and missing: a site-packages folder that the test writes."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import packaging.requirements  # noqa: F401  (before the fixture hides it)
import pytest

from commands.check import packages
from commands.check.packages import EXTRAS, broken, missing_extras, size_bytes, with_dependencies
from tests.conftest import ROOT

NEEDS = {
    ("percept-av", "0.1.0"): [
        "alpha<3,>=2",
        "beta>=1",
        "gamma[fast]",
        "delta; sys_platform == 'none'",
        "nncf>=3; extra == 'quantize'",
        "alpha>=2; extra == 'quantize'",
        "alpha>=2; extra == 'parquet'",
    ],
    ("alpha", "2.5"): ["epsilon"],
    ("gamma", "1"): ["zeta; extra == 'fast'", "eta; extra == 'slow'", "alpha"],
    ("epsilon", "7"): ["gamma"],
    ("zeta", "1"): [],
    ("eta", "1"): [],
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Installed packages, each with a file of 1000 bytes."""
    for (name, version), needs in NEEDS.items():
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        required = "".join(f"Requires-Dist: {need}\n" for need in needs)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}")
        (folder / "RECORD").write_text(f"{name}.py,,\ngone.py,,\n")
        (tmp_path / f"{name}.py").write_bytes(b"#" * 1000)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    packages.installed.cache_clear()
    yield tmp_path
    packages.installed.cache_clear()


def test_a_needed_package_that_is_missing_has_its_command(site: Path) -> None:
    assert [(each.name, each.fault, each.command) for each in broken()] == [
        ("beta", "not installed", "pip install 'beta>=1'")
    ]


def test_a_needed_package_of_another_version_is_broken(site: Path) -> None:
    metadata = site / "alpha-2.5.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 2.5", "Version: 3.1"))
    assert next((each.name, each.fault) for each in broken()) == ("alpha", "3.1; expected <3,>=2")


def test_an_extra_is_missing_if_one_of_its_packages_is(site: Path) -> None:
    assert missing_extras() == ["quantize"]


def test_the_size_counts_every_needed_package_once(site: Path) -> None:
    found = {each.name: size_bytes(each) for each in with_dependencies()}
    assert found == dict.fromkeys(["percept-av", "alpha", "gamma", "epsilon", "zeta"], 1000)


def test_every_extra_is_described_except_those_for_developers() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"]) - {"dev", "docs"}
