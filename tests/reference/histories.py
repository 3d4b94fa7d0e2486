"""Series of made-up values, a night apart."""

import numpy as np

from qthreshold.drift import DAY, DeviceDrift, find_drift
from qthreshold.series import Series
from reference.nights import FIRST

NOW = FIRST + 31 * DAY
"""Two days after the last of thirty nights."""


def noise(nights, seed=6):
    """Standard normal numbers, the same for a seed."""
    return np.random.default_rng(seed).standard_normal(nights)


def series_of(values, *, error=0.1, metric="cnot_error", target="0-1", status=None, device="lab", spans=None, calibrated=np.nan):
    """A series with normal intervals.

    Args:
        values: Estimates; NaN without one.
        error: Standard error of all.
        metric: What it is.
        target: Of what.
        device: Of which device.
        status: Of each; ``no_data`` where there is no estimate if left out.
        spans: Ends of the intervals, where they are not normal.
        calibrated: Hours from the last calibration to every run.
    """
    x = np.asarray(values, dtype=float)
    low, high = (x - 1.959964 * error, x + 1.959964 * error) if spans is None else spans
    at = FIRST + DAY * np.arange(len(x))
    return Series(
        device=device, metric=metric, target=target, level=0.95, run_ids=tuple(f"run-{k}" for k in range(1, len(x) + 1)), taken_at=at,
        calibrated_at=at - calibrated * 3600, best=x, low=low, high=high, dof=np.full(len(x), np.inf),
        status=tuple(status) if status else tuple("ok" if np.isfinite(v) else "no_data" for v in x),
    )  # fmt: skip


def works_series(values, **more):
    """Probabilities that qubit 5 works."""
    x = np.asarray(values, dtype=float)
    return series_of(x, metric="works", target="5", spans=(x, x), **more)


def count_series(values, low=None, high=None, **more):
    """Numbers of connected working qubits."""
    x = np.asarray(values, dtype=float)
    spans = tuple(x if v is None else np.asarray(v, dtype=float) for v in (low, high))
    return series_of(x, metric="connected_working_qubits", target="", spans=spans, **more)


def device_of(name, *series):
    """A device with what was found in its series."""
    return DeviceDrift(device=name, series=series, drifts=find_drift(series))


def lab(name="lab", *, growth=1.0):
    """A device with a mean, a count and three pairs; with a growth above 1, pair 1-2 grows by it every night, and a qubit dies in the last."""
    x = [5e-3 + 3e-4 * noise(30, seed) for seed in range(4)]
    x[1] = x[1] * growth ** np.arange(30)
    pairs = [series_of(x[k], error=3e-4, target=f"{k}-{k + 1}", device=name) for k in range(3)]
    mean = series_of(x[3], error=2e-4, metric="cnot_error.mean", target="", device=name, calibrated=7.0)
    return device_of(name, mean, count_series([7] * 30, device=name), *pairs, works_series([1] * 29 + [float(growth == 1)], device=name))
