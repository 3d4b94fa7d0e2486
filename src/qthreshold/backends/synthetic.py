"""The synthetic backend: a profile's device whose sequences decay as the textbook says, drawn with numpy, no circuit simulated.

Every step of a sequence is depolarizing noise of the right strength, so the error that interleaved RB finds is that of the profile's
channels exactly. There is no coherence, no memory and no scatter between sequences but that of the outcomes: this backend tests what
comes after the counts, quickly, not the protocol. Use ``aer`` for that.

References:
    E. Magesan et al., Phys. Rev. Lett. 109, 080505 (2012), arXiv:1203.4550: p_int / p_ref = 1 - d r / (d - 1).
"""

import numpy as np
import numpy.typing as npt

from qthreshold.backends.base import Progress
from qthreshold.backends.noise import Truth, true_errors
from qthreshold.backends.outcomes import rows_by_target, target_rng
from qthreshold.backends.profiles import build, load_profile
from qthreshold.datafiles import resolved
from qthreshold.device import Device
from qthreshold.errors import InputError
from qthreshold.numerics.rates import CNOTS_PER_CLIFFORD
from qthreshold.plan import INTERLEAVED, ONE_QUBIT, TWO_QUBIT, Plan
from qthreshold.pool import Pool
from qthreshold.tallies import Tallies
from qthreshold.ticket import Ticket

__all__ = ["SyntheticBackend"]

Real = npt.NDArray[np.float64]


class SyntheticBackend:
    """A profile's device with depolarizing decays.

    Args:
        profile: Name of a shipped profile, or path of a TOML file.
        pool: Not used; drawing is fast.

    Raises:
        InputError: The profile does not exist or is not valid.
    """

    def __init__(self, profile: str, pool: Pool | None = None) -> None:
        self.spec = f"synthetic:{resolved(profile)}"
        simulated = build(load_profile(profile))
        self.device: Device = simulated.device
        self._noise, self._crosstalk = simulated.noise, simulated.crosstalk
        self.state = self._noise.id

    def __enter__(self) -> "SyntheticBackend":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def truth(self, block: str) -> Truth:
        """True errors from the profile's channels."""
        return true_errors(self.device, self._noise, block)

    def check(self, plan: Plan) -> None:
        """Look at a plan before anything is run.

        Raises:
            InputError: Pairs that crosstalk joins run at the same time, of which ideal decays know nothing.
        """
        if self._crosstalk.any() and plan.context == "simultaneous":
            raise InputError(f"{self.spec} has crosstalk between pairs that run at the same time, which synthetic leaves out; run it on exact or aer")

    def collect(self, plan: Plan, ticket: Ticket, progress: Progress) -> Tallies:
        """Draw the outcomes of the ticket's circuits."""
        units = ticket.units(plan)
        out = np.zeros((len(units), 4), dtype=np.int64)
        truth = self.truth(plan.block)
        experiment = int(plan.circuit_experiment[ticket.circuits[0]])
        for target, rows in rows_by_target(plan, units):
            mine = units[rows]
            circuits = plan.unit_circuit[mine]
            qubits = self.device.direction[target].tolist() if experiment == TWO_QUBIT else [target]
            arm = plan.circuit_arm[circuits]
            signal = _decay(experiment, target, truth)[arm] ** plan.circuit_length[circuits]
            read = self._readout(qubits)
            ideal = signal[:, None] * np.eye(len(read))[plan.unit_expected[mine]] + (1 - signal[:, None]) / len(read)
            chance = ideal @ read.T
            rng = target_rng(plan, ticket, target, 0)
            out[rows, : len(read)] = rng.multinomial(plan.circuit_shots[circuits], chance / chance.sum(axis=1, keepdims=True))
            progress(len(rows))
        return Tallies(plan_id=plan.id, units=units, outcomes=out)

    def _readout(self, qubits: list[int]) -> Real:
        """Probability to read a bit string (rows) that is another (columns), ``(2**n, 2**n)``; qubit 0 is the lowest bit."""
        out = np.ones((1, 1))
        for q in qubits:
            p1, p0 = self._noise.p1_given_0[q], self._noise.p0_given_1[q]
            out = np.kron(np.array([[1 - p1, p0], [p1, 1 - p0]]), out)
        return out


def _decay(experiment: int, target: int, truth: Truth) -> Real:
    """Decay parameter of the reference and the interleaved step, ``(2,)``.

    A reference step loses as much as the C-NOTs of an average two-qubit Clifford; that sets how long sequences live, not what is found.
    """
    if experiment == ONE_QUBIT:
        return np.full(2, 1 - 2 * truth.one_qubit_error[target])
    if experiment != TWO_QUBIT:
        return np.ones(2)
    error = float(truth.cnot_error[target])
    p = np.full(2, 1 - 4 / 3 * CNOTS_PER_CLIFFORD * error)
    p[INTERLEAVED] *= 1 - 4 / 3 * error
    return np.maximum(p, 0.0)
