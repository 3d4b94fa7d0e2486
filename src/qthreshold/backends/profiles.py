"""Device profiles: simulated devices whose true errors are known, described in ``backends/*.toml``."""

import zlib
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pydantic
from pydantic import Field

from qthreshold.backends.noise import Noise, build_noise
from qthreshold.backends.topology import Topology, layout, module_links
from qthreshold.datafiles import load_named
from qthreshold.device import Device, build_device
from qthreshold.identity import content_id
from qthreshold.numerics import channels
from qthreshold.schema import FieldError, Schema

__all__ = ["Profile", "SimulatedDevice", "Topology", "build", "layout", "load_profile"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PairError = Annotated[float, Field(ge=0, le=0.75)]  # what depolarizing noise can make of a pair
HalfError = Annotated[float, Field(ge=0, le=0.5)]  # of a pulse or a readout: a coin toss
Positive = Annotated[float, Field(gt=0)]
QubitPair = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]


class Spread(Schema):
    """A log-normal draw: ``median * exp(spread * normal)``."""

    median: float
    spread: Annotated[float, Field(ge=0, le=3)]


class PairErrorSpread(Spread):
    median: PairError


class HalfErrorSpread(Spread):
    median: HalfError


class PositiveSpread(Spread):
    median: Positive


PairErrorValue = PairError | PairErrorSpread
HalfErrorValue = HalfError | HalfErrorSpread
PositiveValue = Positive | PositiveSpread
Angle = float | Spread
PauliPair = Literal["IX", "IY", "IZ", "XI", "XX", "XY", "XZ", "YI", "YX", "YY", "YZ", "ZI", "ZX", "ZY", "ZZ"]


class QubitValues(Schema):
    """Values of one qubit, or of all. Times in seconds, angles in radians."""

    t1: PositiveValue = 1.0
    t2: PositiveValue = 1.0
    pulse_error: HalfErrorValue = Field(default=0.0, description="average gate infidelity of sx and of x, coherent part left out")
    pulse_duration: Positive = 32e-9
    over_rotation: Angle = Field(default=0.0, description="of sx, about its own axis; x gets twice as much")
    phase_error: Angle = Field(default=0.0, description="z rotation that follows each pulse")
    p1_given_0: HalfErrorValue = Field(default=0.0, description="readout: 1 read where 0 was prepared")
    p0_given_1: HalfErrorValue = 0.0
    readout_duration: Positive = 1.5e-6


class PairValues(Schema):
    """Values of one pair, or of all."""

    gate: Literal["cx", "cz", "ecr", "rzz", "rxx"] = "cz"
    order: Literal["ascending", "descending", "drawn"] = Field(default="ascending", description="first qubit of the native gate")
    error: PairErrorValue = Field(default=0.0, description="average gate infidelity of the native gate, coherent part left out")
    duration: Positive = 68e-9
    coherent: dict[PauliPair, Angle] = Field(default_factory=dict, description="angles of exp(-i/2 sum angle P) after the gate")


class Timing(Schema):
    """What an execution costs on a machine of this kind, for cost estimates; in seconds."""

    repetition_delay: Positive = 250e-6
    job_overhead: Annotated[float, Field(ge=0)] = 2.0


class QubitException(QubitValues):
    """Values of one named qubit that differ from the rest."""

    qubit: Annotated[int, Field(ge=0)]


class PairException(PairValues):
    """Values of one named pair that differ from the rest."""

    edge: QubitPair


class CouplingException(Schema):
    """Crosstalk of one named coupling that differs from the rest."""

    edge: QubitPair
    zz: Angle


class Crosstalk(Schema):
    """What gates on neighbouring pairs do to each other when they run at the same time; see :mod:`qthreshold.backends.crosstalk`."""

    zz: Angle = Field(default=0.0, description="of every coupling: exp(-i/2 zz ZZ) after simultaneous native gates on either side of it")
    coupling: tuple[CouplingException, ...] = ()


