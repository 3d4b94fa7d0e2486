"""A picture of the device: its coupling graph, coloured by what was measured, as one small SVG."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from qthreshold.device import Device
from qthreshold.fits import FittedErrors
from qthreshold.metrics import DeviceMetrics
from qthreshold.numerics.decay import REJECTED
from qthreshold.report.colours import PALETTE, Scale, make_scale, text_colour
from qthreshold.report.geometry import NUMBERED, Placed, pixels, place, spots
from qthreshold.report.legend import Bar, Key, legend
from qthreshold.report.words import number

__all__ = ["device_map", "map_alt"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.str_]
Ink = Callable[[str], str]

_INKS = {"ink": "#1e222a", "muted": "#6b7280", "paper": "#ffffff", "bad": "#b3261e"}
_FONT = "font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\""
_LABELLED, _FEW = 3, 6  # worst pairs; so many or fewer are all labelled
_LABEL_LINE = 11.0
_RIM = 3.0  # pixels by which the rim of a labelled one is wider


def map_alt(device: Device, fits: FittedErrors, metrics: DeviceMetrics) -> str:
    """What the map shows, in a sentence.

    Args:
        device: The device.
        fits: Error rates of its measured pairs.
        metrics: Which qubits count.
    """
    state, error = _pair_states(device, fits)
    out = f"{_many(device.n_qubits, 'qubit')}, {_many(len(device.edges), 'pair')}"
    measured = np.flatnonzero(state == "measured")
    known = np.intersect1d(measured, metrics.member_edges)
    outside, known = measured.size - known.size, known if known.size else measured
    if known.size:
        worst, best = known[error[known].argmax()], known[error[known].argmin()]
        high, low = number(error[worst], 2), number(error[best], 2)
        out += f"; {'upper estimate of the ' if fits.estimate == 'upper' else ''}C-NOT error"
        out += f": worst pair {_name(device, worst)} at {high}, best {_name(device, best)} at {low}" if high != low else f" {high}"
    else:
        out += "; no C-NOT error measured"
    parts = [
        (device.n_qubits - len(metrics.members), "qubit", "not counted"), (outside, "pair", "measured but not counted"),
        (int((state == "failed").sum()), "pair", "failed or excluded"), (int((state == "unmeasured").sum()), "pair", "not measured"),
    ]  # fmt: skip
    rest = [f"{_many(count, what)} {how}" for count, what, how in parts if count]
    return out + (f"; {', '.join(rest)}" if rest else "") + "."


def device_map(device: Device, fits: FittedErrors, metrics: DeviceMetrics, *, standalone: bool = False) -> str:
    """The coupling graph as SVG: pairs coloured by C-NOT error, qubits by readout error, and what does not work or was not measured.

    Every pair and qubit is an element of class ``e`` or ``q`` with ``data-row="pair-3-4"`` or ``data-row="qubit-5"``. In a page its inks follow
    the custom properties ``--ink``, ``--muted``, ``--paper`` and ``--bad``, and it is never wider than the page.

    Args:
        device: The device; its coordinates are used where it has them (x to the right, y downward).
        fits: Error rates.
        metrics: Which qubits work and count.
        standalone: A file of its own, on white, with a title, in place of a part of a page.
    """
    ink: Ink = _INKS.__getitem__ if standalone else lambda name: f"var(--{name}, {_INKS[name]})"
    shown = _Shown.of(device, fits, metrics)
    bars = [Bar(title="C-NOT error, upper" if fits.estimate == "upper" else "C-NOT error", scale=shown.error_scale)]
    if shown.readout_scale is not None or np.isnan(fits.readout[:, 0]).all():
        bars.append(Bar(title="readout error", scale=shown.readout_scale))
    foot, width, height = legend(bars, _keys(shown, ink), shown.at.width, shown.at.height, ink)
    alt = escape(map_alt(device, fits, metrics), quote=True)
    shift = max(0.0, (width - shown.at.width) / 2)
    body = [f'<g transform="translate({pixels(shift)} 0)">', *_pairs(shown, ink), *_qubits(shown, ink), *_labels(shown, ink), "</g>", *foot]
    size = f'width="{pixels(width)}" height="{pixels(height)}"'
    head = f'class="chip" viewBox="0 0 {pixels(width)} {pixels(height)}" {size} role="img" aria-label="{alt}" font-size="11"'
    if standalone:
        head += f' xmlns="http://www.w3.org/2000/svg" {_FONT}'
        name = escape("".join(c for c in device.name if c.isprintable()))
        body = [f"<title>Device map of {name}</title><desc>{alt}</desc>", f'<rect {size} fill="{ink("paper")}"/>', *body]
    else:
        head += ' style="max-width:100%;height:auto"'
    return f"<svg {head}>" + "\n".join(body) + "</svg>\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What is drawn, and where.

    Attributes:
        device: The device.
        at: Where everything is.
        pair, qubit: ``measured``, ``failed`` or ``unmeasured``; qubits also ``outside``: working, but not part of what is counted.
        counted: Whether each pair is one that the mean runs over.
        error, readout: NaN where there is none, ``(E,)`` and ``(n,)``.
        error_scale, readout_scale: Their colours; None if there is nothing to colour.
    """

    device: Device
    at: Placed
    pair: Codes
    qubit: Codes
    counted: npt.NDArray[np.bool_]
    error: Real
    readout: Real
    error_scale: Scale | None
    readout_scale: Scale | None

    @classmethod
    def of(cls, device: Device, fits: FittedErrors, metrics: DeviceMetrics) -> "_Shown":
        pair, error = _pair_states(device, fits)
        qubit, readout = _qubit_states(device, fits, metrics)
        return cls(
            device=device, at=place(device.coordinates, device.edges, int((pair == "measured").sum())), pair=pair, qubit=qubit,
            counted=np.isin(np.arange(len(device.edges)), metrics.member_edges), error=error, readout=readout, error_scale=make_scale(error),
            readout_scale=make_scale(readout),
        )  # fmt: skip

    @property
    def named(self) -> bool:
        """Whether there is room for numbers and names."""
        return self.device.n_qubits <= NUMBERED

    @property
    def worst(self) -> Ints:
        """The counted pairs that stand out, worst first; none where all can be labelled."""
        known = np.flatnonzero((self.pair == "measured") & (self.counted | ~self.counted.any()))
        if not self.named or known.size <= _FEW or self.error_scale is None:
            return np.zeros(0, dtype=np.int64)
        rows = known[np.argsort(-self.error[known], kind="stable")][:_LABELLED]
        return rows[self.error[rows] > self.error_scale.low]


