"""docs/cookbook.md and docs/index.md: commands are run on small media and print what the pages say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest

from manual.pages import is_same
from tests.conftest import ROOT
from tests.media import make_video

SAMPLE = ROOT / "engines" / "bundled" / "sample.mp4"
PAGE = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")
RECIPES = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
BLOCKS = re.compile(r"```bash\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)
ROUNDING = 0.02
"""How far printed numbers may differ: networks round differently on other processors."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the recipes name, and the command `percept`."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(SAMPLE, folder / "yard.mp4")
    (folder / "videos").mkdir()
    for name in ("morning.mp4", "afternoon.mp4"):
        shutil.copy(SAMPLE, folder / "videos" / name)
    (folder / "words.txt").write_text("dog\nrain\n")
    write_sound(SAMPLE, folder / "night.wav")
    make_video(folder / "lecture.mp4", seconds=725, fps=1, size=(64, 48))
    for name, arguments in {"percept": "-P -m commands.main", "python3": ""}.items():
        command = folder / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        command.chmod(0o755)
    return folder


def write_sound(source: Path, target: Path) -> None:
    """The sound of a video as a WAV file."""
    with av.open(str(source)) as film, av.open(str(target), "w") as wav:
        sound = wav.add_stream("pcm_s16le", rate=film.streams.audio[0].rate, layout="mono")
        resampler = av.AudioResampler(format="s16", layout="mono", rate=sound.rate)
        for frame in film.decode(audio=0):
            for part in resampler.resample(frame):
                wav.mux(sound.encode(part))
        wav.mux(sound.encode(None))


def shell(script: str, folder: Path) -> str:
    """What a script prints on stdout; it must succeed."""
    environment = os.environ | {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=170
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_thirteen_recipes() -> None:
    assert len(RECIPES) == 13
    assert all(BLOCKS.search(text) for text in RECIPES.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_prints_what_the_page_says(name: str, project: Path) -> None:
    blocks = BLOCKS.findall(RECIPES[name])
    for script, printed in blocks:
        out = "\n".join(line.rstrip() for line in shell(script, project).splitlines())
        assert is_same(out.strip(), printed.strip(), ROUNDING), out


@pytest.mark.slow
def test_the_first_steps_and_the_readme_show_what_a_terminal_shows(project: Path) -> None:
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"<!-- terminal: begin -->\n\n```text\n(.*?)```", text, re.DOTALL)
    assert shown in (ROOT / "README.md").read_text(encoding="utf-8")
    words = ROOT / "engines" / "bundled" / "sample.labels.txt"
    assert is_same(
        shell(f"percept run yard.mp4 --labels @{words} --format table", project).strip(), shown.strip(), 0.03
    )
