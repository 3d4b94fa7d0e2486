"""How often quoted intervals hold the truth: random sequences of known survival, binomial shots, thousands of experiments.

Exit status 1 if an interval of ours misses its band by more than three standard errors. ``--write`` puts the figures into
coverage.csv (replacing those of the same cells) and renews the tables in README.md from it.
"""

import argparse
import csv
import dataclasses
import fnmatch
import functools
import itertools
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import peers
import pools
import readme

from qthreshold.numerics.bootstrap import bootstrap_interleaved
from qthreshold.numerics.decay import fit_decays, interleaved_error
from qthreshold.numerics.intervals import bootstrap_interval, mean_of_finite_set, normal_half_width

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ERRORS = (1e-2, 5e-3, 1e-3, 1e-4)
SEQUENCES = (3, 5, 10, 30)
SHOTS = (100, 1000)
LEVELS = (0.68, 0.95)
PAIRS = 20
"""Pairs of a device."""
OURS, UNTOLD, BOOTSTRAP = "qthreshold", "qthreshold, outcomes not told", "qthreshold, bootstrap"
REPLICATES = 400
QUANTITIES = ("p, one curve", "C-NOT error, one pair", f"C-NOT error, mean of {PAIRS} pairs")
_CSV = Path(__file__).with_name("coverage.csv")


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One design of an experiment on one kind of noise."""

    family: str
    error: float
    sequences: int
    shots: int
    design: str = "six"

    @property
    def name(self) -> str:
        """As ``--cells`` matches it."""
        return f"{self.family}/{self.error:g}/{self.sequences}/{self.shots}/{self.design}"

    def rng(self, *more: int) -> np.random.Generator:
        """The cell's own stream."""
        return np.random.default_rng([zlib.crc32(self.name.encode()), *more])


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """Coverage of one estimator in one cell: shares of ``runs`` experiments; failed ones do not cover.

    ``bias`` and ``spread``: mean of (estimate - truth) and standard deviation of the estimates, in mean quoted standard errors.
    """

    estimator: str
    quantity: str
    family: str
    error: float
    sequences: int
    shots: int
    design: str
    runs: int
    covered_68: float
    covered_95: float
    failed: float
    bias: float
    spread: float

    @property
    def key(self) -> tuple[str | float, ...]:
        """What tells one row from another."""
        return dataclasses.astuple(self)[:7]

    def misses(self) -> str:
        """Which band is missed by more than three standard errors, empty if none."""
        many = self.sequences >= 10
        bands = [(0.95, self.covered_95, 0.935, 0.965), (0.68, self.covered_68, 0.65, 0.71)] if many else [(0.95, self.covered_95, 0.93, 0.97)]
        for level, share, low, high in bands:
            noise = 3 * np.sqrt(share * (1 - share) / self.runs)
            if not low - noise <= share <= high + noise:
                return f"{level:.0%} interval covers {share:.1%}, wanted {low:.1%} to {high:.1%}"
        return ""


