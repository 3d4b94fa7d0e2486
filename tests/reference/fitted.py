"""Error rates of a device without a run: the records that reports are made of, filled with given numbers."""

import numpy as np

from qthreshold.fits import FittedErrors
from qthreshold.metrics import make_metrics
from qthreshold.recipe import Criteria


def fitted_of(device, *, cnot=None, readout=None, status=None, edges=None, estimate="interleaved"):
    """Fits of the pairs ``edges`` (all usable ones by default) and of all usable qubits; reported errors where none are given.

    Pairs whose error is NaN have the status ``too_fast``, unless ``status`` names others.
    """
    q, e = device.usable_qubits, device.usable_edges if edges is None else np.asarray(edges, dtype=np.int64)
    c = device.edge_error[e] if cnot is None else np.asarray(cnot, dtype=float)
    r = device.readout_error[q] if readout is None else np.asarray(readout, dtype=float)
    n, m = len(q), len(e)

    def around(values, width):
        return np.stack([values, values - width, values + width], axis=1)

    return FittedErrors(
        decays_id="made up", level=0.95, qubits=q, edges=e, readout=around(r, 1e-4), readout_flips=np.stack([r, r], axis=1),
        one_qubit=around(np.full(n, 3e-4), 1e-5), one_qubit_error=np.full(n, 1e-5), one_qubit_dof=np.full(n, 9.0), estimate=estimate,
        epc=around(c, 1e-5), cnot_upper=around(c, 1e-5), cnot=around(c, 1e-5), cnot_error=np.where(np.isnan(c), np.nan, 1e-5),
        cnot_dof=np.where(np.isnan(c), np.nan, 20.0), systematic=np.zeros((m, 2)), p_ref=around(1 - c, 0), p_int=around(1 - c, 0),
        chi2_per_dof=np.ones(m), curve=np.full((m, 2), [0.72, 0.25]), curve_covariance=np.full((m, 3, 3), np.nan),
        qubit_status=("ok",) * n, qubit_reason=("",) * n,
        edge_status=tuple(status or np.where(np.isnan(c), "too_fast", "ok").tolist()), edge_reason=("",) * m,
    )  # fmt: skip


def metrics_of(device, fits, **criteria):
    """What works, drawn at a fixed seed."""
    return make_metrics(device, fits, Criteria(**criteria), np.random.default_rng(5))