def _pair_states(device: Device, fits: FittedErrors) -> tuple[Codes, Real]:
    """``measured``, ``failed`` or ``unmeasured``, and the C-NOT error, of each pair."""
    state, error = np.full(len(device.edges), "failed", dtype="<U10"), np.full(len(device.edges), np.nan)
    state[device.usable_edges] = "unmeasured"
    fitted = np.isfinite(fits.cnot[:, 0]) & ~np.isin(fits.edge_status, REJECTED)
    state[fits.edges] = np.where(fitted, "measured", np.where(np.array(fits.edge_status) == "no_data", "unmeasured", "failed"))
    error[fits.edges[fitted]] = fits.cnot[fitted, 0]
    return state, error


def _qubit_states(device: Device, fits: FittedErrors, metrics: DeviceMetrics) -> tuple[Codes, Real]:
    """``measured``, ``outside``, ``failed`` or ``unmeasured``, and the readout error, of each qubit."""
    state, readout = np.full(device.n_qubits, "failed", dtype="<U10"), np.full(device.n_qubits, np.nan)
    state[device.usable_qubits] = "unmeasured"
    state[fits.qubits] = np.where(np.isin(fits.qubits, metrics.members), "measured", "outside")
    state[fits.qubits[metrics.works[fits.qubits] < 0.5]] = "failed"
    shown = fits.qubits[np.isin(state[fits.qubits], ("measured", "outside"))]
    readout[fits.qubits] = fits.readout[:, 0]
    readout[np.setdiff1d(np.arange(device.n_qubits), shown)] = np.nan
    return state, readout


