"""The noise of a simulated device, and the true errors that follow from it.

Noise comes after each pulse and each native two-qubit gate (rz is virtual and noiseless); readout misassigns bits. Truth
is computed from these channels, never from reported errors.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.circuits import native
from qthreshold.device import Device
from qthreshold.identity import Record
from qthreshold.numerics import channels

__all__ = ["Noise", "Truth", "build_noise", "native_ptm", "native_ptms", "pair_channels", "qubit_channels", "true_errors"]

Real = npt.NDArray[np.float64]

_BLOCK = 1024  # pairs: memory beside the result does not grow with the device


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Noise(Record):
    """Error channels (PTMs) of every operation.

    Attributes:
        sx, x: Error after each pulse, ``(n, 4, 4)``.
        native: Error after each native two-qubit gate, ``(E, 16, 16)``; qubit 0 is the first of the native order.
        p1_given_0, p0_given_1: Readout misassignment, ``(n,)``.
    """

    schema: ClassVar[str] = "qthreshold/noise/1"
    sx: Real
    x: Real
    native: Real
    p1_given_0: Real
    p0_given_1: Real


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Truth(Record):
    """What a perfect measurement of a simulated device would find; average gate infidelities.

    Attributes:
        cnot_error: Error of the interleaved block of each pair, ``(E,)``.
        one_qubit_error: Mean error of the 24 one-qubit Cliffords, ``(n,)``.
        readout_error: Mean misassignment, ``(n,)``.
    """

    schema: ClassVar[str] = "qthreshold/truth/1"
    cnot_error: Real
    one_qubit_error: Real
    readout_error: Real


def build_noise(
    *, direction: npt.NDArray[np.int64], angles: Real, edge_error: Real, edge_duration: Real, t1: Real, t2: Real, pulse_error: Real,
    pulse_duration: Real, over_rotation: Real, phase_error: Real, p1_given_0: Real, p0_given_1: Real,
) -> Noise:  # fmt: skip
    """Channels from physical parameters.

    After a gate come, in this order: its coherent error, relaxation of its qubits for its duration, and as much
    depolarizing noise as brings the incoherent infidelity to the stated error (none if relaxation alone exceeds it).

    Args:
        direction: Pairs in native order, ``(E, 2)``.
        angles: Coherent error of each pair, ``(E, 16)``, radians per Pauli.
        edge_error: Incoherent average gate infidelity, ``(E,)``.
        edge_duration: Seconds, ``(E,)``.
        t1: Seconds, ``(n,)``.
        t2: Seconds, ``(n,)``.
        pulse_error: Incoherent infidelity of sx and x, ``(n,)``.
        pulse_duration: Seconds, ``(n,)``.
        over_rotation: Radians too many in sx; x gets twice as many, ``(n,)``.
        phase_error: Radians of z rotation after each pulse, ``(n,)``.
        p1_given_0: Readout, ``(n,)``.
        p0_given_1: Readout, ``(n,)``.
    """
    zero = np.zeros_like(over_rotation)
    relax = channels.relaxation(t1, t2, pulse_duration)
    dep = channels.depolarizing(channels.depolarizing_fill(relax, pulse_error), 1)
    phase = channels.hamiltonian_error(np.stack([zero, zero, zero, phase_error], -1), 1)
    pulses = [dep @ relax @ phase @ channels.hamiltonian_error(np.stack([zero, turns * over_rotation, zero, zero], -1), 1) for turns in (1, 2)]
    pair = np.empty((len(direction), 16, 16))
    for rows in _blocks(len(direction)):
        a, b = direction[rows].T
        both = channels.tensor(channels.relaxation(t1[a], t2[a], edge_duration[rows]), channels.relaxation(t1[b], t2[b], edge_duration[rows]))
        fill = channels.depolarizing(channels.depolarizing_fill(both, edge_error[rows]), 2)
        pair[rows] = fill @ both @ channels.hamiltonian_error(angles[rows], 2)
    return Noise(sx=pulses[0], x=pulses[1], native=pair, p1_given_0=p1_given_0, p0_given_1=p0_given_1)


def native_ptms(gate: str, noise: Noise, edges: npt.NDArray[np.int64]) -> Real:
    """Noisy channels of the native gates of pairs that have the same one, ``(P, 16, 16)``."""
    return noise.native[edges] @ channels.unitary(native.NATIVE_UNITARY[gate])


def _blocks(pairs: int) -> list[slice]:
    """Rows of pairs, block by block."""
    return [slice(i, i + _BLOCK) for i in range(0, pairs, _BLOCK)]


def native_ptm(device: Device, noise: Noise, edge: int) -> Real:
    """Noisy channel of a pair's native gate, ``(16, 16)``."""
    return noise.native[edge] @ channels.unitary(native.NATIVE_UNITARY[device.gate[edge]])


def pair_channels(device: Device, noise: Noise, edge: int) -> native.PairChannels:
    """Noisy channels of everything on one pair."""
    qubits = device.direction[edge]
    return native.pair_ptms(device.gate[edge], native.opcode_ptms(noise.sx[qubits], noise.x[qubits]), native_ptm(device, noise, edge))


def qubit_channels(noise: Noise) -> Real:
    """Noisy channels of the 24 one-qubit elements of every qubit, ``(n, 24, 4, 4)``."""
    return native.one_qubit_ptms(native.opcode_ptms(noise.sx, noise.x))


def true_errors(device: Device, noise: Noise, block: str = "cnot") -> Truth:
    """True errors from the channels: average gate infidelity of the interleaved block with its noise.

    Args:
        device: The device.
        noise: Its channels.
        block: ``cnot`` (compiled C-NOT) or ``native``.
    """
    one = channels.average_gate_infidelity(qubit_channels(noise), native.ideal_one_qubit_ptms()).mean(axis=1)
    opcodes = native.opcode_ptms(noise.sx, noise.x)
    cnot = np.zeros(len(device.edges))
    for gate in set(device.gate):
        word, ideal = native.block_word(block, gate), native.ideal_ptm(native.block_element(block, gate))
        of_gate = np.flatnonzero(np.array(device.gate) == gate)
        for rows in _blocks(len(of_gate)):
            edges = of_gate[rows]
            noisy = native.word_ptm(word, opcodes[device.direction[edges]], native_ptms(gate, noise, edges))
            cnot[edges] = channels.average_gate_infidelity(noisy, ideal)
    return Truth(cnot_error=cnot, one_qubit_error=one, readout_error=(noise.p1_given_0 + noise.p0_given_1) / 2)
