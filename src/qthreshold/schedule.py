"""Schedule: the lengths of each experiment, the sequences and shots at each, from the recipe and what the device reports."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qthreshold.device import Device
from qthreshold.numerics.design import Design, Setup, optimal_lengths
from qthreshold.numerics.rates import CNOTS_PER_CLIFFORD
from qthreshold.recipe import OneQubit, Recipe, TwoQubit

__all__ = ["Schedule", "StepSeconds", "expected_errors", "one_qubit_schedule", "step_seconds", "two_qubit_schedule"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_UNKNOWN_EDGE_ERROR, _UNKNOWN_QUBIT_ERROR = 5e-3, 5e-4  # where the device reports nothing: ordinary values of 2026
_PULSES_PER_CLIFFORD = 0.83  # sx or x of a one-qubit Clifford, as circuits/native.py compiles them
_PULSES_PER_STEP = 5.5  # of both qubits: about 3.5 in a two-qubit Clifford as compiled, 2 in the padding
_SPREAD = 3.0  # factor by which a reported error is taken to be wrong either way: pairs that run at the same time are worse than alone
_COHERENCE = 0.05  # a tenth of what coherent noise alone would give: costs 4 % of the time where there is none, and shortens sequences
_OUTLIER = 50.0  # a target so many times worse than the median is still fitted: one that is not keeps the verdict open
_FEWEST_SHOTS = 50  # per sequence, unless the recipe asks for fewer
_BALANCED = 4  # sequences balance the outcomes of two qubits in multiples of this


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Lengths of an experiment, increasing, with the sequences at each and the shots of each sequence; int64 ``(L,)``."""

    lengths: Ints
    sequences: Ints
    shots: Ints

    @property
    def steps(self) -> int:
        """Steps of all sequences of one target."""
        return int(self.lengths @ self.sequences)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSeconds:
    """Seconds of a step of each experiment and arm, and of a readout; zero where the device reports no durations."""

    one_qubit: float
    reference: float
    interleaved: float
    readout: float


def step_seconds(device: Device, *, padded: bool) -> StepSeconds:
    """Durations from the reported ones of gates, averaged over the device."""
    pulse, gate, read = (_mean(x) for x in (device.pulse_duration, device.edge_duration, device.readout_duration))
    reference = CNOTS_PER_CLIFFORD * gate + 2.5 * pulse + (2 * pulse if padded else 0.0)
    return StepSeconds(one_qubit=_PULSES_PER_CLIFFORD * pulse, reference=reference, interleaved=reference + gate + 2 * pulse, readout=read)


def one_qubit_schedule(device: Device, recipe: Recipe, qubits: Ints) -> Schedule:
    """Lengths of one-qubit RB.

    Args:
        device: The device.
        recipe: The recipe.
        qubits: Measured qubits, ``(Q,)``.
    """
    seconds = step_seconds(device, padded=False)
    error = _PULSES_PER_CLIFFORD * _known(device.qubit_error[qubits], _UNKNOWN_QUBIT_ERROR)
    setup = Setup(
        dim=2, overhead=device.repetition_delay + seconds.readout, step=(seconds.one_qubit,), coherence=_COHERENCE, shots=recipe.one_qubit.shots
    )
    return _schedule(recipe.one_qubit, setup, error, error)


def two_qubit_schedule(device: Device, recipe: Recipe, edges: Ints) -> Schedule:
    """Lengths of interleaved RB, the same for both arms.

    Args:
        device: The device.
        recipe: The recipe.
        edges: Rows of ``device.edges`` that are measured, ``(M,)``.
    """
    two, seconds = recipe.two_qubit, step_seconds(device, padded=recipe.two_qubit.protocol == "padded")
    setup = Setup(
        overhead=device.repetition_delay + seconds.readout, step=(seconds.reference, seconds.interleaved), coherence=_COHERENCE, shots=two.shots
    )
    return _schedule(two, setup, *expected_errors(device, edges))


def expected_errors(device: Device, edges: Ints) -> tuple[Real, Real]:
    """Average gate infidelity of the C-NOT and of the reference step of each pair, from what the device reports, ``(M,)`` each.

    Where a pair reports nothing, or that it is out of order, the median of the rest stands in.
    """
    gate = _known(device.edge_error[edges], _UNKNOWN_EDGE_ERROR)
    pulse = _known(device.qubit_error, _UNKNOWN_QUBIT_ERROR)[device.edges[edges]].mean(axis=1) if len(edges) else gate
    return gate + pulse, CNOTS_PER_CLIFFORD * gate + _PULSES_PER_STEP * pulse


def _mean(reported: Real) -> float:
    return float(np.nanmean(reported)) if np.isfinite(reported).any() else 0.0


def _known(reported: Real, default: float) -> Real:
    """Reported errors, with the median in place of those that are not reported or say "out of order"."""
    known = np.isfinite(reported) & (reported < 0.5)
    return np.where(known, reported, np.median(reported[known]) if known.any() else default)


def _schedule(wanted: OneQubit | TwoQubit, setup: Setup, error: Real, reference: Real) -> Schedule:
    """Lengths as given, optimal, or multiples of 1 / (1 - p) of the slower arm of the median target."""
    if wanted.lengths == "optimal" and error.size:
        design = optimal_lengths(
            error, reference_error=reference, setup=setup, spread=_SPREAD, outlier=_OUTLIER, least=wanted.fewest_lengths, longest=wanted.longest
        )
        return _shared(wanted, design)
    if isinstance(wanted.lengths, list):
        lengths = np.array(wanted.lengths, dtype=np.int64)
    else:
        step = error + reference if len(setup.step) == 2 else error
        lengths = _multiples(wanted, setup.dim / (setup.dim - 1) * float(np.median(step)) if step.size else 1.0)
    return Schedule(lengths=lengths, sequences=np.full_like(lengths, wanted.sequences), shots=np.full_like(lengths, wanted.shots))


def _shared(wanted: OneQubit | TwoQubit, design: Design) -> Schedule:
    """As many sequences and shots as the recipe asks for on average, shared as the design says.

    A share goes to sequences before shots: under coherent noise the shots of one sequence are alike, and more of them teach little.
    """
    count = design.lengths.size
    sequences = np.maximum(_BALANCED * np.rint(design.shares * wanted.sequences * count / _BALANCED), min(_BALANCED, wanted.sequences))
    shots = np.rint(design.shares * wanted.sequences * wanted.shots * count / sequences)
    return Schedule(
        lengths=design.lengths, sequences=sequences.astype(np.int64), shots=np.maximum(shots, min(_FEWEST_SHOTS, wanted.shots)).astype(np.int64)
    )


def _multiples(wanted: OneQubit | TwoQubit, rate: float) -> Ints:
    factors = wanted.length_factors
    unit = min(1 / max(rate, 1e-12), wanted.longest / max(factors))
    lengths = sorted({max(1, round(f * unit)) for f in factors})
    return np.array(lengths if len(lengths) > 1 else [1, 2], dtype=np.int64)
