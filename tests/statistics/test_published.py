"""Real counts from trapped-ion machines, against the errors that their maker published for them.

The counts come with the data sheets of Quantinuum (github.com/CQCL/quantinuum-hardware-specifications, Apache-2.0) and are not
part of this project. Put the tables (columns qubits, length, sample, survived, shots) into a folder and name it in the
environment variable QTHRESHOLD_PUBLISHED; by default it is looked for beside the checkout, in shared/data/quantinuum.
"""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from qthreshold.numerics.decay import fit_decays
from qthreshold.numerics.intervals import mean_of_finite_set
from qthreshold.workflow import ingest

FOLDER = Path(os.environ.get("QTHRESHOLD_PUBLISHED", Path(__file__).parents[2].parent / "shared" / "data" / "quantinuum"))
PUBLISHED = [  # file, dimension, error per gate and its standard error
    ("H1-1_2023-07-17_two_qubit_rb.csv", 4, 1.38e-3, 0.07e-3),
    ("H1-2_2022-06-09_two_qubit_rb.csv", 4, 2.50e-3, 0.09e-3),
    ("H2-1_2024-05-20_two_qubit_rb.csv", 4, 1.28e-3, 0.08e-3),
    ("H1-1_2023-07-17_one_qubit_rb.csv", 2, 2.9e-5, 0.5e-5),
    ("H2-1_2024-05-20_one_qubit_rb.csv", 2, 2.9e-5, 0.4e-5),
]


def table(path):
    """Lengths ``(L,)``, survived and shots ``(N, L, K)`` of a CSV table; missing cells have no shots."""
    rows = list(csv.DictReader(path.read_text().splitlines()))
    targets = sorted({r["qubits"] for r in rows})
    lengths = sorted({int(r["length"]) for r in rows})
    samples = sorted({int(r["sample"]) for r in rows})
    survived = np.zeros((len(targets), len(lengths), len(samples)), dtype=np.int64)
    shots = np.zeros_like(survived)
    for r in rows:
        cell = targets.index(r["qubits"]), lengths.index(int(r["length"])), samples.index(int(r["sample"]))
        survived[cell], shots[cell] = int(r["survived"]), int(r["shots"])
    return np.array(lengths), survived, shots


def table_path(name):
    """Where a table is; the test is skipped where it is not."""
    if not (FOLDER / name).exists():
        pytest.skip(f"published counts are not here: put {name} into a folder and name it in QTHRESHOLD_PUBLISHED")
    return FOLDER / name


@pytest.mark.parametrize(("name", "dim", "error", "sigma"), PUBLISHED, ids=[p[0].removesuffix(".csv") for p in PUBLISHED])
def test_published_errors_are_found_again(name, dim, error, sigma):
    fit = fit_decays(*table(table_path(name)), asymptote=1 / dim)
    gates = 1.5 if dim == 4 else 1.0  # all error of a two-qubit Clifford charged to its 1.5 gates, as the publisher does
    scale = (dim - 1) / dim
    rate, slope = scale * (1 - fit.p ** (1 / gates)), scale / gates * fit.p ** (1 / gates - 1)
    best, low, high, own = mean_of_finite_set(rate, slope * fit.p_error, fit.p_dof, rate.size, 0.95)
    print(f"{name}: published {error:.3g} ({sigma:.1g}), here {best:.3g} ({low:.3g} to {high:.3g}), {set(fit.status.tolist())}")
    assert abs(best - error) <= sigma  # within the uncertainty that they state
    assert own < 2 * sigma


@pytest.mark.parametrize(("name", "dim", "error", "sigma"), PUBLISHED[:3], ids=[p[0].removesuffix("_two_qubit_rb.csv") for p in PUBLISHED[:3]])
def test_published_errors_are_found_again_by_a_run_made_of_the_table(name, dim, error, sigma, tmp_path):
    path = table_path(name)
    mean = ingest(tmp_path / "run", path, connected=20).metrics.mean
    assert abs(mean.best - error) < 2 * np.hypot(sigma, (mean.high - mean.low) / 4)
    assert mean.low < error + sigma
    assert error - sigma < mean.high
