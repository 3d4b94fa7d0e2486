"""The example table ``example-decays.csv``: standard RB of six qubits in a line, simulated from the truth below.

    python circuits/make_example_decays.py

Each random sequence survives with probability A p^m + 1/d; p follows from depolarizing errors of the pulses and C-NOTs inside a
Clifford. So the upper estimate of the C-NOT error must come out above the true one, by the share of the pulses.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qthreshold.numerics.rates import CNOTS_PER_CLIFFORD, two_qubit_clifford_decay

PULSE_ERROR = 3e-4
CNOT_ERROR = {(0, 1): 4e-3, (1, 2): 6e-3, (2, 3): 5e-3, (3, 4): 8e-3, (4, 5): 4.5e-3}
PULSES = 0.83, 1.75  # of a qubit in an average one-qubit and two-qubit Clifford
AMPLITUDE = 0.48, 0.71
LENGTHS = (1, 100, 400, 1200), (1, 15, 50, 120)
SEQUENCES, SHOTS, SEED = 10, 100, 2026


def curves() -> Iterator[tuple[str, float, int]]:
    """Target, decay parameter and number of qubits of each curve."""
    for q in range(6):
        yield str(q), (1 - 2 * PULSE_ERROR) ** PULSES[0], 1
    for (a, b), error in CNOT_ERROR.items():
        yield f"{a}-{b}", float(two_qubit_clifford_decay([PULSE_ERROR] * 2, [PULSES[1]] * 2, error, CNOTS_PER_CLIFFORD)), 2


def table() -> str:
    """The CSV text."""
    rng = np.random.default_rng(SEED)
    lines = ["qubits,length,sample,survived,shots"]
    for target, p, n in curves():
        for m in LENGTHS[n - 1]:
            for k in range(SEQUENCES):
                survived = int((rng.random(SHOTS) < AMPLITUDE[n - 1] * p**m + 0.5**n).sum())
                lines.append(f"{target},{m},{k},{survived},{SHOTS}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("example-decays.csv").write_text(table(), encoding="utf-8")
