"""Snapshots of real devices that run: their last calibration as the noise of a simulated device.

qiskit-ibm-runtime ships the snapshots. Gate errors are made into channels as qiskit-aer's ``NoiseModel.from_backend`` does, but
from the numbers at once instead of one Qiskit object per gate. Readout takes both conditional probabilities of the calibration,
as ``FakeX.run()`` does, where ``from_backend`` uses their mean for both.
"""

import functools
import importlib
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit.transpiler import Target

from qthreshold.backends.aer import Simulation
from qthreshold.backends.ibm import fake_device
from qthreshold.backends.noise import Noise
from qthreshold.backends.profiles import SimulatedDevice
from qthreshold.device import Device
from qthreshold.errors import InputError
from qthreshold.numerics import channels
from qthreshold.pool import Pool

__all__ = ["FakeBackend", "calibrated_error", "snapshot_noise"]

Real = npt.NDArray[np.float64]


class FakeBackend(Simulation):
    """A snapshot of a real device, run on qiskit-aer.

    Args:
        name: For example ``FakeTorino`` (or ``torino``, ``fake_torino``).
        pool: As for :class:`qthreshold.backends.aer.Simulation`.

    Raises:
        InputError: ``qiskit-ibm-runtime`` is not installed, has no such snapshot, or one that cannot be simulated.
    """

    def __init__(self, name: str, pool: Pool | None = None) -> None:
        simulated = snapshot(name)
        super().__init__(f"fake:{simulated.device.name}", simulated, pool)


@functools.cache
def snapshot(name: str) -> SimulatedDevice:
    """Device and noise of a snapshot, made once per process."""
    device = fake_device(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some snapshots say that they are not typical
        backend = getattr(importlib.import_module("qiskit_ibm_runtime.fake_provider"), device.name)()
    return SimulatedDevice(device, snapshot_noise(device, backend.target, backend.properties()))


def snapshot_noise(device: Device, target: Target, properties: Any) -> Noise:
    """Channels of a snapshot.

    Args:
        device: The device of ``target``.
        target: Gate errors and durations, T1 and T2.
        properties: The calibration (``BackendProperties``), for its readout probabilities.

    Returns:
        Noise of every qubit and pair; that of faulty ones is physical, but of no use.

    Raises:
        InputError: The device's one-qubit gates are not a z rotation and two pulses.
    """
    if len(device.basis) != 3:
        raise InputError(f"{device.name} cannot be simulated: its one-qubit gates are {', '.join(device.basis)}")
    t1, t2 = device.t1, device.t2
    pulses = []
    for name in device.basis[1:]:
        reported = [target[name].get((q,)) for q in range(device.n_qubits)]
        error, time = (np.array([getattr(r, f, None) for r in reported], dtype=float) for f in ("error", "duration"))
        pulses.append(calibrated_error(error, time[:, None], t1[:, None], t2[:, None]))
    pair = device.direction
    native = calibrated_error(device.edge_error, np.repeat(device.edge_duration[:, None], 2, axis=1), t1[pair], t2[pair])
    flips = np.array([_flips(properties.qubit_property(q)) for q in range(device.n_qubits)])
    return Noise(sx=pulses[0], x=pulses[1], native=native, p1_given_0=flips[:, 0], p0_given_1=flips[:, 1])


def calibrated_error(error: Real, time: Real, t1: Real, t2: Real) -> Real:
    """The error channel that qiskit-aer makes of a calibration: depolarizing, then relaxation of each qubit.

    There is as much depolarizing noise as brings the average gate infidelity to the reported error; none if relaxation alone
    exceeds it or no error is reported. T2 is cut to 2 T1 and is 2 T1 where it is missing; qubits without T1 and gates
    without duration do not relax; qubits relax to the ground state.

    Args:
        error: Reported average gate infidelities, ``(G,)``, NaN if not reported.
        time: Duration on each of its n qubits, seconds, ``(G, n)``, NaN if not reported.
        t1: Of each qubit, seconds, ``(G, n)``, NaN if not reported.
        t2: The same.

    Returns:
        PTMs, ``(G, 4**n, 4**n)``.

    References:
        qiskit-aer 0.18, ``noise/device/models.py``: ``_device_depolarizing_error``, ``_truncate_t2_value`` and
        ``_combine_depol_and_relax_error``.
    """
    n = t1.shape[1]
    t2 = np.fmin(t2, 2 * t1)
    relax = channels.relaxation(np.nan_to_num(t1, nan=np.inf), np.nan_to_num(t2, nan=np.inf), np.nan_to_num(time))
    both = relax[:, 0] if n == 1 else channels.tensor(relax[:, 0], relax[:, 1])
    reached = np.nan_to_num(np.minimum(error, 2**n / (2**n + 1)))  # no channel has more
    keep = np.maximum(channels.depolarizing_fill(both, reached), -1 / (4**n - 1))
    return both @ channels.depolarizing(keep, n)


def _flips(reported: dict[str, tuple[float, Any]]) -> tuple[float, float]:
    """P(1 read | 0 prepared) and P(0 read | 1 prepared); both the mean where only that is reported, 0 where nothing is."""
    mean = reported.get("readout_error", (0.0, None))[0]
    return reported.get("prob_meas1_prep0", (mean, None))[0], reported.get("prob_meas0_prep1", (mean, None))[0]
