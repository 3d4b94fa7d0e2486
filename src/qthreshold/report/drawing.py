"""Figures as SVG and PNG text, in the colours of the page. The only module of the package that makes matplotlib figures.

Colours are drawn as the fixed ones of :data:`COLOURS`; in a page each is replaced by the CSS variable of its name, so that one drawing
serves the light theme, the dark one and print. Text stays text: it can be searched, read aloud and takes the font of the page.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from qthreshold.report.words import printable

__all__ = ["COLOURS", "png", "svg"]

COLOURS = {
    "ink": "#1b1f27", "muted": "#565e6c", "line": "#cdd2da", "paper": "#fefefe", "accent": "#1d5fb0", "second": "#b0520a", "zone": "#f5e3d9",
    "soft": "#c4daf3",
}  # fmt: skip
"""Names of the page's CSS variables and their values in the light theme; all are different, so that they can be told apart in a drawing."""

_INK, _MUTED = COLOURS["ink"], COLOURS["muted"]
_STYLE: Any = {
    "svg.fonttype": "none", "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9.0, "legend.fontsize": 8.5,
    "legend.frameon": False, "xtick.labelsize": 8.5, "ytick.labelsize": 8.5, "text.color": _INK, "axes.labelcolor": _INK, "axes.edgecolor": _MUTED,
    "xtick.color": _MUTED, "ytick.color": _MUTED, "xtick.labelcolor": _INK, "ytick.labelcolor": _INK, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": COLOURS["line"], "grid.linewidth": 0.6, "axes.axisbelow": True,
    "axes.facecolor": "none", "figure.facecolor": "none", "lines.linewidth": 1.6, "text.parse_math": False,
}  # fmt: skip
_DPI = 160
_MARGINS = (0.66, 0.14, 0.52, 0.12)  # left, right, bottom, top, in inches


def svg(function: Callable[[Figure], None], size: tuple[float, float], name: str, alt: str, *, inline: bool) -> str:
    """A figure as SVG.

    Args:
        function: Draws on a figure, which has no axes yet.
        size: Width and height in inches.
        name: Makes ids inside it differ from those of other figures of the page.
        alt: What it shows, in a sentence.
        inline: For a page, in its colours and without a size of its own; else a file that stands alone.
    """
    buffer = io.StringIO()
    with _styled({"svg.hashsalt": name}):
        FigureCanvasSVG(_drawn(function, size)).print_svg(buffer, metadata={"Date": None, "Creator": None})
    text, alt = printable(buffer.getvalue()), printable(alt)
    text = re.sub(r" <metadata>.*?</metadata>\n", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n? *", "", text, flags=re.DOTALL)
    used = frozenset(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", "".join(re.findall(r"<[^>]*>", text))))
    text = re.sub(r"<[^>]*>", lambda tag: _tidied(tag[0], name, used), text)  # what stands between tags is text, and stays as it is
    if not inline:
        return re.sub(r"<svg [^>]*>", lambda m: f"{m[0]}<title>{escape(alt)}</title>", text, count=1)
    text = re.sub(r"<[^>]*>", lambda tag: _themed(tag[0]), text[text.index("<svg") :])
    width, height = re.findall(r'(?:width|height)="([\d.]+)pt"', text)[:2]
    head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(alt)}" class="figure" style="aspect-ratio:{width}/{height}"'
    return re.sub(r"<svg [^>]*", lambda _: head, text, count=1)


def _tidied(tag: str, name: str, used: frozenset[str]) -> str:
    """A tag without ids that nothing refers to, the others made this figure's own, and with hundredths of a point at most."""
    tag = re.sub(r' id="([^"]*)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", tag)
    tag = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{name}-", tag)
    return re.sub(r"(\d\.\d\d)\d+", r"\1", tag)


def _themed(tag: str) -> str:
    """A tag in the colours and the font of the page."""
    tag = re.sub(r"font: ([^;\"]*?)'DejaVu Sans', sans-serif", r"font: \1var(--sans)", tag).replace("xlink:href", "href")
    for colour, value in COLOURS.items():
        tag = tag.replace(value, f"var(--{colour})")
    return tag


def png(function: Callable[[Figure], None], size: tuple[float, float]) -> bytes:
    """A figure as PNG on white; arguments as in :func:`svg`."""
    buffer = io.BytesIO()
    with _styled({}):
        FigureCanvasAgg(_drawn(function, size)).print_figure(buffer, dpi=_DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


@contextmanager
def _styled(more: dict[str, str]) -> Iterator[None]:
    with warnings.catch_warnings(), matplotlib.rc_context(_STYLE | more):
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # names in any script: whoever shows an SVG has the fonts
        yield


def _drawn(function: Callable[[Figure], None], size: tuple[float, float]) -> Figure:
    """The figure with margins of fixed width: panels align, no name squeezes a picture, and nothing has to be measured first."""
    figure, (width, height) = Figure(figsize=size), size
    left, right, bottom, top = _MARGINS
    figure.subplots_adjust(left=left / width, right=1 - right / width, bottom=bottom / height, top=1 - top / height, hspace=0.12)
    function(figure)
    return figure
