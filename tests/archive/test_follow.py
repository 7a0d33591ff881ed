"""Files that grow are left alone until they have stopped."""

from archive.follow import Follow
from archive.verdict import Wanted


class Folder:
    def __init__(self, *files: Wanted) -> None:
        self.files = {each.source: each for each in files}
        self.now_s = 0.0

    def grow(self, source: str, size: int) -> None:
        self.files[source] = Wanted(source, source, size, int(self.now_s * 1e9))

    def follow(self, *taken: Wanted) -> Follow:
        return Follow(lambda: list(self.files.values()), 10, taken, lambda: self.now_s)


def test_a_file_is_found_once_when_it_has_stopped_growing() -> None:
    folder = Folder()
    follow, found = folder.follow(), dict[float, list[str]]()
    for second in range(40):
        folder.now_s = float(second)
        if second < 8:
            folder.grow("a", second)
        found |= {second: [each.source for each in follow()]}
    assert {second: names for second, names in found.items() if names} == {17: ["a"]}


def test_what_was_taken_is_found_again_when_it_changes() -> None:
    folder = Folder(Wanted("a", "a", 5, 0), Wanted("gone", "gone"))
    follow = folder.follow(Wanted("a", "a", 5, 0))
    seen = []
    for second in range(60):
        folder.now_s = float(second)
        if second == 20:
            folder.grow("a", 6)
        seen += [(second, each.size) for each in follow()]
    assert seen == [(30, 6)]