class Profile(Schema):
    """A simulated device."""

    file_schema: Literal["qthreshold/profile/1"] = Field(alias="schema")
    name: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9._-]+$")]
    description: str = ""
    seed: Annotated[int, Field(ge=0)] = 0
    topology: Topology
    qubits: QubitValues = QubitValues()
    pairs: PairValues = PairValues()
    links: PairValues | None = Field(default=None, description="pairs that join two modules, where they differ from the rest")
    timing: Timing = Timing()
    crosstalk: Crosstalk = Crosstalk()
    qubit: tuple[QubitException, ...] = ()
    pair: tuple[PairException, ...] = ()
    dead_qubits: tuple[Annotated[int, Field(ge=0)], ...] = ()
    dead_pairs: tuple[QubitPair, ...] = ()

    @pydantic.model_validator(mode="after")
    def _members(self) -> "Profile":
        if self.links is not None and self.topology.kind != "modular":
            raise FieldError(("links",), f"only a 'modular' topology has pairs between modules, this one is {self.topology.kind!r}")
        n, edges, _ = layout(self.topology)
        known = {tuple(e) for e in edges.tolist()}
        for q in [*self.dead_qubits, *(x.qubit for x in self.qubit)]:
            if q >= n:
                raise ValueError(f"qubit {q} does not exist, the device has qubits 0 to {n - 1}")
        for a, b in [*self.dead_pairs, *(x.edge for x in self.pair)]:
            if (min(a, b), max(a, b)) not in known:
                raise ValueError(f"pair [{a}, {b}] is not coupled in this topology")
        named: set[tuple[int, int]] = set()
        for i, (a, b) in enumerate(x.edge for x in self.crosstalk.coupling):
            edge = (min(a, b), max(a, b))
            if edge not in known:
                raise FieldError(("crosstalk", "coupling", i, "edge"), f"pair [{a}, {b}] is not coupled in this topology")
            if edge in named:
                raise FieldError(("crosstalk", "coupling", i, "edge"), f"pair [{a}, {b}] is named twice")
            named.add(edge)
        return self


class SimulatedDevice:
    """A device together with the noise that its simulator uses.

    Args:
        device: The device.
        noise: Its noise.
        crosstalk: Angle of each coupling, radians, ``(E,)``, as :mod:`qthreshold.backends.crosstalk` describes it; all 0 by default.
    """

    def __init__(self, device: Device, noise: Noise, crosstalk: Real | None = None) -> None:
        self.device = device
        self.noise = noise
        self.crosstalk = np.zeros(len(device.edges)) if crosstalk is None else crosstalk

    @property
    def state(self) -> str:
        """Id of what the device does not show: of its noise, and of its crosstalk if there is any."""
        if not self.crosstalk.any():
            return self.noise.id
        return content_id("qthreshold/crosstalk/1", {"noise": self.noise.id}, {"zz": self.crosstalk})


def load_profile(spec: str) -> Profile:
    """Load a profile by name or path.

    Raises:
        InputError: Unknown name, unreadable file, or a field out of range.
    """
    return load_named("backends", spec, Profile, "profile")


@dataclass(frozen=True, slots=True, eq=False)
class _Draws:
    """Values from a profile's seed and the name of a field, so that adding one field changes no other."""

    seed: int

    def rng(self, field: str) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, zlib.crc32(field.encode())])))

    def values(self, value: float | Spread, field: str, size: int) -> Real:
        if not isinstance(value, Spread):
            return np.full(size, float(value))
        return value.median * np.exp(value.spread * self.rng(field).standard_normal(size))


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """What every pair gets: ``error`` and ``duration`` ``(E,)``, ``angles`` ``(E, 16)``, gates, and whether the order is descending."""

    numbers: dict[str, Real]
    angles: Real
    gate: npt.NDArray[np.object_]
    flip: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, values: PairValues, count: int, draws: _Draws) -> "_Pairs":
        numbers = {f: np.zeros(count) for f in ("error", "duration")}
        pairs = cls(numbers, np.zeros((count, 16)), np.full(count, "", dtype=object), np.zeros(count, bool))
        pairs.put(np.arange(count), values, set(PairValues.model_fields), "pairs", draws)
        return pairs

    def put(self, rows: Ints, values: PairValues, fields: Set[str], prefix: str, draws: _Draws) -> None:
        """Give some pairs the values of some fields."""
        for f in fields & self.numbers.keys():
            self.numbers[f][rows] = draws.values(getattr(values, f), f"{prefix}.{f}", len(rows))
        if "gate" in fields:
            self.gate[rows] = values.gate
        if "order" in fields:
            self.flip[rows] = draws.rng(f"{prefix}.order").random(len(rows)) < 0.5 if values.order == "drawn" else values.order == "descending"
        if "coherent" in fields:
            self.angles[rows] = 0
            for label, value in values.coherent.items():
                self.angles[rows, _pauli_number(label)] = draws.values(value, f"{prefix}.coherent.{label}", len(rows))


