"""Tables of measurements made up for tests of what is done with them."""

import numpy as np

from qthreshold.measurements import Measurements

ROWS = (("cnot_error.mean", ""), ("cnot_error", "10-11"), ("cnot_error", "3-4"), ("works", "3"))


def measured(run_id="r1", *, day=1, rows=ROWS, scale=1.0, **fields):
    """A small run: made on a day of January 2026, with numbers that follow from ``scale``."""
    best = scale * np.arange(1, len(rows) + 1) / 1000
    values = {
        "run_id": run_id, "device": "chip", "taken_at": f"2026-01-{day:02}T04:00:00Z", "calibrated_at": f"2026-01-{day:02}T03:00:00Z",
        "calibration_id": "c1", "context": {"device": "chip", "gate": "cnot"}, "origin": {"seed": "1"}, "missing": 0, "level": 0.95,
        "metric": tuple(m for m, _ in rows), "target": tuple(t for _, t in rows), "best": best, "low": 0.9 * best, "high": 1.2 * best,
        "dof": np.full(len(rows), 12.5), "status": ("ok",) * len(rows),
    }  # fmt: skip
    return Measurements(**values | fields)


def golden_runs():
    """Runs and gate outcomes of the golden databases."""
    return [(measured("golden-1", day=1), "passed"), (measured("golden-2", day=2, device="chip two", scale=1.5), "")]
