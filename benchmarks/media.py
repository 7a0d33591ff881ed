"""Videos for benchmarks, made from the bundled sample: looped without re-encoding, so that an hour takes seconds."""

from pathlib import Path

import av

SAMPLE = Path(__file__).resolve().parent.parent / "engines" / "bundled" / "sample.mp4"


def scaled(path: Path, width: int = 1280, height: int = 720, source: Path = SAMPLE) -> Path:
    """The sample at another size, H.264 and AAC, with a key frame every 60 frames or sooner."""
    with av.open(str(source)) as given, av.open(str(path), "w") as made:
        video, audio = given.streams.video[0], given.streams.audio[0]
        out = made.add_stream(
            "libx264", rate=video.average_rate, options={"crf": "23", "preset": "veryfast", "g": "60"}
        )
        out.width, out.height, out.pix_fmt = width, height, "yuv420p"
        sound = made.add_stream_from_template(audio)
        count = 0
        for packet in given.demux(video, audio):
            if packet.stream is audio:
                if packet.dts is not None:
                    packet.stream = sound
                    made.mux(packet)
                continue
            for frame in packet.decode():
                picture = frame.reformat(width, height, "yuv420p")
                picture.pts, picture.time_base = count, 1 / video.average_rate
                made.mux(out.encode(picture))
                count += 1
        made.mux(out.encode())
    return path


def looped(path: Path, seconds: float, source: Path) -> Path:
    """`source` repeated until `seconds` are filled; packets are copied with shifted times."""
    last: dict[int, int] = {}
    with av.open(str(path), "w") as made:
        with av.open(str(source)) as given:
            streams = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
            ends = [stream.duration * stream.time_base for stream in given.streams if stream.duration]
            length = max(ends)
        for turn in range(int(seconds / length) + 1):
            with av.open(str(source)) as given:
                for packet in given.demux():
                    if packet.dts is None:
                        continue
                    shift = round(turn * length / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    index = packet.stream.index
                    if packet.dts * packet.time_base < seconds and packet.dts > last.get(index, -1):
                        last[index] = packet.dts
                        packet.stream = streams[index]
                        made.mux(packet)
    return path
