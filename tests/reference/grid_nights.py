"""The same device on several nights: runs whose truth is known, for comparison, history and drift."""

import dataclasses

import numpy as np

from reference.devices import device_of
from reference.reports import grid_pairs, run_of


def night(seed=1, *, rows=3, columns=4, true=4e-3, worse=(), factor=1.0, run_id=None, **options):
    """A run of a grid whose pairs have the error ``true``, but those in rows ``worse`` of its pairs ``factor`` times that.

    Args:
        seed: Of the counts: another night.
        rows: Of the grid.
        columns: Of the grid.
        true: C-NOT error, one number or one a pair.
        worse: Numbers of pairs.
        factor: How much worse they are.
        run_id: Its name; made from the seed by default.
        options: As of :func:`reference.reports.run_of`.
    """
    pairs = grid_pairs(rows, columns)
    errors = np.broadcast_to(np.asarray(true, dtype=float), len(pairs)).copy()
    errors[list(worse)] *= factor
    counts = {"lengths": (1, 10, 40, 130), "sequences": 16, "shots": 400}
    run = run_of(device_of(pairs, "cz", rows * columns), errors, np.random.default_rng(seed), frontier=False, counts=counts, **options)
    return dataclasses.replace(run, header=run.header | {"run_id": run_id or f"night-{seed}"})
