"""Names of points of a figure, where each can be read: none lies on another name or on a foreign mark, and none leaves the axes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

__all__ = ["Label", "place_labels"]

Real = npt.NDArray[np.float64]

_MARK = 4.5  # half the width of a mark, in points, as are all lengths below
_BESIDE, _ABOVE, _BELOW = 8.0, 6.0, -13.0  # of a name from its mark
_LINE = 12.5  # from one name of a stack to the next
_GAP = 22.0  # from the marks to a stack of their names
_WIDE = 90.0  # marks further apart share no stack
_NEAR = 9.0  # a name further from its mark than this has a line to it
_EDGE = 2.0  # kept free inside the axes


@dataclass(frozen=True, slots=True)
class Label:
    """A name of the point at (x, y), in the units of the axes."""

    text: str
    x: float
    y: float
    colour: str
    bold: bool


def place_labels(axes: Axes, labels: Sequence[Label]) -> bool:
    """Write names beside their points: to the right where each can be read there; else in a stack beside the crowd, or where there is room.

    Args:
        axes: Whose limits and position are final. What is drawn on it later is not avoided.
        labels: The names.

    Returns:
        Whether all found a place; if not, none is written.
    """
    at = _points(axes, np.array([[label.x, label.y] for label in labels]))
    sizes, room = np.array([_size(axes, label) for label in labels]), _room(axes)
    marks = np.concatenate([at - _MARK, at + _MARK], axis=1)
    usual = np.array([_usual(p, size, room) for p, size in zip(at, sizes, strict=True)])
    written = _written(axes)
    crowds = _crowds(usual, marks)
    placed = {c[0]: usual[c[0]] for c in crowds if len(c) == 1 and _inside(usual[c[0]], room)}
    for crowd in crowds:
        alone = [k for k in crowd if k not in placed]
        tries = ((_stack, written), (_scatter, written), (_stack, marks[:0]), (_scatter, marks[:0]))  # on other texts only if it must be
        if alone and not any(find(alone, at, sizes, np.concatenate([marks, texts]), room, placed) for find, texts in tries):
            return False
    for k, label in enumerate(labels):
        _write(axes, label, at[k], placed[k], sizes[k, 1])
    return True


def _points(axes: Axes, values: Real) -> Real:
    """Where values lie, in points from the lower left corner of the axes."""
    corner = axes.transAxes.transform((0.0, 0.0))
    return np.asarray((axes.transData.transform(values) - corner) * _points_a_pixel(axes))


def _room(axes: Axes) -> Real:
    """The box that names may fill."""
    width, height = np.diff(axes.transAxes.transform([(0.0, 0.0), (1.0, 1.0)]), axis=0)[0] * _points_a_pixel(axes)
    return np.array([_EDGE, _EDGE, width - _EDGE, height - _EDGE])


def _points_a_pixel(axes: Axes) -> float:
    figure = axes.get_figure(root=True)
    assert figure is not None  # axes are drawn on figures
    return 72 / float(figure.dpi)


def _font(label: Label) -> dict[str, Any]:
    return {"color": label.colour, "weight": "bold" if label.bold else "normal", "fontsize": 9, "zorder": 9}


def _size(axes: Axes, label: Label) -> Real:
    """Width of a name, and how far it reaches below and above its line of writing."""
    text = axes.text(0.0, 0.0, label.text, transform=None, **_font(label))
    box = text.get_window_extent()
    text.remove()
    return np.array([box.width, -box.y0, box.y1]) * _points_a_pixel(axes)


def _written(axes: Axes) -> Real:
    """Boxes of the texts that stand there already, ``(T, 4)``."""
    corner = np.tile(axes.transAxes.transform((0.0, 0.0)), 2)
    boxes = [np.ravel(text.get_window_extent().get_points()) for text in axes.texts]
    return (np.array(boxes).reshape(-1, 4) - corner) * _points_a_pixel(axes)


def _box(x: float, y: float, size: Real) -> Real:
    """Of a name that begins at x and is written on the line y."""
    return np.array([x, y - size[1], x + size[0], y + size[2]])


def _usual(p: Real, size: Real, room: Real) -> Real:
    """Above and to the right; to the left where the axes end soon."""
    late = p[0] > 0.8 * (room[2] + _EDGE)
    right, left = _box(p[0] + _BESIDE, p[1] + _ABOVE, size), _box(p[0] - _BESIDE - size[0], p[1] + _ABOVE, size)
    first, second = (left, right) if late else (right, left)
    return first if _inside(first, room) or not _inside(second, room) else second


def _crowds(usual: Real, marks: Real) -> list[list[int]]:
    """Points whose names would lie on each other, or on the marks of each other."""
    crowd = list(range(len(usual)))
    for i in range(len(usual)):
        for j in range(i):
            if _hit(usual[i], usual[j]) or _hit(usual[i], marks[j]) or _hit(usual[j], marks[i]):
                crowd = [crowd[j] if c == crowd[i] else c for c in crowd]
    return [[k for k, c in enumerate(crowd) if c == which] for which in dict.fromkeys(crowd)]


def _stack(crowd: Sequence[int], at: Real, sizes: Real, marks: Real, room: Real, placed: dict[int, Real]) -> bool:
    """Names of a narrow crowd below each other, in the order of their points, so that no lines cross."""
    here = at[list(crowd)]
    if np.ptp(here[:, 0]) > _WIDE:
        return False
    ordered = sorted(crowd, key=lambda k: (-at[k, 1], at[k, 0], k))
    middle = float(here[:, 1].mean())
    for right, shift in ((side, s) for s in _shifts(_LINE / 2, 2 * room[3]) for side in (True, False)):
        top = middle + shift + _LINE * (len(ordered) / 2 - 1)
        edge = here[:, 0].max() + _GAP if right else here[:, 0].min() - _GAP
        boxes = {k: _box(edge if right else edge - sizes[k, 0], top - _LINE * i, sizes[k]) for i, k in enumerate(ordered)}
        if all(_free(k, box, at, marks, room, placed) for k, box in boxes.items()):
            placed |= boxes
            return True
    return False


def _scatter(crowd: Sequence[int], at: Real, sizes: Real, marks: Real, room: Real, placed: dict[int, Real]) -> bool:
    """Each name of a crowd for itself. What is placed first bars lines that come later, so the order matters: from either end, or the middle."""
    middle = (room[0] + room[2]) / 2
    for turn in (lambda k: -at[k, 0], lambda k: abs(at[k, 0] - middle), lambda k: at[k, 0]):
        trial = dict(placed)
        if all(_single(k, at, sizes, marks, room, trial) for k in sorted(crowd, key=turn)):
            placed |= trial
            return True
    return False


def _single(k: int, at: Real, sizes: Real, marks: Real, room: Real, placed: dict[int, Real]) -> bool:
    """The nearest free place for one name."""
    (x, y), width = at[k], sizes[k, 0]
    for shift in _shifts(_LINE / 2, 2 * room[3]):
        for left in (x + _BESIDE, x - _BESIDE - width, x - width / 2, min(max(x - width / 2, room[0]), room[2] - width)):
            box = _box(left, y + (_ABOVE if shift >= 0 else _BELOW) + shift, sizes[k])
            if _free(k, box, at, marks, room, placed):
                placed[k] = box
                return True
    return False


def _shifts(step: float, most: float) -> Iterator[float]:
    """0, then further and further up and down."""
    yield 0.0
    for i in range(1, int(most / step)):
        yield from (i * step, -i * step)


def _free(k: int, box: Real, at: Real, marks: Real, room: Real, placed: dict[int, Real]) -> bool:
    """Whether a name may stand there: clear of other names and marks, and its line and theirs clear of names."""
    if not _inside(box, room) or any(_hit(box, marks[j]) for j in range(len(marks))):
        return False
    return not any(_hit(box, b) or _crosses(at[k], box, b) or _crosses(at[j], b, box) for j, b in placed.items() if j != k)


def _crosses(p: Real, box: Real, other: Real) -> bool:
    """Whether the line from a point to its name runs through another name."""
    line = _leader(p, box)
    if line is None:
        return False
    along = line[0] + np.linspace(0, 1, 40)[:, None] * (line[1] - line[0])
    return bool(((along > other[:2]) & (along < other[2:])).all(axis=1).any())


def _leader(p: Real, box: Real) -> Real | None:
    """The line from a point to its name, ``(2, 2)``; none where the name is near."""
    nearest = np.clip(p, box[:2], box[2:])
    away = float(np.hypot(*(nearest - p)))
    if away <= _NEAR + _MARK - 2:
        return None
    end = np.array([nearest[0], (box[1] + box[3]) / 2]) if nearest[0] != p[0] else nearest
    toward = (end - p) / np.hypot(*(end - p))
    return np.array([p + _MARK * toward, end - 1.5 * toward])


def _inside(box: Real, room: Real) -> bool:
    return bool((box[:2] >= room[:2]).all() and (box[2:] <= room[2:]).all())


def _hit(a: Real, b: Real) -> bool:
    return bool((a[:2] < b[2:]).all() and (b[:2] < a[2:]).all())


def _write(axes: Axes, label: Label, p: Real, box: Real, below: float) -> None:
    """A name in its place, by offsets in points, which hold at any resolution; it ends or begins at its point, whatever the font."""
    side = "left" if box[0] >= p[0] else "right" if box[2] <= p[0] else "center"
    x = {"left": box[0], "right": box[2], "center": (box[0] + box[2]) / 2}[side]
    axes.annotate(label.text, (label.x, label.y), (x - p[0], box[1] + below - p[1]), textcoords="offset points", ha=side, **_font(label))
    line = _leader(p, box)
    if line is not None:
        arrow = {"arrowstyle": "-", "lw": 0.7, "color": label.colour, "shrinkA": 0, "shrinkB": _MARK, "relpos": (0, 0)}
        axes.annotate("", (label.x, label.y), tuple(line[1] - p), textcoords="offset points", zorder=7.5, arrowprops=arrow)
