"""MOTChallenge: a line for each box of each frame: frame, id, left, top, width, height, confidence, -1, -1, -1."""

from archive.exports.source import Source


def text(source: Source) -> str:
    """Frames count from 1. Boxes are in stored pixels, upright, and interpolated between those that were found.

    The confidence is the probability of the track's name, or -1. MOT has no names, so all objects are of one kind.
    """
    rows = sorted(
        (frame, path.id, box, path.probability)
        for path in source.tracks(source.stored_size)
        for frame, box in path.every_frame()
    )
    return "".join(
        f"{frame + 1},{number},{x0:.2f},{y0:.2f},{x1 - x0:.2f},{y1 - y0:.2f},{confidence:.4g},-1,-1,-1\n"
        for frame, number, (x0, y0, x1, y1), confidence in rows
    )