def _pairs(s: _Shown, ink: Ink) -> Iterable[str]:
    """Pairs, worst last: on top of the others."""
    lines, width = s.at.lines(), s.at.stroke
    edges = s.device.edges.tolist()

    def elements(rows: Ints) -> str:
        return "".join(f'<path class="e" data-row="pair-{edges[i][0]}-{edges[i][1]}" d="{lines[i]}"/>' for i in rows.tolist())

    silent, failed, known = (np.flatnonzero(s.pair == state) for state in ("unmeasured", "failed", "measured"))
    yield '<g fill="none">'
    if silent.size:
        style = 'stroke-width="0.5" stroke-opacity="0.15"' if s.at.dense else 'stroke-width="1.2" stroke-dasharray="3 3"'
        yield f'<g stroke="{ink("muted")}" {style}>{elements(silent)}</g>'
    if s.error_scale is not None:
        level = s.error_scale.level(s.error)
        blocks = [known[level[known] == k] for k in range(len(PALETTE))] if s.at.dense else [known]
        yield f'<g stroke-width="{pixels(width)}">'
        worst = s.worst
        for block in blocks:  # where lines cross, each stands out from those below
            inside = block[s.counted[block]]
            for rows, rim in ((np.setdiff1d(inside, worst), 0.0), (np.intersect1d(block, worst), _RIM)):
                if rows.size and s.at.casing + rim:
                    casing = f'stroke="{ink("ink")}" stroke-width="{pixels(width + s.at.casing + rim)}" pointer-events="none"'
                    yield f'<path {casing} d="{"".join(lines[i] for i in rows.tolist())}"/>'
            for k in np.unique(level[block]).tolist():
                for rows, style in ((inside, ""), (np.setdiff1d(block, inside), ' stroke-dasharray="7 2.5"')):
                    if (level[rows] == k).any():
                        yield f'<g stroke="{PALETTE[k]}"{style}>{elements(rows[level[rows] == k])}</g>'
        yield "</g>"
    if failed.size:
        yield f'<g stroke="{ink("bad")}" stroke-width="{pixels(min(1.6, width))}" stroke-dasharray="4 3">{elements(failed)}</g>'
        yield _crosses(s.at.middle[failed], max(2.0, 0.9 * width), f' stroke="{ink("bad")}" stroke-width="{pixels(min(1.8, width))}"')
    yield "</g>"


def _qubits(s: _Shown, ink: Ink) -> Iterable[str]:
    """Qubits, and their numbers where there is room."""
    r, at = s.at.radius, s.at.x
    level = s.readout_scale.level(s.readout) if s.readout_scale is not None else np.full(len(at), -1)
    size = pixels(r)

    def elements(rows: Ints) -> str:
        return "".join(
            f'<circle class="q" data-row="qubit-{q}" cx="{pixels(x)}" cy="{pixels(y)}" r="{size}"/>'
            for q, (x, y) in zip(rows.tolist(), at[rows].tolist(), strict=True)
        )

    yield f'<g stroke="{ink("ink")}" stroke-width="{pixels(min(1.2, max(0.4, 0.1 * r)))}" fill="{ink("paper")}">'
    for state, style in (
        ("measured", ""), ("outside", f' stroke-dasharray="{pixels(0.5 * r)} {pixels(0.3 * r)}"'), ("unmeasured", f' stroke="{ink("muted")}"'),
        ("failed", f' stroke="{ink("bad")}"'),
    ):  # fmt: skip
        rows = np.flatnonzero(s.qubit == state)
        if not rows.size:
            continue
        yield f"<g{style}>"
        for k in np.unique(level[rows]).tolist():
            block = elements(rows[level[rows] == k])
            yield block if k < 0 else f'<g fill="{PALETTE[k]}">{block}</g>'
        if state == "failed":
            yield _crosses(at[rows], 0.62 * r, "")
        yield "</g>"
    yield "</g>"
    yield from _numbers(s, level, ink)


def _numbers(s: _Shown, level: Ints, ink: Ink) -> Iterable[str]:
    font = min(10.5, 0.86 * s.at.radius)
    if not s.named or font < 6:
        return
    groups: dict[str, list[str]] = {}
    for q, ((x, y), k, state) in enumerate(zip(s.at.x.tolist(), level.tolist(), s.qubit.tolist(), strict=True)):
        if state != "failed":  # its cross would cover it
            colour = ink("ink") if k < 0 else text_colour(PALETTE[k])
            groups.setdefault(colour, []).append(f'<text x="{pixels(x)}" y="{pixels(y + 0.36 * font)}">{q}</text>')
    yield f'<g font-size="{pixels(font)}" text-anchor="middle" pointer-events="none">'
    yield from (f'<g fill="{colour}">{"".join(texts)}</g>' for colour, texts in groups.items())
    yield "</g>"


