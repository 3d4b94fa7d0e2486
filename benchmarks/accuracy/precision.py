"""Scatter, efficiency and bias of the C-NOT error: beside peers on the same counts, and beside the Cramer-Rao bound.

Exit status 1 if ours scatters by more than 6.5 % at r = 1e-3 with lengths 1 to 150, has more than 1.1 times the variance of the
bound (1.6 where all noise is coherent), or a bias above 5 % of the standard error and above 1 % of the error. ``--write`` renews
the tables in README.md.

References:
    C. R. Rao, Bull. Calcutta Math. Soc. 37, 81 (1945); H. Cramer, Mathematical Methods of Statistics (1946), chapter 32.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import coverage
import numpy as np
import numpy.typing as npt
import peers
import pools
import readme

from qthreshold.numerics.decay import interleaved_error

Real = npt.NDArray[np.float64]

PER_STEP = "depolarizing, equal for all Cliffords"
SCATTER, VARIANCE, BIAS_SIGMA, BIAS_SHARE = 0.065, 1.1, 0.05, 0.01
VARIANCE_COHERENT = 1.6  # weights stay binomial, because those that follow the scatter bias the mean over pairs (DECISIONS.md)
_COMPARED = coverage.Cell("depolarizing", 1e-3, 10, 1000, "fixed")


@dataclass(frozen=True, slots=True)
class Scatter:
    """Estimates of the C-NOT error by one estimator, in units of the truth; ``middle`` is the standard deviation as quartiles show it."""

    estimator: str
    runs: int
    failed: float
    mean: float
    deviation: float
    middle: float

    @classmethod
    def of(cls, estimator: str, error: Real, truth: float) -> "Scatter":
        """Summary of estimates ``(N,)``, NaN where they failed."""
        x = error[np.isfinite(error)] / truth
        quartiles = np.subtract(*np.quantile(x, [0.75, 0.25])) / 1.349
        return cls(estimator, error.size, 1 - x.size / error.size, x.mean(), x.std(ddof=1), float(quartiles))


def compare(source: pools.Source, repetitions: int) -> list[Scatter]:
    """Ours and every peer on the same counts."""
    cell = _COMPARED
    lengths, x, _ = coverage.counts(source, cell, repetitions, cell.rng(2))
    found = {coverage.OURS: interleaved_error(lengths, *x, cell.shots).error}
    found |= {name: estimator(lengths, x, cell.shots).error for name, estimator in peers.ESTIMATORS.items()}
    return [Scatter.of(name, error, cell.error) for name, error in found.items()]


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Our estimate in one cell: variance over the bound, bias in standard deviations and as a share of the truth, with standard errors."""

    noise: str
    error: float
    shots: int
    design: str
    deviation: float
    variance: float
    variance_error: float
    bias: float
    bias_error: float

    def misses(self) -> list[str]:
        """What is out of tolerance by more than three standard errors."""
        out = []
        limit = VARIANCE_COHERENT if self.noise == "coherent" else VARIANCE
        if self.variance - 3 * self.variance_error > limit:
            out.append(f"variance {self.variance:.3f} of the bound, wanted {limit}")
        excess = abs(self.bias) - 3 * self.bias_error
        if excess > BIAS_SIGMA and excess * self.deviation > BIAS_SHARE:
            out.append(f"bias {self.bias:+.3f} standard deviations, {self.bias * self.deviation:+.2%} of the error")
        return out


def efficiency(source: pools.Source, cell: coverage.Cell, repetitions: int, *, per_step: bool = False) -> Efficiency:
    """Ours beside the bound. ``per_step``: noise after each step that does not depend on the Clifford, so that all sequences survive alike."""
    lengths = source.lengths(cell.design)
    p = np.array([[source.p_ref], [source.p_int]])
    means, scatter = _moments(source, lengths)
    amplitude = (means[0, 0] - 0.25) / p[0, 0] ** lengths[0]
    if per_step:
        means, scatter = amplitude * p**lengths + 0.25, np.zeros_like(scatter)
        rng = cell.rng(4)
        x = rng.binomial(cell.shots, np.broadcast_to(means[:, None, :, None], (2, repetitions, lengths.size, cell.sequences)))
    else:
        x = coverage.counts(source, cell, repetitions, cell.rng(3))[1]
    fit = interleaved_error(lengths, *x, cell.shots)
    found = fit.error[np.isfinite(fit.error)]
    sd = found.std(ddof=1)
    bound = _bound(p, amplitude, lengths, means, scatter, cell)
    kurtosis = float(np.mean((found - found.mean()) ** 4) / sd**4)
    variance = float(sd**2 / bound)
    return Efficiency(
        PER_STEP if per_step else cell.family, cell.error, cell.shots, cell.design, sd / cell.error,
        variance, variance * np.sqrt((kurtosis - 1) / found.size), (found.mean() - cell.error) / sd, 1 / np.sqrt(found.size),
    )  # fmt: skip


