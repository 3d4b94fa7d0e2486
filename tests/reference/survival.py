"""Survival counts drawn from decays with known errors, without circuits."""

import numpy as np

from qthreshold.decays import DecayTable


def table_of(device, truth, rng, *, lengths=(1, 40, 130, 260), sequences=8, shots=200, amplitude=0.72):
    """Both arms of interleaved RB on every pair: A p^m + 1/4, a reference step of three times the C-NOT error, perfect readout counts."""
    lengths, truth = np.asarray(lengths), np.asarray(truth, dtype=float)
    p_ref = 1 - 4 / 3 * 3 * truth
    p = np.stack([p_ref, p_ref * (1 - 4 / 3 * truth)])
    chance = 0.25 + amplitude * p[..., None, None] ** lengths[:, None]
    survived = rng.binomial(shots, np.broadcast_to(chance, (*p.shape, lengths.size, sequences)))
    n, blank = device.n_qubits, np.zeros((device.n_qubits, 0, 0), dtype=np.int64)
    return DecayTable(
        plan_id="0" * 64, qubits=np.arange(n), edges=np.arange(len(device.edges)),
        readout_wrong=np.full((n, 2), 10), readout_shots=np.full((n, 2), 1000),
        one_qubit_lengths=np.zeros(0, dtype=np.int64), one_qubit_survived=blank, one_qubit_shots=blank, one_qubit_expected=blank.astype(np.uint8),
        two_qubit_lengths=lengths, two_qubit_survived=survived, two_qubit_shots=np.full(survived.shape, shots),
        two_qubit_expected=np.zeros(survived.shape, dtype=np.uint8),
    )  # fmt: skip
