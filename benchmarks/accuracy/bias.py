"""Exact bias of plain and padded interleaved RB, by noise family. Prints the table; ``--write`` renews the one in README.md."""

import argparse
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import readme

from qthreshold.backends.noise import pair_channels, true_errors
from qthreshold.backends.profiles import Profile, SimulatedDevice, build
from qthreshold.backends.twirl import protocol_limits
from qthreshold.circuits.native import CNOT
from qthreshold.numerics import channels

TARGETS = (1e-2, 1e-3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Noise of one pair up to an overall strength.

    ``coherent``: relative angles of the native gate's Pauli rotations; ``over_rotation`` and ``phase_error``: of sx, relative
    to them; ``incoherent``: share of the native gate's error that is depolarizing noise, half of it relaxation where
    ``damping``; pulses get a tenth of the incoherent error. ``gate_error``: depolarizing noise of the native gate alone.
    ``tolerance``: accepted bias of the padded protocol.
    """

    name: str
    gate: str = "cz"
    coherent: dict[str, float] = field(default_factory=dict)
    over_rotation: float = 0.0
    phase_error: float = 0.0
    incoherent: float = 0.0
    damping: bool = False
    gate_error: float = 0.0
    tolerance: float = 0.005

    def device(self, strength: float, copies: int = 1) -> SimulatedDevice:
        """Separate equal pairs; rotations grow as the square root of ``strength``, incoherent errors in proportion to it."""
        angle, error = np.sqrt(strength), self.incoherent * strength
        pulse, duration = error / 10, 50e-9
        # to first order relaxation with T1 = T2 costs t / (2 T1) on a qubit and 1.2 t / T1 on a pair: half of either error
        t1 = duration / pulse if self.damping else 1e6
        values: dict[str, Any] = {
            "schema": "qthreshold/profile/1", "name": "family",
            "topology": {"kind": "pairs", "qubits": 2 * copies, "pairs": [(2 * i, 2 * i + 1) for i in range(copies)]},
            "qubits": {
                "t1": t1, "t2": t1, "pulse_error": pulse, "pulse_duration": duration,
                "over_rotation": self.over_rotation * angle, "phase_error": self.phase_error * angle,
            },
            "pairs": {
                "gate": self.gate, "error": error + self.gate_error * strength, "duration": 4.2 * duration,
                "coherent": {k: v * angle for k, v in self.coherent.items()},
            },
        }  # fmt: skip
        return build(Profile.model_validate(values))

    def device_at(self, target: float, copies: int = 1) -> SimulatedDevice:
        """The device at the strength that gives its compiled C-NOT the true error ``target``."""
        strength = target
        for _ in range(30):
            simulated = self.device(strength)
            error = _block_error(simulated)
            if abs(error / target - 1) < 1e-10:
                break
            strength *= target / error
        return self.device(strength, copies)


def _block_error(simulated: SimulatedDevice) -> float:
    return float(true_errors(simulated.device, simulated.noise).cnot_error[0])


_MIX = {"ZZ": 1.0, "ZI": 0.6, "IZ": -0.4}
_HALF: dict[str, Any] = {"coherent": {k: 1.6 * v for k, v in _MIX.items()}, "incoherent": 1.0, "damping": True}
_HALF_ECR: dict[str, Any] = {**_HALF, "coherent": {"ZX": 1.6, "IX": 1.0, "ZI": -0.6}}

FAMILIES = (
    Family(name="depolarizing", incoherent=1.0, tolerance=0.001),
    Family(name="cz over-rotated: ZZ", coherent={"ZZ": 1.0}),
    Family(name="cz over-rotated: ZZ, ZI, IZ", coherent=_MIX),
    Family(name="sx over-rotated, cz depolarizing", over_rotation=0.8, gate_error=1.0),
    Family(name="sx under-rotated, cz depolarizing", over_rotation=-0.8, gate_error=1.0),
    Family(name="cz ZZ, ZI, IZ; sx over-rotated", coherent=_MIX, over_rotation=0.5),
    Family(name="cz ZZ, ZI, IZ; sx under-rotated", coherent=_MIX, over_rotation=-0.5),
    Family(name="cz ZZ, ZI, IZ; sx over-rotated; half damping and depolarizing", over_rotation=0.8, **_HALF),
    Family(name="cz ZZ, ZI, IZ; sx under-rotated; half damping and depolarizing", over_rotation=-0.8, **_HALF),
    Family(name="ecr ZX, IX, ZI; sx over-rotated; half damping and depolarizing", gate="ecr", over_rotation=0.8, **_HALF_ECR),
    Family(name="rzz ZZ, ZI, IZ; sx over-rotated; half damping and depolarizing", gate="rzz", over_rotation=0.8, **_HALF),
    Family(name="sx over-rotated, nothing else (a)", over_rotation=1.0, tolerance=0.011),
    Family(name="sx under-rotated, nothing else (a)", over_rotation=-1.0, tolerance=0.011),
    Family(name="cz ZZ, ZI, IZ; sx phase error (b)", coherent=_MIX, phase_error=0.5, tolerance=0.10),
    Family(name="sx phase error, nothing else (b)", phase_error=1.0, tolerance=0.26),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Biases relative to the true error, of the compiled C-NOT and of the native gate alone (NaN if that has no error)."""

    family: Family
    true_error: float
    coherent_share: float
    plain: float
    padded: float
    native_plain: float
    native_padded: float


def bias(family: Family, target: float) -> Row:
    """Exact bias for one family at one true error of the compiled C-NOT."""
    simulated = family.device_at(target)
    limits = [
        protocol_limits(simulated.device, simulated.noise, [0], block=block, padded=padded)[0]
        for block in ("cnot", "native")
        for padded in (False, True)
    ]
    plain, padded, native_plain, native_padded = (x.bias if x.true_error > 1e-9 else float("nan") for x in limits)
    return Row(
        family=family, true_error=limits[0].true_error, coherent_share=coherent_share(simulated), plain=plain, padded=padded,
        native_plain=native_plain, native_padded=native_padded,
    )  # fmt: skip


def coherent_share(simulated: SimulatedDevice) -> float:
    """Part of the block's error that a unitary could undo: what unitarity leaves unexplained (arXiv:1503.07865)."""
    unital = pair_channels(simulated.device, simulated.noise, 0).elements(CNOT)[1:, 1:]
    incoherent = channels.average_gate_infidelity(channels.depolarizing(np.sqrt(np.sum(unital**2) / 15), 2), np.eye(16))
    return 1 - float(incoherent) / _block_error(simulated)


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| noise | true error | coherent share | plain | padded | native gate alone: plain | padded |", "|---|--:|--:|--:|--:|--:|--:|"]
    for r in rows:
        native = "- | -" if np.isnan(r.native_plain) else f"{r.native_plain:+.1%} | {r.native_padded:+.3%}"
        lines.append(f"| {r.family.name} | {r.true_error:.0e} | {r.coherent_share:.0%} | {r.plain:+.1%} | {r.padded:+.3%} | {native} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print the table; exit status 1 if the padded protocol misses a tolerance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    write = parser.parse_args().write
    rows = [bias(f, t) for f in FAMILIES for t in TARGETS]
    text = table(rows)
    print(text)
    if write:
        readme.renew("bias", text)
    missed = [r for r in rows if abs(r.padded) > r.family.tolerance]
    for r in missed:
        print(f"padded misses {r.family.tolerance:.1%}: {r.family.name} at {r.true_error:.0e}: {r.padded:+.3%}", file=sys.stderr)
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
