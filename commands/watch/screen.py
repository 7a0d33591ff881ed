"""The live line of a watch on a terminal, and what a log says instead."""

from live.status import Status


def watch_line(status: Status) -> str:
    """`3 of 4 cameras live · 412 clips · 31 reused · 2 dropped · 1.2 s old · door: no packet for 10 s`"""
    cameras, account = status.cameras, status.account
    live = sum(camera.connection == "live" for camera in cameras)
    reused = sum(camera.reused for camera in cameras)
    ages_s = [camera.age_s.p50 for camera in cameras if camera.age_s.p50 is not None]
    away = [f"{camera.name}: {camera.text or camera.connection}" for camera in cameras if camera.connection != "live"]
    parts = [
        f"{live} of {len(cameras)} camera{'s' * (len(cameras) != 1)} live",
        "" if status.ready else "models are loading",
        f"{account.results} clips",
        f"{reused} reused" if reused else "",
        f"{account.drops} dropped" if account.drops else "",
        f"{account.errors} failed" if account.errors else "",
        f"{max(ages_s):.1f} s old" if ages_s else "",
        *away[:1],
    ]
    return " · ".join(filter(None, parts))


def watch_fields(status: Status) -> dict[str, object]:
    """How the watch is, as fields of a log line."""
    account = status.account
    return {
        "ready": status.ready,
        "live": sum(camera.connection == "live" for camera in status.cameras),
        "cameras": len(status.cameras),
        "clips_in": account.clips_in,
        "results": account.results,
        "errors": account.errors,
        "drops": account.drops,
        "in_flight": account.in_flight,
        "uptime_s": status.uptime_s,
    }
