"""Faults of cameras: power lost, stalled, a wrong password, a missing path, another resolution, sound lost."""

import signal
import time

from benchmarks.farm import Farm, joined, prepare
from benchmarks.faults import WORDS, Bench, Found, fresh, longest_silence_s, recovered, until
from benchmarks.watched import Line, Watched, is_result


def killed(bench: Bench) -> Found:
    """The server loses its power for 15 s."""
    names = list(cameras := bench.cameras(2))
    with Farm(cameras) as farm, bench.watching(farm, names) as watch:
        farm.kill()
        watch.follow(15)
        farm.start()
        recovery_s = recovered(watch, time.time(), names, 90)
        gaps = [line for line in watch.lines if line.get("gap")]
        text = f"{len(gaps)} gap records for {len(names)} cameras"
        return Found(recovery_s, recovery_s is not None and recovery_s < 5 and len(gaps) == len(names), text)


def _stalled(bench: Bench, seconds: float) -> Found:
    names = list(cameras := bench.cameras(2))
    with Farm(cameras) as farm, bench.watching(farm, names) as watch:
        farm.signal(signal.SIGSTOP)
        watch.follow(seconds)
        farm.signal(signal.SIGCONT)
        recovery_s = recovered(watch, time.time(), names, 90)
        seen = watch.follow(10)
        ages = [line.get("age_s", 0.0) for _, line in seen if is_result(line)]
        late_s = max(ages, default=float("inf"))
        text = f"oldest answer from then on: {late_s:.1f} s"
        return Found(recovery_s, recovery_s is not None and late_s < 3, text, {"oldest_age_s": late_s})


def stalled_for_5_s(bench: Bench) -> Found:
    """The server stalls for 5 s (SIGSTOP)."""
    return _stalled(bench, 5)


def stalled_for_60_s(bench: Bench) -> Found:
    """The server stalls for 60 s (SIGSTOP)."""
    return _stalled(bench, 60)


def wrong_password(bench: Bench) -> Found:
    """The camera refuses the password for 30 s; then it takes it."""
    secret = "hunter-2-hunter"
    (name,) = cameras = bench.cameras(1)
    bench.folder.mkdir(parents=True, exist_ok=True)
    file = bench.folder / "password"
    file.write_text(secret)
    with Farm(cameras, login="viewer:another") as farm:
        entry = {"name": name, "url": farm.url(name), "user": "viewer", "password_file": str(file)}
        with bench.watch({"labels": WORDS, "cameras": [entry]}) as watch:
            reports = _reported(watch, name, 60)
            farm.kill()
            farm.login("viewer:" + secret)
            farm.start()
            recovery_s = recovered(watch, time.time(), [name], 180)
            leaks = secret in watch.messages() or secret in (watch.folder / "stdout").read_text()
            text = f"reported {reports} time{'s' * (reports != 1)} in 30 s; secret shown: {'yes' if leaks else 'no'}"
            return Found(recovery_s, recovery_s is not None and reports == 1 and not leaks, text)


def path_missing(bench: Bench) -> Found:
    """The camera has no such path for 30 s; then it has."""
    (name,) = cameras = bench.cameras(1)
    with Farm({"other": cameras[name]}) as farm, bench.watching(farm, [name], wait=False) as watch:
        reports = _reported(watch, name, 60)
        farm.kill()
        farm.show(name, cameras[name])
        farm.start()
        recovery_s = recovered(watch, time.time(), [name], 180)
        text = f"reported {reports} time{'s' * (reports != 1)} in 30 s"
        return Found(recovery_s, recovery_s is not None and reports == 1, text)


def _reported(watch: Watched, camera: str, timeout_s: float) -> int:
    """How many lines of stderr name a camera as refused, 30 s after the first one."""
    ends_s = time.monotonic() + timeout_s
    while not _refusals(watch, camera) and time.monotonic() < ends_s:
        watch.follow(0.5)
    watch.follow(30)
    return _refusals(watch, camera)


def _refusals(watch: Watched, camera: str) -> int:
    words = ("refus", "password", "401", "not found", "404", "no such", "does not exist", "unauthor")
    lines = watch.messages().lower().splitlines()
    return sum(camera in line and any(word in line for word in words) for line in lines)


def resolution_changes(bench: Bench) -> Found:
    """Every 8 s the camera changes between 1280×720 and 640×480, within one session."""
    large = bench.cameras(1)["moving1"]
    clip = bench.clip(0)
    folder = joined("two-sizes", [large, prepare(clip, False, "640x480")])
    with Farm({"zoom": folder}) as farm, bench.watching(farm, ["zoom"]) as watch:
        seen = watch.follow(50)
        sizes = {(line.get("width"), line.get("height")) for _, line in seen if is_result(line)}
        errors = sum(bool(line.get("error")) for _, line in seen)
        silence_s = longest_silence_s(seen, "zoom")
        shown = ", ".join(f"{width}×{height}" for width, height in sorted(sizes, key=str))
        text = f"longest time without a result; sizes {shown}; errors {errors}"
        right = silence_s < 6 and errors == 0 and len(sizes) == 2
        return Found(silence_s, right, text, {"sizes": sorted(map(str, sizes))})


def sound_lost(bench: Bench) -> Found:
    """The sound stops for 20 s while the picture goes on."""
    (name,) = cameras = bench.cameras(1)
    with Farm(cameras) as farm, bench.watching(farm, [name]) as watch:
        farm.signal(signal.SIGUSR1)
        began_s = time.time()
        noticed = until(watch, lambda line: is_result(line) and not has_sound(line), 30)
        seen = watch.follow(max(0.0, 20 - (time.time() - began_s)))
        farm.signal(signal.SIGUSR1)
        ended_s = time.time()
        again = until(watch, lambda line: fresh(ended_s)(line) and has_sound(line), 60)
        results = sum(is_result(line) for _, line in seen)
        noticed_s = noticed[0] - began_s if noticed else None
        recovery_s = again[0] - ended_s if again else None
        text = f"noticed after {noticed_s and round(noticed_s, 1)} s; {results} results without sound"
        return Found(recovery_s, recovery_s is not None and noticed is not None and results > 0, text)


def has_sound(line: Line) -> bool:
    return "audio" not in line.get("absent", {})
