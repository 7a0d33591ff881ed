"""Which clips of a file show what an earlier one shows, so that its answers hold and they come without media.

The same decision as for cameras (`stages.decode.live.stillness`), but in media time, and with a memory: when somebody
has walked by, the answers for the scene before hold again. A reader begins without any: so what is said of a clip
depends on where it began to read, and on nothing else.
"""

import msgspec

from pipeline.arrays import Array
from pipeline.clip import ClipInfo, DecodedClip, Reuse
from stages.decode.grid import Pictures
from stages.decode.live.luma import luma
from stages.decode.live.stillness import Stillness
from stages.decode.reader import NS
from stages.decode.relay import Relay
from stages.decode.sound import SoundTrack
from stages.decode.tiling import ROUNDING_NS

FRESH_S = 120.0
"""Of media time: answers are never older, so that an error cannot last."""
REMEMBERED = 3
"""Scenes that may come back, beside the newest."""
NAMES = ("frames", "frame_times_ns", "previous_frame", "previous_time_ns", "audio", "audio_start_ns", "audio_mask")


class Unchanged:
    """Judges the clips of one epoch, in order.

    number: of the epoch, as its frames have it.
    """

    def __init__(self, pictures: Pictures | None, sound: SoundTrack | Relay | None, number: int) -> None:
        self._pictures = pictures
        self._sound = sound
        self._number = number
        self._now_s = 0.0
        self._stillness = Stillness(lambda: self._now_s, FRESH_S, REMEMBERED, steady_sound=True)
        self._starts_ns: dict[int, int] = {}
        """Of the clips whose answers are kept, by place."""

    def undecoded(self, info: ClipInfo, until_ns: int) -> DecodedClip | None:
        """The clip without media, if what is known before it is decoded tells that nothing has changed; else None.

        until_ns: how far the source must go on.
        """
        pictures, sound = self._pictures, self._sound
        self._now_s = info.start_ns / NS
        if pictures is None or not self._stillness.keys_may_tell:
            return None
        start_ns, end_ns = info.start_ns - ROUNDING_NS, info.end_ns - ROUNDING_NS
        packets = pictures.packets(start_ns, end_ns, until_ns)
        keys = pictures.key_pictures(start_ns, end_ns) if packets else None
        if not packets or not keys:
            return None
        if sound is not None:
            sound.advance(until_ns, self._number)
            if (head := sound.peek()) is not None and head.epoch > self._number:
                return None
        lumas = [luma(picture) for picture in keys]
        if not self._stillness.may_reuse(packets, lumas, self._samples(info), self._rate_hz):
            return None
        return self._reused(info)

    def decoded(self, clip: DecodedClip) -> DecodedClip:
        """The clip: without media if nothing has changed; else marked if its answers may hold for later ones."""
        info, pictures = clip.info, self._pictures
        self._now_s = info.start_ns / NS
        lumas = [luma(picture) for picture in clip.arrays.get("frames", ())]
        start_ns, end_ns = info.start_ns - ROUNDING_NS, info.end_ns - ROUNDING_NS
        packets = (pictures.packets(start_ns, end_ns, end_ns) if pictures is not None else None) or ()
        if self._stillness.decoded(lumas, self._samples(info), self._rate_hz, packets):
            return self._reused(info)
        reference = self._stillness.reference
        if reference is None or not reference.may_hold:
            return clip
        self._starts_ns[reference.place] = info.start_ns
        return DecodedClip(msgspec.structs.replace(info, kept_in=reference.place), clip.arrays, clip.absent)

    def _reused(self, info: ClipInfo) -> DecodedClip:
        reference = self._stillness.reference
        assert reference is not None
        reuse = Reuse(reference.place, self._starts_ns[reference.place])
        return DecodedClip(msgspec.structs.replace(info, reuse=reuse), {}, dict.fromkeys(NAMES, "not_asked"))

    @property
    def _rate_hz(self) -> int:
        return self._sound.rate_hz if self._sound is not None else 0

    def _samples(self, info: ClipInfo) -> Array | None:
        """The sound of the clip itself, float32 "S"; None if there is none."""
        sound = self._sound
        if sound is None:
            return None
        first, end = (round(time_ns * self._rate_hz / NS) for time_ns in (info.start_ns, info.end_ns))
        samples, mask = sound.window(first, end - first, 0)
        return samples if mask.any() else None
