"""Finished runs for tests of reports, made from survival counts with known errors: no circuits, no files."""

import datetime

import numpy as np

from qthreshold.backends.noise import Truth
from qthreshold.evidence import run_evidence
from qthreshold.fits import make_fits
from qthreshold.frontier import _nothing, make_frontier
from qthreshold.interpretation import Interpretation
from qthreshold.metrics import make_metrics
from qthreshold.plan import plan_without_circuits
from qthreshold.recipe import Recipe
from qthreshold.result import RunRecords
from qthreshold.rulebook import load_instruments
from qthreshold.verdict import judge_all
from reference.devices import device_of
from reference.survival import table_of

DAY = datetime.date(2026, 11, 25)


def grid_pairs(rows, columns):
    """Neighbours on a square grid, row by row."""
    q = np.arange(rows * columns).reshape(rows, columns)
    return np.concatenate([np.stack([q[:, :-1].ravel(), q[:, 1:].ravel()], axis=1), np.stack([q[:-1].ravel(), q[1:].ravel()], axis=1)])


def grid_run(rows=3, columns=4, errors=(2e-3, 8e-3), *, seed=1, known=True, change=None, context="isolated", frontier=True, **device):
    """A run of a grid whose pairs have errors between two numbers.

    Args:
        rows: Of the grid.
        columns: Of the grid; one row of two columns has one pair.
        errors: Least and largest error of a pair.
        seed: Of the errors and counts.
        known: Whether the truth is known.
        change: Function of the decay table that gives another one, to plant faults.
        context: ``isolated`` or ``simultaneous``.
        frontier: Whether the best parts are looked for.
        device: Fields of the device that differ.
    """
    rng = np.random.default_rng(seed)
    pairs = grid_pairs(rows, columns)
    return run_of(device_of(pairs, "cz", rows * columns, **device), rng.uniform(*errors, len(pairs)), rng, known=known, change=change,
                  context=context, frontier=frontier)  # fmt: skip


def run_of(device, true, rng, *, known=True, change=None, context="isolated", frontier=True, counts=None):
    """A run of a device whose pairs have the errors ``true``; ``counts`` are options of :func:`reference.survival.table_of`."""
    decays = _usable(table_of(device, true, rng, **(counts or {})), device)
    decays = change(decays) if change is not None else decays
    recipe = Recipe.model_validate({"schema": "qthreshold/recipe/1", "name": "test"})
    plan = plan_without_circuits(device, recipe, [], decays.two_qubit_lengths).replace(context=context)
    decays = decays.replace(plan_id=plan.id)
    fits = make_fits(decays, 0.95)
    metrics = make_metrics(device, fits, recipe.criteria, rng)
    best = make_frontier(device, decays, fits, metrics, recipe.criteria, rng) if frontier else _nothing(metrics.id, "not looked for", 0.95)
    default = Interpretation(context=context, gate=plan.block, estimate=metrics.estimate, connected=metrics.connected)
    instruments = load_instruments()
    verdicts = judge_all(instruments, run_evidence(metrics, best, default, 0.95), DAY, metrics_id=metrics.id, frontier_id=best.id)
    n = device.n_qubits
    header = {
        "schema": "qthreshold/run/1", "run_id": "0123456789abcdef", "created_at": "2026-11-25T12:00:00Z", "backend": "synthetic:test",
        "software": {"python": "3"}, "settings": {}, "confidence": 0.95, "as_of": DAY.isoformat(),
    }  # fmt: skip
    return RunRecords(
        device=device, plan=plan, decays=decays, fits=fits, metrics=metrics, frontier=best, verdicts=verdicts, instruments=tuple(instruments),
        truth=Truth(cnot_error=true, one_qubit_error=np.full(n, 1e-4), readout_error=np.full(n, 5e-3)) if known else None, header=header,
    )  # fmt: skip


def _usable(decays, device):
    """Without what the device does not offer."""
    q, e = device.usable_qubits, device.usable_edges
    of_qubits = {f: getattr(decays, f)[q] for f in ("readout_wrong", "readout_shots", "one_qubit_survived", "one_qubit_shots", "one_qubit_expected")}
    of_pairs = {f: getattr(decays, f)[:, e] for f in ("two_qubit_survived", "two_qubit_shots", "two_qubit_expected")}
    return decays.replace(qubits=q, edges=e, **of_qubits, **of_pairs)


def nothing_left(decays):
    """All signal gone at the second length: no pair can be fitted."""
    survived = decays.two_qubit_survived.copy()
    survived[:, :, 1:] = decays.two_qubit_shots[:, :, 1:] // 4
    return decays.replace(two_qubit_survived=survived)


def readout_lost(decays):
    """A dead readout of qubit 6: its pairs have estimates, but are not counted."""
    wrong = decays.readout_wrong.copy()
    wrong[6] = decays.readout_shots[6] // 2
    return decays.replace(readout_wrong=wrong)


def one_pair_lost(decays):
    """The same for the first pair only."""
    survived = decays.two_qubit_survived.copy()
    survived[:, 0, 1:] = decays.two_qubit_shots[:, 0, 1:] // 4
    return decays.replace(two_qubit_survived=survived)


def no_counts(decays):
    """No shot was collected for any pair."""
    zero = np.zeros_like(decays.two_qubit_shots)
    return decays.replace(two_qubit_survived=zero, two_qubit_shots=zero)


def reference_only(decays):
    """No interleaved arm: upper estimates."""
    shots, survived = decays.two_qubit_shots.copy(), decays.two_qubit_survived.copy()
    shots[1], survived[1] = 0, 0
    return decays.replace(two_qubit_survived=survived, two_qubit_shots=shots)


