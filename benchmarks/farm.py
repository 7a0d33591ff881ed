"""A farm of RTSP cameras for benchmarks: `deploy/camera/rtsp_loop.py` with paced 25 pictures a second and sound.

A moving camera repeats 8 s of a clip. A still one shows a single picture of a clip with the noise of a sensor, and the
hum of a quiet room. Clips come from a folder, or are the bundled sample; they are prepared once, in a cache.
"""

import hashlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import av

from benchmarks.media import SAMPLE

SERVER = Path(__file__).resolve().parent.parent / "deploy" / "camera" / "rtsp_loop.py"
SYSTEM_PYTHON = "/usr/bin/python3"
SECONDS, RATE_HZ = 8, 25
DELIMITER = b"\0\0\0\1\x09"
"""Begins each access unit."""
SUFFIXES = {".mp4", ".mkv", ".mov", ".avi", ".webm"}
CACHE = Path(tempfile.gettempdir()) / f"percept-farm-{os.getuid()}"
ENCODE = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", str(2 * RATE_HZ), "-sc_threshold", "0",
          "-x264-params", "repeat-headers=1:aud=1", "-f", "h264")  # fmt: skip
ADTS = ("-ar", "16000", "-ac", "1", "-c:a", "aac", "-b:a", "48k", "-frames:a", "125", "-f", "adts")


def clips_in(folder: str) -> list[Path]:
    """The clips with sound of a folder, in the order of their names; the bundled sample without a folder."""
    if not folder:
        return [SAMPLE]
    found = [path for path in sorted(Path(folder).iterdir()) if path.suffix in SUFFIXES and _has_sound(path)]
    if not found:
        raise SystemExit(f"{folder}: no clip with sound and a suffix of {', '.join(sorted(SUFFIXES))}")
    return found


def _has_sound(path: Path) -> bool:
    with av.open(str(path), metadata_errors="ignore") as container:
        return bool(container.streams.video) and bool(container.streams.audio)


def prepare(clip: Path, still: bool, size: str = "1280x720", sound: bool = True) -> Path:
    """The folder of a camera that shows `clip`: exactly 8 s of H.264, and of AAC."""
    facts = f"2 {clip.resolve()} {clip.stat().st_size} {still} {size} {sound}"
    folder = CACHE / hashlib.sha256(facts.encode()).hexdigest()[:16]
    if folder.exists():
        return folder
    CACHE.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        _encode_pictures(clip, still, size, Path(name, "video.h264"))
        if sound:
            _encode_sound(clip, still, Path(name, "sound.aac"))
        made = Path(name)
        folder.mkdir()
        for file in made.iterdir():
            file.rename(folder / file.name)
    return folder


def joined(name: str, folders: Sequence[Path]) -> Path:
    """A camera that shows one recording after the other, with the sound of the first: its resolution changes."""
    folder = CACHE / name
    folder.mkdir(exist_ok=True)
    (folder / "video.h264").write_bytes(b"".join((part / "video.h264").read_bytes() for part in folders))
    (folder / "sound.aac").write_bytes((folders[0] / "sound.aac").read_bytes())
    return folder


def _ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True, stdin=subprocess.DEVNULL, timeout=300)


def _encode_pictures(clip: Path, still: bool, size: str, path: Path) -> None:
    width, height = size.split("x")
    fit = f"scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height},fps={RATE_HZ}"
    frames = ("-frames:v", str(2 * SECONDS * RATE_HZ))
    if still:
        fit = f"select=eq(n\\,0),loop=-1:1,setpts=N/{RATE_HZ}/TB,{fit},noise=alls=5:allf=t"
        _ffmpeg("-i", str(clip), "-an", "-vf", f"{fit},format=yuv420p", *frames, *ENCODE, str(path))
    else:
        given = ("-stream_loop", "-1", "-i", str(clip))
        _ffmpeg(*given, "-an", "-vf", f"{fit},format=yuv420p", *frames, *ENCODE, str(path))
    _keep_second_half(path)


def _keep_second_half(path: Path) -> None:
    """Take away the first seconds, in which an encoder still learns how many bits the scene needs."""
    units = path.read_bytes().split(DELIMITER)[1:]
    path.write_bytes(b"".join(DELIMITER + unit for unit in units[SECONDS * RATE_HZ :]))


def _encode_sound(clip: Path, still: bool, path: Path) -> None:
    if not still:
        done = subprocess.run(
            ["ffmpeg", "-v", "error", "-y", "-stream_loop", "-1", "-i", str(clip), "-vn", *ADTS, str(path)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=300,
        )
        if done.returncode == 0 and path.stat().st_size:
            return
    _ffmpeg("-f", "lavfi", "-i", "anoisesrc=color=brown:amplitude=0.02:sample_rate=16000:seed=1", *ADTS, str(path))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Farm:
    """The server with its cameras. A context manager.

    cameras: folders by name, see `prepare`.
    login: `user:password`; empty: none is asked for.
    """

    def __init__(self, cameras: dict[str, Path], options: Sequence[str] = (), login: str = "") -> None:
        self._cameras = dict(cameras)
        self._options = list(options)
        self._login = login
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Farm":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def url(self, name: str) -> str:
        return f"rtsp://127.0.0.1:{self.port}/{name}"

    def show(self, name: str, folder: Path) -> None:
        """What a camera shows from the next start on."""
        self._cameras[name] = folder

    def login(self, text: str) -> None:
        """The `user:password` that is asked for from the next start on."""
        self._login = text

    def start(self) -> None:
        """Returns once clients can connect."""
        command = [SYSTEM_PYTHON, str(SERVER), "--port", str(self.port), *self._options]
        if self._login:
            CACHE.mkdir(mode=0o700, exist_ok=True)
            file = CACHE / f"login-{self.port}"
            file.write_text(self._login)
            command += ["--login", str(file)]
        command += [f"{name}={folder}" for name, folder in self._cameras.items()]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        if not self.process.stdout.readline().startswith("ready"):
            raise SystemExit(f"the camera farm did not start: {' '.join(command)}")

    @property
    def pid(self) -> int:
        assert self.process is not None, "not started"
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP and SIGCONT: the farm stalls and goes on; SIGUSR1: its microphones."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Like cameras that lose their power. It can be started again on the same port."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=20)
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None
            time.sleep(0.1)


def prepared(count: int, folder: str) -> dict[str, Path]:
    """Cameras `moving1`, `still1`, `moving2`, … of the clips in a folder, every other one still."""
    clips = clips_in(folder)
    named: dict[str, Path] = {}
    for number in range(count):
        still = number % 2 == 1
        clip = clips[number // 2 % len(clips)]
        named[f"{'still' if still else 'moving'}{number // 2 + 1}"] = prepare(clip, still)
    return named
