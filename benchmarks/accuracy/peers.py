"""Other people's estimators of the same counts: separate three-parameter fits with scipy, and qiskit-experiments' analyses.

Each takes lengths ``(L,)``, survival counts ``(2, N, L, K)`` (reference, interleaved) and the shots per sequence, and returns the
decay parameter of the reference arm and the C-NOT error with their quoted standard errors, ``(N,)`` each. A failed fit is NaN.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import curve_fit

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Quoted(NamedTuple):
    """Estimates and quoted standard errors."""

    p: Real
    p_error: Real
    error: Real
    error_error: Real


Estimator = Callable[[Ints, Ints, int], Quoted]


def _decay(m: Real, a: float, p: float, b: float) -> Real:
    return a * np.abs(p) ** m + b


def _curve(m: Real, x: Ints, shots: int, weights: str) -> tuple[float, float]:
    """Decay parameter and its standard error of one curve ``(L, K)``, from the mean survival at each length."""
    share = x / shots
    y, k = share.mean(axis=1), x.shape[1]
    floor = 0.5 / (shots * k)  # a length where every shot survived still has an error
    sigma = {
        "unweighted": None,
        "binomial": np.sqrt(np.clip(y * (1 - y), floor, None) / (shots * k)),
        "sequences": np.maximum(share.std(axis=1, ddof=1) / np.sqrt(k), floor),
    }[weights]
    try:
        best, covariance = curve_fit(_decay, m, y, p0=(0.75, np.exp(-1 / m[-1]), 0.25), sigma=sigma, absolute_sigma=sigma is not None)
    except RuntimeError:
        return np.nan, np.nan
    return (float(best[1]), float(np.sqrt(covariance[1, 1]))) if np.isfinite(covariance[1, 1]) else (np.nan, np.nan)


def scipy_fits(lengths: Ints, survived: Ints, shots: int, *, weights: str) -> Quoted:
    """A p^m + B for each arm by itself, and the C-NOT error from the two p by propagation."""
    m = lengths.astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = np.array([[_curve(m, x, shots, weights) for x in arm] for arm in survived])
    (ref, ref_error), (inter, inter_error) = found[0].T, found[1].T
    ratio = inter / ref
    return Quoted(ref, ref_error, 0.75 * (1 - ratio), 0.75 * np.abs(ratio) * np.hypot(ref_error / ref, inter_error / inter))


def _experiment_data(lengths: Ints, arms: dict[bool, Ints], shots: int) -> Any:
    """Counts of one pair ``(L, K)`` by arm, as the experiments of qiskit-experiments would leave them."""
    from qiskit_experiments.framework import ExperimentData

    data = ExperimentData()
    data.metadata["physical_qubits"] = [0, 1]
    rows = [
        {"counts": {"00": int(x), "11": shots - int(x)}, "shots": shots, "metadata": {"xval": int(m), "interleaved": interleaved}}
        for interleaved, table in arms.items()
        for m, row in zip(lengths, table, strict=True)
        for x in row
    ]
    data.add_data(rows)
    return data


def _analysed(analysis: Any, data: Any, name: str) -> tuple[float, float]:
    """One result and its standard error; NaN if the analysis gave none."""
    analysis.set_options(plot=False, outcome="00")
    done = analysis.run(data).block_for_results()
    table = done.analysis_results(dataframe=True)
    found = table.value[table.name == name].tolist()
    return (float(found[0].n), float(found[0].s)) if found and np.isfinite(found[0].s) else (np.nan, np.nan)


def qiskit_experiments(lengths: Ints, survived: Ints, shots: int) -> Quoted:
    """RBAnalysis of the reference arm, InterleavedRBAnalysis of both."""
    from qiskit_experiments.library.randomized_benchmarking import InterleavedRBAnalysis, RBAnalysis

    found = np.full((survived.shape[1], 4), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row, ref, inter in zip(found, *survived, strict=True):
            standard = RBAnalysis()
            standard.set_options(gate_error_ratio=None)
            row[:2] = _analysed(standard, _experiment_data(lengths, {False: ref}, shots), "alpha")
            row[2:] = _analysed(InterleavedRBAnalysis(), _experiment_data(lengths, {False: ref, True: inter}, shots), "EPC")
    return Quoted(*found.T)


ESTIMATORS: dict[str, Estimator] = {
    "curve_fit, unweighted": partial(scipy_fits, weights="unweighted"),
    "curve_fit, binomial weights": partial(scipy_fits, weights="binomial"),
    "curve_fit, standard error over sequences": partial(scipy_fits, weights="sequences"),
    "qiskit-experiments": qiskit_experiments,
}