def counts(source: pools.Source, cell: Cell, curves: int, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Lengths, survival counts ``(2, curves, L, K)`` and expected outcomes ``(curves, L, K)`` of that many experiments on one pair."""
    lengths = source.lengths(cell.design)
    survival, expected = source.draw(lengths, cell.sequences, curves, rng)
    return lengths, rng.binomial(cell.shots, survival), expected


def _row(estimator: str, quantity: str, cell: Cell, truth: float, value: Real, sigma: Real, inside: list[npt.NDArray[np.bool_]]) -> Row:
    ok = np.isfinite(value) & np.isfinite(sigma)
    unit = sigma[ok].mean() if ok.sum() > 1 else np.nan
    figures = (*((i & ok).mean() for i in inside), 1 - ok.mean(), (value[ok].mean() - truth) / unit, value[ok].std(ddof=1) / unit)
    return Row(estimator, quantity, *dataclasses.astuple(cell), value.size, *(round(float(v), 5) for v in figures))


def ours(source: pools.Source, cell: Cell, devices: int, *, told: bool = True) -> list[Row]:
    """Single curves, single pairs and device means of ``devices`` experiments on 20 equal pairs; ``told``: fits know the expected outcomes."""
    name = OURS if told else UNTOLD
    rng = cell.rng(0)
    p, pair = [], []
    for _ in range(PAIRS):
        lengths, x, expected = counts(source, cell, devices, rng)
        outcome = expected if told else None
        curve = [fit_decays(lengths, x[0], cell.shots, level=level, outcome=outcome) for level in LEVELS]
        both = [interleaved_error(lengths, *x, cell.shots, level=level, outcome=outcome) for level in LEVELS]
        p.append([curve[0].p, curve[0].p_error, *((f.p_low <= source.p_ref) & (source.p_ref <= f.p_high) for f in curve)])
        inside = ((f.low <= source.error) & (source.error <= f.high) for f in both)
        pair.append([both[0].error, both[0].standard_error, both[0].dof_error, *inside])
    value, sigma, dof = (np.array([f[i] for f in pair]) for i in range(3))
    means = np.array([[_device_mean(*columns, level) for columns in zip(value.T, sigma.T, dof.T, strict=True)] for level in LEVELS])
    hits = [(m[:, 1] <= source.error) & (source.error <= m[:, 2]) for m in means]
    return [
        _row(name, QUANTITIES[0], cell, source.p_ref, *(np.concatenate([f[i] for f in p]) for i in (0, 1)), _stacked(p, 2)),
        _row(name, QUANTITIES[1], cell, source.error, value.ravel(), sigma.ravel(), _stacked(pair, 3)),
        _row(name, QUANTITIES[2], cell, source.error, means[0, :, 0], means[0, :, 3], hits),
    ]


def bootstrapped(source: pools.Source, cell: Cell, repetitions: int) -> list[Row]:
    """Single pairs with intervals from the bootstrap; replicates that could not be fitted are left out, as the package does."""
    rng = cell.rng(2)
    lengths, x, expected = counts(source, cell, repetitions, rng)
    fit = interleaved_error(lengths, *x, cell.shots, outcome=expected)
    draws = bootstrap_interleaved(lengths, *x, cell.shots, rng=rng, replicates=REPLICATES, outcome=expected).draws
    ends = [bootstrap_interval(fit.error, draws, fit.dof_error, level) for level in LEVELS]
    inside = [(low <= source.error) & (source.error <= high) for low, high, _ in ends]
    return [_row(BOOTSTRAP, QUANTITIES[1], cell, source.error, fit.error, ends[0][2], inside)]


def _stacked(fits: list[list[Real]], first: int) -> list[npt.NDArray[np.bool_]]:
    return [np.concatenate([f[i] for f in fits]).astype(bool) for i in range(first, first + len(LEVELS))]


def _device_mean(value: Real, sigma: Real, dof: Real, level: float) -> tuple[float, float, float, float]:
    """Mean over a device as metrics.py takes it: pairs without estimate widen its interval."""
    ok = np.isfinite(value)
    return mean_of_finite_set(value[ok], sigma[ok], dof[ok], PAIRS, level)


def theirs(source: pools.Source, cell: Cell, estimator: str, repetitions: int) -> list[Row]:
    """The same of a peer, for single curves and pairs; its interval is normal, with the standard error that it quotes."""
    lengths, x, _ = counts(source, cell, repetitions, cell.rng(1))
    found = peers.ESTIMATORS[estimator](lengths, x, cell.shots)
    rows = []
    for quantity, truth, value, sigma in zip(QUANTITIES, (source.p_ref, source.error), found[::2], found[1::2], strict=False):
        inside = [np.abs(value - truth) <= normal_half_width(level) * sigma for level in LEVELS]
        rows.append(_row(estimator, quantity, cell, truth, value, sigma, inside))
    return rows


def cells(pattern: str) -> Iterator[Cell]:
    """Cells by name, neighbours with the same pools."""
    for family, error, design, sequences, shots in itertools.product(pools.FAMILIES, ERRORS, pools.DESIGNS, SEQUENCES, SHOTS):
        cell = Cell(family, error, sequences, shots, design)
        if fnmatch.fnmatch(cell.name, pattern):
            yield cell


def measure(chosen: Iterable[Cell], cache: Path | None, works: Iterable[Callable[[pools.Source, Cell], list[Row]]]) -> Iterator[Row]:
    """Rows of all cells, each from every piece of work."""
    for (family, error), group in itertools.groupby(chosen, lambda c: (c.family, c.error)):
        source = pools.Source.of(family, error, cache=cache)
        for cell in group:
            for work in works:
                yield from work(source, cell)


def load() -> list[Row]:
    """Rows of coverage.csv."""
    if not _CSV.exists():
        return []
    kinds = {f.name: f.type for f in dataclasses.fields(Row)}
    with _CSV.open(encoding="utf-8", newline="") as file:
        return [Row(**{k: kinds[k](v) for k, v in line.items()}) for line in csv.DictReader(file)]  # type: ignore[operator, misc]


def save(rows: list[Row]) -> list[Row]:
    """Merge rows into coverage.csv; all of them."""
    merged = sorted(({r.key: r for r in load()} | {r.key: r for r in rows}).values(), key=lambda r: r.key)
    with _CSV.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(f.name for f in dataclasses.fields(Row))
        writer.writerows(dataclasses.astuple(r) for r in merged)
    return merged


def table(rows: list[Row]) -> str:
    """Markdown: smallest and largest coverage over true errors and shots, 68 / 95 wanted."""
    families = list(pools.FAMILIES)
    lines = []
    for design, quantity in itertools.product(pools.DESIGNS, QUANTITIES):
        some = [r for r in rows if (r.design, r.quantity) == (design, quantity)]
        if not some:
            continue
        lines += [f"**{quantity}**; lengths: {design}", ""]
        lines += [f"| estimator | sequences | {' | '.join(families)} | failed |", "|---|--:|" + "--:|" * (len(families) + 1)]
        for name, k in itertools.product((OURS, UNTOLD, BOOTSTRAP, *peers.ESTIMATORS), SEQUENCES):
            line = [r for r in some if r.estimator == name and r.sequences == k]
            if line:
                by_family = [[r for r in line if r.family == f] for f in families]
                lines.append(f"| {name} | {k} | {' | '.join(map(_ranges, by_family))} | {_failures(line)} |")
        lines.append("")
    return "\n".join(lines)


def _ranges(rows: list[Row]) -> str:
    digits = 1 if any(r.estimator in (OURS, UNTOLD, BOOTSTRAP) for r in rows) else 0
    spans = [[100 * v for v in (min(c), max(c))] for c in ([r.covered_68 for r in rows], [r.covered_95 for r in rows])] if rows else []
    return " / ".join(f"{low:.{digits}f}-{high:.{digits}f}" for low, high in spans) or "-"


def _failures(rows: list[Row]) -> str:
    worst = max(r.failed for r in rows)
    return f"up to {100 * worst:.2g} %" if worst else "0"


def main() -> int:
    """Measure, print, and judge ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", default="*/six", help="family/error/sequences/shots/lengths, with wildcards (default: %(default)s)")
    parser.add_argument("--cache", type=Path, help="folder that keeps the pools of sequences")
    parser.add_argument("--devices", type=int, default=3000, help="our repetitions, 20 pairs each; 0: none (default: %(default)s)")
    parser.add_argument("--untold", action="store_true", help="do not tell our fits which outcome a sequence should have")
    parser.add_argument("--bootstrap", type=int, default=0, help="repetitions of our bootstrap (default: none)")
    parser.add_argument("--peers", nargs="*", choices=peers.ESTIMATORS, help="measure peers too; without a name all of them")
    parser.add_argument("--peer-repetitions", type=int, default=300, help="(default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="renew coverage.csv and README.md")
    options = parser.parse_args()
    works: list[Callable[[pools.Source, Cell], list[Row]]] = []
    if options.devices:
        works.append(functools.partial(ours, devices=options.devices, told=not options.untold))
    if options.bootstrap:
        works.append(functools.partial(bootstrapped, repetitions=options.bootstrap))
    for name in [] if options.peers is None else options.peers or peers.ESTIMATORS:
        works.append(functools.partial(theirs, estimator=name, repetitions=options.peer_repetitions))
    start, rows = time.monotonic(), []
    for row in measure(cells(options.cells), options.cache, works):
        rows.append(row)
        print(*dataclasses.astuple(row), row.misses() if row.estimator == OURS else "", sep=", ", flush=True)
    print(table(rows))
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
    if options.write:
        readme.renew("coverage", table(save(rows)))
    missed = [r for r in rows if r.estimator == OURS and r.misses()]
    for r in missed:
        print(f"missed: {r.quantity}, {'/'.join(map(str, r.key[2:]))}: {r.misses()}", file=sys.stderr)
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
