"""What a notebook shows, in a real kernel."""

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from tests.commands.test_run import CONFIG
from tests.conftest import ROOT
from tests.percept.marks import marked
from tests.pipeline.runs import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]
SAMPLE = ROOT / "engines" / "bundled" / "sample.mp4"
Hook = Callable[[dict[str, Any]], None]


class Kernel:
    """A kernel that runs cells, and what they put out."""

    def __init__(self, folder: Path) -> None:
        self.mark = secrets.token_hex(8)
        places = {name: str(folder / name) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR")}
        environment = os.environ | places | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "", "NOTEBOOK": self.mark}
        self.manager = KernelManager(kernel_name="python3", connection_file=str(folder / "kernel.json"))
        self.manager.start_kernel(cwd=str(folder), env=environment, stderr=subprocess.DEVNULL)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code: str, on_message: Hook = lambda message: None) -> list[tuple[str, dict[str, Any]]]:
        """The type and content of each message that the cell puts out."""
        found = []

        def hook(message: dict[str, Any]) -> None:
            found.append((message["msg_type"], message["content"]))
            on_message(message)

        self.client.execute_interactive(code, output_hook=hook, timeout=150)
        return found

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    kernel = Kernel(tmp_path_factory.mktemp("kernel"))
    yield kernel
    kernel.close()


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "fake.toml"
    path.write_text(CONFIG)
    return str(path)


def of_type(messages: list[tuple[str, dict[str, Any]]], *kinds: str) -> list[dict[str, Any]]:
    return [content for kind, content in messages if kind in kinds]


def test_a_loop_shows_its_progress_in_one_place_and_the_record_its_picture(kernel: Kernel) -> None:
    messages = kernel.run(
        f"import percept\nfor result in percept.run({str(SAMPLE)!r}, ['sheep', 'dog'], end=4): pass\nresult"
    )
    assert [kind for kind, _ in messages if kind in ("stream", "error")] == []
    (first,) = of_type(messages, "display_data")
    updates = of_type(messages, "update_display_data")
    assert {each["transient"]["display_id"] for each in (first, *updates)} == {first["transient"]["display_id"]}
    texts = [each["data"]["text/plain"] for each in (first, *updates)]
    assert texts[0].startswith("starting, ")
    assert texts[-1].startswith("finished: 2 clips, 0:04 of media in 0:")
    assert 'aria-valuenow="100"' in updates[-1]["data"]["text/html"]
    (shown,) = of_type(messages, "execute_result")
    assert shown["data"]["text/plain"].startswith("ClipRecord(sample.mp4 0:02–0:04: dog ")
    for part in ("data:image/jpeg;base64,", "picture", "sound", "sample.mp4", "0:02–0:04"):
        assert part in shown["data"]["text/html"]


def test_progress_tells_the_source_its_position_and_its_rate(kernel: Kernel, config: str) -> None:
    code = f"""import time, percept
results = []
for result in percept.run('fake:clips=60', config={config!r}):
    results.append(result)
    time.sleep(0.03)  # longer in all than the display waits between two updates
results[:2]"""
    messages = kernel.run(code)
    updates = [each["data"]["text/plain"] for each in of_type(messages, "update_display_data")]
    assert any(text.startswith("fake:clips=60 · 0:") and "× real time" in text for text in updates)
    (shown,) = of_type(messages, "execute_result")
    assert shown["data"]["text/plain"].splitlines()[1].startswith(" ClipRecord(fake:clips=60 0:02–0:04: mean 1 90 %")
    silent = kernel.run(f"for result in percept.run('fake:clips=2', config={config!r}, progress=False): pass")
    assert of_type(silent, "display_data", "stream") == []


def test_an_interrupted_cell_leaves_no_process(kernel: Kernel, config: str) -> None:
    before = set(marked(kernel.mark))

    def interrupt(message: dict[str, Any]) -> None:
        if message["content"].get("text", "").startswith("0\n"):
            assert set(marked(kernel.mark)) > before
            kernel.manager.interrupt_kernel()

    code = f"import percept\nfor result in percept.run('fake:clips=100000', config={config!r}): print(result.clip)"
    messages = kernel.run(code, interrupt)
    (error,) = of_type(messages, "error")
    assert error["ename"] == "KeyboardInterrupt"
    assert of_type(messages, "update_display_data")[-1]["data"]["text/plain"].startswith("stopped: ")
    wait_for(lambda: set(marked(kernel.mark)) <= before, timeout_s=20, what="the end of every process")
