"""Tracks of cameras, of which each is looked at for its own words, which may change while clips come in."""

from pathlib import Path
from typing import Literal

from pipeline.clip import ClipInfo
from pipeline.stage import Resources
from stages.track.naming import Naming
from stages.track.options import TrackOptions
from stages.track.stage import TrackStage
from stages.words.versions import LabelVersions


class WatchOptions(TrackOptions, frozen=True, kw_only=True):
    which: Literal["auto", "all", "found", "none"] = "auto"
    """As `follow.which`; "auto" is "found" for a camera that has words to find."""


class TrackWatch(TrackStage):
    """Like `TrackStage`, by the labels and words of the clip's camera, in the version that the clip asks for."""

    Options = WatchOptions
    options: WatchOptions

    def open(self, resources: Resources) -> None:
        super().open(resources)
        self._versions = LabelVersions(Path(self.run.directory))

    def naming(self, info: ClipInfo) -> Naming:
        if not self._versions.has(info.source_index, info.labels_version):  # nothing is labelled
            return super().naming(info)
        labels = self._versions.get(info.source_index, info.labels_version)
        which = self.options.which
        if which == "auto":
            which = "found" if labels.find or self.run.like else "all"
        return self.naming_by(labels.find, which, labels)