def build(profile: Profile) -> SimulatedDevice:
    """Draw all values of a profile and build the device and its noise.

    Drawn values depend only on the profile's seed and the field's name, so adding one field changes no other.
    """
    n, edges, position = layout(profile.topology)
    draws = _Draws(profile.seed)
    row = {tuple(p): i for i, p in enumerate(edges.tolist())}
    qubit = {f: draws.values(getattr(profile.qubits, f), f"qubits.{f}", n) for f in QubitValues.model_fields}
    for special in profile.qubit:
        for f in special.model_fields_set - {"qubit"}:
            qubit[f][special.qubit] = draws.values(getattr(special, f), f"qubit.{special.qubit}.{f}", 1)[0]
    pairs = _Pairs.of(profile.pairs, len(edges), draws)
    if profile.links is not None:
        pairs.put(module_links(profile.topology, edges), profile.links, profile.links.model_fields_set, "links", draws)
    for special_pair in profile.pair:
        a, b = special_pair.edge
        pairs.put(np.array([row[min(a, b), max(a, b)]]), special_pair, special_pair.model_fields_set, f"pair.{a}-{b}", draws)
    for f in ("pulse_error", "p1_given_0", "p0_given_1"):
        qubit[f] = np.minimum(qubit[f], 0.5)
    error, duration = np.minimum(pairs.numbers["error"], 0.75), pairs.numbers["duration"]
    qubit["t2"] = np.minimum(qubit["t2"], 2 * qubit["t1"])

    direction = np.where(pairs.flip[:, None], edges[:, ::-1], edges)
    physical = {f: values for f, values in qubit.items() if f != "readout_duration"}
    noise = build_noise(direction=direction, angles=pairs.angles, edge_error=error, edge_duration=duration, **physical)
    dead_pairs = {row[min(a, b), max(a, b)]: "dead in the profile" for a, b in profile.dead_pairs}
    dead_qubits = dict.fromkeys(profile.dead_qubits, "dead in the profile")
    for i, pair in enumerate(edges.tolist()):
        for member in pair:
            if member in dead_qubits:
                dead_pairs.setdefault(i, f"qubit {member} is dead in the profile")
    device = build_device(
        name=profile.name, source=f"profile {profile.name}", n_qubits=n, directed=direction, gate=pairs.gate.tolist(),
        edge_error=channels.average_gate_infidelity(noise.native, np.eye(16)), edge_duration=duration,
        qubit_error=channels.average_gate_infidelity(noise.sx, np.eye(4)),
        readout_error=(noise.p1_given_0 + noise.p0_given_1) / 2,
        pulse_duration=qubit["pulse_duration"], readout_duration=qubit["readout_duration"], t1=qubit["t1"], t2=qubit["t2"],
        repetition_delay=profile.timing.repetition_delay, job_overhead=profile.timing.job_overhead,
        absent_edges=dead_pairs, absent_qubits=dead_qubits, coordinates=position,
    )  # fmt: skip
    return SimulatedDevice(device, noise, _crosstalk(profile.crosstalk, row, draws))


def _crosstalk(values: Crosstalk, row: Mapping[tuple[int, ...], int], draws: _Draws) -> Real:
    """Angle of each coupling, ``(E,)``."""
    zz = draws.values(values.zz, "crosstalk.zz", len(row))
    for special in values.coupling:
        a, b = special.edge
        zz[row[min(a, b), max(a, b)]] = draws.values(special.zz, f"crosstalk.{a}-{b}.zz", 1)[0]
    return zz


def _pauli_number(label: str) -> int:
    """Position of a label such as ``ZI`` (first letter: first qubit of the native gate) in PTM order."""
    return "IXYZ".index(label[0]) + 4 * "IXYZ".index(label[1])
