"""What is decoded of one connection: its streams, the epoch that runs, and how far it has come."""

from collections import deque
from collections.abc import Callable

from pipeline.arrays import Array
from stages.decode.assembly import Epoch, Media
from stages.decode.canvas import Canvas
from stages.decode.frames import Shown
from stages.decode.links import Kind
from stages.decode.live.options import LiveOptions
from stages.decode.live.queue import Arrived, Connected
from stages.decode.live.stillness import PacketFacts
from stages.decode.live.streams import MOST_SKIPPED, LivePictures, SoundStream, VideoStream
from stages.decode.picture import LIVE_SCALING
from stages.decode.reader import NS
from stages.decode.reader_av import absence
from stages.decode.sound import SoundTrack

LATE_NS = NS
"""A clip waits so long for a stream that does not come, beyond the usual delay; later ones do not wait for it."""
SOUND_TAIL_NS = NS // 50
"""What the resampler holds back."""
FAR_NS = 1 << 62
USUAL_STEPS = 4
"""A stretch without packets that is so many times as long as usual is a gap."""


class Session:
    """The streams of a connection. `epoch` is None until something begins it."""

    def __init__(self, connected: Connected, name: str, options: LiveOptions, look: Callable[[Shown, Array], Array]):
        tracks = {track.kind: track for track in connected.tracks}
        video, audio = tracks.get("video"), tracks.get("audio")
        self.video = VideoStream(video) if video else None
        self.audio = SoundStream(audio) if audio else None
        self.sound = SoundTrack(self.audio, options.audio_rate_hz, name) if self.audio else None
        self.media = Media(
            LivePictures(self.video, Canvas(options, LIVE_SCALING), look) if self.video else None,
            self.sound,
            start_ns=0,
            frames_absent="" if video else absence(options.wants_frames, None),
            audio_absent="" if audio else absence(options.wants_audio, None),
        )
        self.epoch: Epoch | None = None
        self.tile = 0
        self.is_eager = True
        """Pictures are decoded as they come."""
        self._options = options
        self._needs_start = True
        self._skipped = 0
        self._passed: dict[Kind, int] = {}
        """Until when packets have come, by kind."""
        self._latest_ns = 0
        self._usual_step_ns = 0.0
        self._packets: deque[tuple[int, PacketFacts]] = deque()
        """Times and sizes of pictures since the tile began."""

    def begin(self, anchor_ns: int) -> None:
        """Begin an epoch."""
        self.epoch = Epoch(self.media, self._options, anchor_ns, 0, 0)
        self.tile = self._skipped = 0
        self._needs_start = False
        kinds: dict[Kind, object] = {"video": self.video, "audio": self.audio}
        self._passed = {kind: anchor_ns for kind, stream in kinds.items() if stream is not None}
        self._latest_ns = anchor_ns

    def may_begin_with(self, item: Arrived) -> bool:
        """Whether a packet can begin an epoch: without what came before it, at first. Others are left out."""
        if item.starts or not self._needs_start or self._skipped >= MOST_SKIPPED:
            return True
        self._skipped += 1
        return False

    def follows_a_hole(self, item: Arrived) -> bool:
        """Whether nothing at all has come for long before a packet."""
        longest_ns = max(self._options.clip_ns + NS, USUAL_STEPS * self._usual_step_ns)
        return self.epoch is not None and item.decode_ns - self._latest_ns > longest_ns

    def add(self, item: Arrived, beat: Callable[[], None]) -> None:
        """Take a packet of the epoch."""
        packet = item.packet
        step_ns = max(0, item.decode_ns - self._latest_ns)
        self._usual_step_ns += (step_ns - self._usual_step_ns) / 8
        self._latest_ns = max(self._latest_ns, item.decode_ns)
        if item.kind == "audio" and self.audio is not None:
            self._passed["audio"] = item.packet.pts + (packet.duration or 0) - SOUND_TAIL_NS
            self.audio.add(item)
        elif self.video is not None:
            self._passed["video"] = item.decode_ns
            self._packets.append((packet.pts, PacketFacts(packet.size, bool(packet.is_keyframe))))
            self.video.add(item)
            if self.is_eager:
                self.decode(beat)

    def decode(self, beat: Callable[[], None]) -> None:
        """Decode all pictures that have come."""
        grid = self.epoch.grid if self.epoch is not None else None
        if self.video is None or grid is None:
            return

        def take() -> None:
            grid.advance(FAR_NS)
            beat()

        self.video.decode(take)

    # The clip that is next

    @property
    def start_ns(self) -> int:
        assert self.epoch is not None
        return self.epoch.tiling.start_ns(self.tile)

    @property
    def end_ns(self) -> int:
        assert self.epoch is not None
        return self.epoch.tiling.end_ns(self.tile)

    @property
    def turn_ns(self) -> int | None:
        """Where the pictures take another shape."""
        return self.epoch.grid.turn_ns if self.epoch is not None and self.epoch.grid is not None else None

    @property
    def covered_ns(self) -> int:
        """The end of what has come."""
        return max(self._passed.values(), default=0)

    def is_complete(self, now_ns: int, delay_ns: int) -> bool:
        """Whether nothing more is expected of the clip."""
        if self.epoch is None or self.covered_ns < self.end_ns:
            return False
        awaited = [passed for passed in self._passed.values() if passed > self.start_ns - LATE_NS - delay_ns]
        return min(awaited) >= self.end_ns or now_ns > self.end_ns + LATE_NS + delay_ns

    def packets(self, end_ns: int) -> list[PacketFacts]:
        """The packets of the clip's pictures."""
        return [facts for time_ns, facts in self._packets if self.start_ns <= time_ns < end_ns]

    def captured_ns(self, end_ns: int) -> int:
        """When the last picture or sound of the clip was captured."""
        times = [time_ns for time_ns, _ in self._packets if self.start_ns <= time_ns < end_ns]
        if "audio" in self._passed and self._passed["audio"] > self.start_ns:
            times.append(min(end_ns, self._passed["audio"] + SOUND_TAIL_NS))
        return max(times, default=end_ns)

    def samples(self, end_ns: int) -> Array | None:
        """The sound of the clip itself, float32 "S"; None if there is none."""
        if self.sound is None or self.epoch is None:
            return None
        rate_hz = self.sound.rate_hz
        first, end = (round(time_ns * rate_hz / NS) for time_ns in (self.start_ns, end_ns))
        samples, mask = self.sound.window(first, end - first, 0)
        return samples if mask.any() else None

    def key_pictures(self, end_ns: int, beat: Callable[[], None]) -> list[tuple[int, Array]]:
        """Times and pictures of the clip's key frames, while its pictures are held."""
        pictures = self.media.pictures
        if self.video is None or pictures is None:
            return []
        found = []
        for key in self.video.key_pictures(self.start_ns, end_ns, self._options.max_frames):
            if (picture := pictures.convert(key)) is not None:
                found.append((key.time_ns, picture))
            beat()
        return found

    def skip(self, end_ns: int) -> None:
        """Do without the clip."""
        if self.video is not None:
            self.video.skip(end_ns)
        if self.epoch is not None and self.epoch.grid is not None:
            self.epoch.grid.close(self.tile, is_tail=True)

    def drop(self) -> None:
        """Packets were thrown away before they came here."""
        self._needs_start = True
        if self.video is not None:
            self.video.restart()

    def next_tile(self, end_ns: int) -> None:
        self.tile += 1
        while self._packets and self._packets[0][0] < end_ns:
            self._packets.popleft()
