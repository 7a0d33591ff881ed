"""Decides whether the answers of the clip before hold for a clip, at two prices.

`may_reuse` looks at key frames, packet sizes and sound before a clip is decoded in full. It trusts sizes only where
they could not hide a small mover between two key frames: where the sensor's noise or a constant bit rate drowns it, the
clip is decoded. `decoded` then compares its pictures, which see everything: where nothing has changed, the clip need
not be labelled again. Answers are never older than `FRESH_S`, so that an error cannot last.
"""

import time
from collections.abc import Callable, Sequence

from pipeline.arrays import Array
from stages.decode.live.still_pictures import Reference, StillPictures
from stages.decode.live.still_sizes import PacketFacts, StillSizes, is_enough
from stages.decode.live.still_sound import Heard, StillSound

FRESH_S = 60.0

__all__ = ["PacketFacts", "Stillness"]


class Stillness:
    """Remembers how one camera looks and sounds while nothing happens. Every clip is told to it, in order.

    clock: seconds. fresh_s: how long answers hold. remembered: how many clips, beside the newest that was labelled, may
    hold again once all is as it was: when somebody has walked by. steady_sound: sound holds only if the quiet is an
    even noise.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        fresh_s: float = FRESH_S,
        remembered: int = 0,
        steady_sound: bool = False,
    ) -> None:
        self._clock = clock
        self._fresh_s = fresh_s
        self._remembered = remembered
        self._steady_sound = steady_sound
        self.reset()

    def reset(self) -> None:
        """Forget everything: a new epoch begins."""
        self.reference: Reference | None = None
        """Whose answers hold for the last clip that was told: an earlier one, or itself."""
        self._pictures = StillPictures(self._remembered)
        self._sizes = StillSizes()
        self._sound = StillSound(self._steady_sound)
        self._awake_s = -float("inf")

    def wake(self) -> None:
        """Have the next clip decoded in full and labelled, as when labels change. What was learnt stays."""
        self._awake_s = self._clock()

    @property
    def keys_may_tell(self) -> bool:
        """Whether `may_reuse` can agree to key frames alone; else they need not be decoded before the rest."""
        return self._sizes.tell and any(map(self._holds, self._pictures.references))

    def may_reuse(
        self, packets: Sequence[PacketFacts], keys: Sequence[Array], sound: Array | None, rate_hz: int
    ) -> bool:
        """Whether the answers hold, as far as can be said before decoding. False: decode the clip, tell `decoded`.

        `packets`: all of the clip's pictures. `keys`: its key frames, luma uint8 "h w" made as those that `decoded` is
        given; or, if the clip is decoded already, all of them. `sound`: the clip's own samples, float32 "S". A clip
        with pictures but without a key frame is decoded.
        """
        if bool(packets) != self._pictures.are_known or (packets and not keys):
            return False
        if not any(map(self._holds, self._pictures.references)):
            return False
        heard = Heard.of(sound, rate_hz)
        if not self._sound.agrees(heard):
            return False
        look = self._pictures.look(keys)
        if not (look.agrees and self._holds(look.like)):
            return False
        if packets:
            if not self._sizes.agree(packets, len(keys)):
                return False
            if is_enough(packets, len(keys)):
                self._pictures.add(look)
            else:
                self._pictures.add_unchanged()
        self._sizes.add(packets, is_still=True)
        self._sound.add(heard)
        self.reference = look.like
        return True

    def decoded(
        self, lumas: Sequence[Array], sound: Array | None, rate_hz: int, packets: Sequence[PacketFacts]
    ) -> bool:
        """Learn from a clip that was decoded in full. Whether the answers hold for it: nothing has changed.

        `lumas`: its pictures, luma uint8 "h w".
        """
        look, heard = self._pictures.look(lumas), Heard.of(sound, rate_hz)
        holds = look.agrees and self._holds(look.like) and self._sound.agrees(heard)
        self._pictures.add(look)
        self._sizes.add(packets, look.is_still)
        self._sound.add(heard)
        self.reference = look.like
        if not holds:
            is_quiet = self._sound.is_quiet(heard)
            self.reference = self._pictures.refer_to(look, self._clock(), is_quiet)
        return holds

    def _holds(self, reference: Reference | None) -> bool:
        """Whether the answers of a clip may hold for others that look like it."""
        if reference is None or not reference.may_hold or reference.answered_s <= self._awake_s:
            return False
        return self._clock() - reference.answered_s < self._fresh_s
