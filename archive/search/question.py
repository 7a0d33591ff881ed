"""What is looked for in an archive."""

from dataclasses import dataclass

from pipeline.clip import MODALITIES
from pipeline.errors import ConfigError


@dataclass(frozen=True)
class Question:
    """What is looked for. `text`, `like` and `like_sound` together are one query; `excerpt` stands alone."""

    text: str = ""
    like: str = ""
    """`clip.mp4@12s`: a moment or stretch of a file or of a source of the archive, a photo, or a sound file."""
    like_sound: str = ""
    """The same, its sound alone."""
    minus: str = ""
    """Words that hits are not about."""
    excerpt: str = ""
    """A short recording whose place in the archive is looked for."""
    modalities: tuple[str, ...] = ()
    """What of the archive is compared; by default what the query has."""
    aspect: str = ""
    where: str = ""
    mix: float = 0.5
    """Share of the words in a query of words and an example."""
    top: int = 20
    approximate: bool = False
    """Look only at clips that an index names."""

    def check(self) -> None:
        """Raises: ConfigError: it asks for nothing, or for what does not go together."""
        examples_ = [each for each in (self.like, self.like_sound) if each]
        if not (self.text or examples_ or self.excerpt):
            raise ConfigError('nothing to search for; give words, such as "a dog barking", or --like FILE@12s')
        if self.excerpt and (self.text or examples_ or self.minus or self.aspect):
            raise ConfigError("--excerpt cannot be combined with words or another example; search for one of them")
        if self.excerpt and self.approximate:
            raise ConfigError("--excerpt looks at all clips; leave --approximate out")
        if len(examples_) > 1:
            raise ConfigError("--like and --like-sound: expected one of them")
        for name in self.modalities:
            if name not in MODALITIES:
                raise ConfigError(f"--modality {name}: expected one of {', '.join(MODALITIES)}")