def _labels(s: _Shown, ink: Ink) -> Iterable[str]:
    """Names and errors of the worst pairs, beside them; errors alone if there is no room, or if all pairs have one."""
    known = np.flatnonzero(s.pair == "measured")
    rows = known if known.size <= _FEW else s.worst
    if not s.named or s.at.dense or not rows.size:
        return
    errors = [number(s.error[i], 2) for i in rows]
    texts = [[error] for error in errors]
    places, covered = spots(s.at, rows, _label_size(texts))
    if s.worst.size:
        longer = [[_name(s.device, i), error] for i, error in zip(rows, errors, strict=True)]
        roomy, more = spots(s.at, rows, _label_size(longer))
        if more <= covered:
            texts, places = longer, roomy
    halo = f'stroke="{ink("paper")}" stroke-width="3" stroke-linejoin="round" paint-order="stroke"'
    yield f'<g pointer-events="none" text-anchor="middle" font-size="9.5" fill="{ink("ink")}" {halo}>'
    for text, (x, y) in zip(texts, places.tolist(), strict=True):
        top = y + 3.4 - _LABEL_LINE * (len(text) - 1) / 2
        yield from (f'<text x="{pixels(x)}" y="{pixels(top + _LABEL_LINE * k)}">{line}</text>' for k, line in enumerate(text))
    yield "</g>"


def _label_size(texts: list[list[str]]) -> tuple[float, float]:
    """Room for the largest of some labels."""
    return 5.6 * max(len(line) for text in texts for line in text), _LABEL_LINE * max(map(len, texts))


def _keys(s: _Shown, ink: Ink) -> list[Key]:
    """Marks that occur."""
    bad, muted = f'stroke="{ink("bad")}"', f'stroke="{ink("muted")}"'
    circle = '<circle r="7" fill="{fill}" stroke-width="1.2" {style}/>'.format
    cross = _crosses(np.zeros((1, 2)), 4.3, f' {bad} stroke-width="1.2"')
    lines = _crosses(np.zeros((1, 2)), 4, f' {bad} stroke-width="1.8"')
    silent = 'stroke-opacity="0.4"' if s.at.dense else 'stroke-width="1.2" stroke-dasharray="3 3"'
    outside = np.where((s.pair == "measured") & ~s.counted, "outside", s.pair)
    found = [
        (
            outside,
            "outside",
            f'<path d="M-11 0h22" stroke="{PALETTE[len(PALETTE) // 2]}" stroke-width="4" stroke-dasharray="7 2.5"/>',
            "pair measured but not counted",
        ),
        (s.pair, "unmeasured", f'<path d="M-11 0h22" {muted} {silent}/>', "pair not measured"),
        (s.pair, "failed", f'<path d="M-11 0h22" {bad} stroke-width="1.6" stroke-dasharray="4 3"/>{lines}', "pair failed or excluded"),
        (s.qubit, "failed", circle(fill=ink("paper"), style=bad) + cross, "qubit not working"),
        (s.qubit, "outside", circle(fill="none", style=f'stroke="{ink("ink")}" stroke-dasharray="3.5 2"'), "working, but not counted"),
        (s.qubit, "unmeasured", circle(fill=ink("paper"), style=muted), "qubit not measured"),
    ]
    keys = [Key(mark=mark, text=text) for states, state, mark, text in found if (states == state).any()]
    if s.at.dense and s.worst.size:  # no label would be legible among so many lines
        line = f'<path d="M-11 0h22" stroke="{ink("ink")}" stroke-width="6"/><path d="M-11 0h22" stroke="{PALETTE[-1]}" stroke-width="2.5"/>'
        keys.insert(0, Key(mark=line, text="worst pairs: " + ", ".join(f"{_name(s.device, i)} {number(s.error[i], 2)}" for i in s.worst)))
    return keys


def _crosses(centres: Real, arm: float, style: str) -> str:
    """Crosses as one path."""
    a, b = pixels(arm), pixels(2 * arm)
    lines = "".join(f"M{pixels(x)} {pixels(y)}m-{a} -{a}l{b} {b}m0 -{b}l-{b} {b}" for x, y in centres.tolist())
    return f'<path{style} pointer-events="none" d="{lines}"/>'


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _name(device: Device, pair: int) -> str:
    return f"{device.edges[pair, 0]}-{device.edges[pair, 1]}"