def _moments(source: pools.Source, lengths: coverage.Ints) -> tuple[Real, Real]:
    """Mean survival ``(2, L)`` and its covariance between sequences of one expected outcome, which outcomes in balance leave, ``(L, 2, 2)``."""
    pool = np.stack([source.pool(m) for m in lengths.tolist()], axis=1)  # (2, L, size, 4)
    centred = pool - pool.mean(axis=2, keepdims=True)
    return pool.mean(axis=(2, 3)), np.einsum("also,blso->lab", centred, centred) / (pool.shape[2] * pool.shape[3])


def _bound(p: Real, a: float, lengths: coverage.Ints, means: Real, scatter: Real, cell: coverage.Cell) -> float:
    """Smallest variance of an unbiased estimate of the C-NOT error, A unknown and common to both arms, B known.

    Information of the mean survival of the arms at each length, normal with the covariance that sequences and shots give it.
    """
    binomial = (means * (1 - means) - np.einsum("laa->al", scatter)) / cell.shots
    covariance = (scatter + np.einsum("al,ab->lab", binomial, np.eye(2))) / cell.sequences
    gradient = np.zeros((lengths.size, 2, 3))  # of the means, to A, p_ref, p_int
    gradient[:, :, 0] = (p**lengths).T
    for arm in (0, 1):
        gradient[:, arm, 1 + arm] = a * lengths * p[arm] ** (lengths - 1)
    information = np.einsum("lap,lab,lbq->pq", gradient, np.linalg.inv(covariance), gradient)
    ref, inter = p[:, 0]
    slope = 0.75 * np.array([0.0, inter / ref**2, -1 / ref])
    return float(slope @ np.linalg.solve(information, slope))


def compare_table(rows: list[Scatter]) -> str:
    """Markdown."""
    lines = ["| estimator | runs | standard deviation | from quartiles | mean | failed |", "|---|--:|--:|--:|--:|--:|"]
    for r in rows:
        count = r.runs * (1 - r.failed)
        noise, sem = r.deviation / np.sqrt(2 * count), r.deviation / np.sqrt(count)
        lines.append(
            f"| {r.estimator} | {r.runs} | {r.deviation:.1%} +- {noise:.1%} | {r.middle:.1%} | {r.mean - 1:+.1%} +- {sem:.1%} | {r.failed:.1%} |"
        )
    return "\n".join(lines) + "\n"


def efficiency_table(rows: list[Efficiency]) -> str:
    """Markdown."""
    lines = [
        "| noise | true error | shots | lengths | standard deviation | variance over the bound | bias, standard deviations | bias, of the error |",
        "|---|--:|--:|---|--:|--:|--:|--:|",
    ]
    for r in rows:
        lines.append(
            f"| {r.noise} | {r.error:g} | {r.shots} | {r.design} | {r.deviation:.1%} | {r.variance:.3f} +- {r.variance_error:.3f} "
            f"| {r.bias:+.3f} +- {r.bias_error:.3f} | {r.bias * r.deviation:+.2%} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print, and judge ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, help="folder that keeps the pools of sequences")
    parser.add_argument("--repetitions", type=int, default=20_000, help="of ours, a cell (default: %(default)s)")
    parser.add_argument("--peer-repetitions", type=int, default=500, help="of all estimators on the same counts; 0: none (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="renew README.md")
    options = parser.parse_args()
    problems, rows = [], []
    for family in pools.FAMILIES:
        for error in coverage.ERRORS:
            source = pools.Source.of(family, error, cache=options.cache)
            for shots in coverage.SHOTS:
                cell = coverage.Cell(family, error, 10, shots)
                rows += [efficiency(source, cell, options.repetitions, per_step=s) for s in ((True, False) if family == "depolarizing" else (False,))]
    text = efficiency_table(rows)
    print(text)
    problems += [f"{r.noise} at {r.error:g}, {r.shots} shots: {p}" for r in rows for p in r.misses()]
    if options.write:
        readme.renew("efficiency", text)
    if options.peer_repetitions:
        beside = compare(pools.Source.of(_COMPARED.family, _COMPARED.error, cache=options.cache), options.peer_repetitions)
        text = compare_table(beside)
        print(text)
        if beside[0].deviation * (1 - 3 / np.sqrt(2 * beside[0].runs)) > SCATTER:
            problems.append(f"standard deviation {beside[0].deviation:.1%} beside peers, wanted {SCATTER:.1%}")
        if options.write:
            readme.renew("precision", text)
    for p in problems:
        print(f"missed: {p}", file=sys.stderr)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
