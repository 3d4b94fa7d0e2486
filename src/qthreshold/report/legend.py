"""What the colours and marks of a map mean, drawn below it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qthreshold.report.colours import PALETTE, Scale, ticks
from qthreshold.report.geometry import pixels
from qthreshold.report.words import number

__all__ = ["Bar", "Key", "legend"]

Ink = Callable[[str], str]

_BAR, _THICK = 190.0, 9.0  # pixels: length and thickness of a colour bar
_GAP, _MARGIN = 44.0, 22.0  # between two bars, and at the sides
_SWATCH = 26.0
_CHAR = 6.4  # most that a character takes, on average, at this size of text
_LINE = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A scale of colours.

    Attributes:
        title: What is coloured.
        scale: The colours; None if there are no values.
    """

    title: str
    scale: Scale | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A mark.

    Attributes:
        mark: How it is drawn, around the origin, 22 pixels wide.
        text: What it means.
    """

    mark: str
    text: str


def legend(bars: Sequence[Bar], keys: Sequence[Key], width: float, top: float, ink: Ink) -> tuple[list[str], float, float]:
    """Bars beside each other, keys in rows below.

    Args:
        bars: Scales.
        keys: Marks.
        width: Of what is above.
        top: Where the legend may begin.
        ink: What a named ink is in SVG.

    Returns:
        Elements; width and height of the picture with them.
    """
    drawn = [b for b in bars if b.scale is not None]
    silent = [b for b in bars if b.scale is None]
    longest = max([_text_width(k.text) + _SWATCH for k in keys] + [_text_width(_none(b)) for b in silent] + [0.0])
    width = max(width, len(drawn) * (_BAR + _GAP) - _GAP + 2 * _MARGIN, longest + 2 * _MARGIN)
    out, y = [_gradient()] if drawn else [], top + 4
    out.append(f'<g fill="{ink("ink")}">')
    left = (width - len(drawn) * (_BAR + _GAP) + _GAP) / 2
    for k, bar in enumerate(drawn):
        out.append(_bar(bar, left + k * (_BAR + _GAP), y, ink))
    y += 48 if drawn else 0
    items = [(Key(mark="", text=_none(b)), _text_width(_none(b))) for b in silent]
    items += [(k, _text_width(k.text) + _SWATCH) for k in keys]
    for row in _rows(items, width - 2 * _MARGIN):
        x = (width - sum(w for _, w in row) - 16 * (len(row) - 1)) / 2
        y += _LINE / 2
        for key, taken in row:
            shift = _SWATCH if key.mark else 0.0
            out.append(f'<g transform="translate({pixels(x + 11)} {pixels(y)})">{key.mark}</g>' if key.mark else "")
            out.append(f'<text x="{pixels(x + shift)}" y="{pixels(y + 3.8)}">{key.text}</text>')
            x += taken + 16
        y += _LINE / 2
    out.append("</g>")
    return out, width, y + 8


def _none(bar: Bar) -> str:
    return f"no {bar.title} measured"


def _text_width(text: str) -> float:
    return _CHAR * len(text)


def _rows(items: Sequence[tuple[Key, float]], width: float) -> list[list[tuple[Key, float]]]:
    """Items in rows that are not wider than there is room."""
    rows: list[list[tuple[Key, float]]] = []
    left = 0.0
    for item in items:
        if rows and item[1] + 16 <= left:
            rows[-1].append(item)
            left -= item[1] + 16
        else:
            rows.append([item])
            left = width - item[1]
    return rows


def _gradient() -> str:
    """The colours of every bar; they are the same in all maps of a page."""
    stops = "".join(f'<stop offset="{i / 12:.3g}" stop-color="{PALETTE[round(i / 12 * (len(PALETTE) - 1))]}"/>' for i in range(13))
    return f'<defs><linearGradient id="error-colours">{stops}</linearGradient></defs>'


def _bar(bar: Bar, x: float, y: float, ink: Ink) -> str:
    """A colour bar with its title above and numbers below."""
    scale = bar.scale
    assert scale is not None
    out = [f'<text x="{pixels(x + _BAR / 2)}" y="{pixels(y + 9)}" text-anchor="middle">{bar.title}</text>']
    out.append(f'<rect x="{pixels(x)}" y="{pixels(y + 15)}" width="{pixels(_BAR)}" height="{pixels(_THICK)}" fill="url(#error-colours)"')
    out.append(f' stroke="{ink("ink")}" stroke-width="0.8"/>')
    places = ticks(scale, 33 / _BAR)
    at = [x + _BAR * float(scale.share(v)) for v in places]
    out.append(f'<path stroke="{ink("ink")}" stroke-width="0.8" d="{"".join(f"M{pixels(p)} {pixels(y + 15 + _THICK)}v4" for p in at)}"/>')
    for value, p in zip(places, at, strict=True):
        beyond = "&lt; " if value == scale.low and scale.below else "&gt; " if value == scale.high and scale.above else ""
        out.append(f'<text x="{pixels(p)}" y="{pixels(y + 15 + _THICK + 14)}" text-anchor="middle">{beyond}{number(value, 1)}</text>')
    return "".join(out)
