"""Colours of error rates: one scale for all pictures, legible with any colour vision, in grey and on any paper."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LEVELS", "PALETTE", "Scale", "colour_of", "contrast", "make_scale", "text_colour", "ticks"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEVELS = 48
"""How many colours a scale is cut into; neighbouring ones cannot be told apart by eye."""

_CIVIDIS = (
    (0, 0x00224E), (6, 0x002758), (22, 0x003171), (28, 0x123570), (49, 0x33446D), (100, 0x656870), (152, 0x938E78), (179, 0xAEA371),
    (225, 0xDFCA57), (250, 0xFCE236), (255, 0xFEE838),
)  # fmt: skip
_LOW, _HIGH = 0.04, 0.99  # quantiles of the values that the scale spans
_SPARED = 0.08  # share of the values that may lie below the scale, where that makes it shorter by a step
_BELOW, _ABOVE = 20.0, 50.0  # how far it reaches from the median at most, as factors: one odd value must not flatten the rest
_NARROWEST = 2.0  # high over low, at least
_NOTHING = 1e-6  # upper end of a scale for values of which none is above 0


def colour_of(share: float) -> str:
    """A colour from pale yellow (0, low error) to dark blue (1, high error).

    Cividis, reversed: lightness falls evenly, with and without colour vision deficiency. Between 11 colours of the published table it is
    interpolated, at most 4 of 255 steps off.

    References:
        J. R. Nunez, C. R. Anderton and R. S. Renslow, Optimizing colormaps with consideration for color vision deficiency to enable accurate
        interpretation of scientific data, PLoS ONE 13(7), e0199239 (2018), table S1.

    Example:
        >>> colour_of(0.0), colour_of(1.0)
        ('#fee838', '#00224e')
    """
    at = 255 * (1 - min(max(share, 0.0), 1.0))
    place = [p for p, _ in _CIVIDIS]
    return "#" + "".join(f"{round(float(np.interp(at, place, [c >> shift & 255 for _, c in _CIVIDIS]))):02x}" for shift in (16, 8, 0))


PALETTE = tuple(colour_of(i / (LEVELS - 1)) for i in range(LEVELS))
"""Colour of each level, low errors first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A logarithmic scale of colours.

    Attributes:
        low, high: Its ends, each 1, 2 or 5 times a power of ten.
        below, above: Whether some values lie beyond an end; they have its colour.
    """

    low: float
    high: float
    below: bool
    above: bool

    def share(self, values: npt.ArrayLike) -> Real:
        """How far up the scale values lie, 0 to 1; NaN stays NaN.

        Args:
            values: Error rates, any shape; 0 and negative ones lie at the lower end.
        """
        v = np.asarray(values, dtype=float)
        inside = np.clip(np.where(v > 0, v, np.where(np.isnan(v), np.nan, self.low)), self.low, self.high)
        return np.asarray(np.log(inside / self.low) / math.log(self.high / self.low))

    def level(self, values: npt.ArrayLike) -> Ints:
        """Level of values, an index of :data:`PALETTE`; -1 for NaN."""
        share = self.share(values)
        return np.where(np.isnan(share), -1, np.round(np.nan_to_num(share) * (LEVELS - 1))).astype(np.int64)


def make_scale(values: npt.ArrayLike) -> Scale | None:
    """The scale that shows values best; None if there is none.

    Args:
        values: Error rates, ``(N,)``; NaN for missing ones, 0 and negative ones as they come from estimates around 0.

    Example:
        >>> make_scale([1.1e-3, 4e-3, 2.5e-3, float("nan")])
        Scale(low=0.001, high=0.005, below=False, above=False)
    """
    v = np.asarray(values, dtype=float)
    v = v[np.isfinite(v)]
    if not v.size:
        return None
    positive = v[v > 0]
    if positive.size:
        middle = float(np.median(positive))
        least, most = float(np.quantile(positive, _LOW, method="lower")), float(np.quantile(positive, _HIGH, method="higher"))
        least, high = max(least, middle / _BELOW), _step(min(most, middle * _ABOVE), up=True)
        low = _step(least, up=True)
        if (positive < low).mean() > _SPARED:
            low = _step(least, up=False)
    else:
        low = high = _NOTHING
    while high < _NARROWEST * low * (1 - 1e-9):
        low, high = _step(low * 0.99, up=False), _step(high * 1.01, up=True)
    return Scale(low=low, high=high, below=bool(v.min() < low * (1 - 1e-9)), above=bool(v.max() > high * (1 + 1e-9)))


def _step(value: float, *, up: bool) -> float:
    """The next 1, 2 or 5 times a power of ten.

    Example:
        >>> _step(0.0031, up=True), _step(0.0031, up=False), _step(0.002, up=True), _step(0.002, up=False)
        (0.005, 0.002, 0.002, 0.002)
    """
    exponent = math.floor(math.log10(value))
    steps = [float(f"{m}e{e}") for e in range(exponent - 1, exponent + 2) for m in (1, 2, 5)]
    return min(s for s in steps if s >= value * (1 - 1e-9)) if up else max(s for s in steps if s <= value * (1 + 1e-9))


def ticks(scale: Scale, apart: float) -> list[float]:
    """Values to write at a scale: both ends and what fits between, whole powers of ten first.

    Args:
        scale: The scale.
        apart: Least distance between two, as a share of its length.

    Example:
        >>> ticks(Scale(low=1e-3, high=1e-2, below=False, above=False), 0.25)
        [0.001, 0.002, 0.005, 0.01]
        >>> ticks(Scale(low=1e-4, high=1e-2, below=False, above=False), 0.25)
        [0.0001, 0.001, 0.01]
    """
    between = [float(f"{m}e{e}") for m in (1, 2, 5) for e in range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)]
    kept = [scale.low, scale.high]
    for value in between:
        if scale.low < value < scale.high and all(abs(float(scale.share(value) - scale.share(k))) >= apart for k in kept):
            kept.append(value)
    return sorted(kept)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours ``#rrggbb``, 1 to 21.

    References:
        Web Content Accessibility Guidelines 2.2 (W3C, 2023), definitions of contrast ratio and relative luminance.

    Example:
        >>> contrast("#ffffff", "#000000")
        21.0
    """
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear: Sequence[float] = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def text_colour(fill: str) -> str:
    """Black or white, whichever is better to read on a colour; a contrast of 4.5 or more on any.

    Example:
        >>> text_colour("#fee838"), text_colour("#00224e")
        ('#000000', '#ffffff')
    """
    return max(("#000000", "#ffffff"), key=lambda c: contrast(c, fill))
