"""Device profiles: simulated devices whose true errors are known, described in ``backends/*.toml``."""

import zlib
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pydantic
from pydantic import Field

from qthreshold.backends.noise import Noise, build_noise
from qthreshold.datafiles import load_named
from qthreshold.device import Device, build_device
from qthreshold.numerics import channels
from qthreshold.schema import Schema

__all__ = ["Profile", "SimulatedDevice", "build", "load_profile"]

PairError = Annotated[float, Field(ge=0, le=0.75)]  # what depolarizing noise can make of a pair
HalfError = Annotated[float, Field(ge=0, le=0.5)]  # of a pulse or a readout: a coin toss
Positive = Annotated[float, Field(gt=0)]
Size = Annotated[int, Field(ge=1, le=20_000)]
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


class Topology(Schema):
    """Which qubits are coupled."""

    kind: Literal["heavy-hex", "grid", "line", "ring", "all-to-all", "pairs"]
    rows: Size | None = None
    columns: Size | None = None
    qubits: Size | None = None
    last_bridges: bool = Field(default=False, description="heavy-hex: a row of bridge qubits below the last row")
    trim_corners: bool = Field(default=False, description="heavy-hex: first row without its last qubit, last row without its first")
    pairs: list[QubitPair] | None = None

    @pydantic.model_validator(mode="after")
    def _sizes(self) -> "Topology":
        needed = {"heavy-hex": ("rows", "columns"), "grid": ("rows", "columns"), "pairs": ("qubits", "pairs")}.get(self.kind, ("qubits",))
        for name in needed:
            if getattr(self, name) is None:
                raise ValueError(f"topology {self.kind!r} needs {name}")
        if self.kind == "ring" and (self.qubits or 0) < 3:
            raise ValueError("a ring needs at least 3 qubits")
        for a, b in self.pairs or []:
            if a == b or max(a, b) >= (self.qubits or 0):
                raise ValueError(f"pair [{a}, {b}] must name two different qubits below {self.qubits}")
        return self


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


class Profile(Schema):
    """A simulated device."""

    file_schema: Literal["qthreshold/profile/1"] = Field(alias="schema")
    name: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9._-]+$")]
    description: str = ""
    seed: Annotated[int, Field(ge=0)] = 0
    topology: Topology
    qubits: QubitValues = QubitValues()
    pairs: PairValues = PairValues()
    timing: Timing = Timing()
    qubit: tuple[QubitException, ...] = ()
    pair: tuple[PairException, ...] = ()
    dead_qubits: tuple[Annotated[int, Field(ge=0)], ...] = ()
    dead_pairs: tuple[QubitPair, ...] = ()

    @pydantic.model_validator(mode="after")
    def _members(self) -> "Profile":
        n, edges, _ = layout(self.topology)
        known = {tuple(e) for e in edges.tolist()}
        for q in [*self.dead_qubits, *(x.qubit for x in self.qubit)]:
            if q >= n:
                raise ValueError(f"qubit {q} does not exist, the device has qubits 0 to {n - 1}")
        for a, b in [*self.dead_pairs, *(x.edge for x in self.pair)]:
            if (min(a, b), max(a, b)) not in known:
                raise ValueError(f"pair [{a}, {b}] is not coupled in this topology")
        return self


class SimulatedDevice:
    """A device together with the noise that its simulator uses."""

    def __init__(self, device: Device, noise: Noise) -> None:
        self.device = device
        self.noise = noise


def load_profile(spec: str) -> Profile:
    """Load a profile by name or path.

    Raises:
        InputError: Unknown name, unreadable file, or a field out of range.
    """
    return load_named("backends", spec, Profile, "profile")


def layout(t: Topology) -> tuple[int, npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Number of qubits, coupled pairs ``(E, 2)`` sorted, and drawing positions ``(n, 2)`` of a topology."""
    if t.kind == "heavy-hex":
        return _heavy_hex(t.rows or 1, t.columns or 1, last_bridges=t.last_bridges, trim=t.trim_corners)
    if t.kind == "grid":
        rows, columns = t.rows or 1, t.columns or 1
        at = np.arange(rows * columns).reshape(rows, columns)
        pairs = np.concatenate([np.stack([at[:, :-1].ravel(), at[:, 1:].ravel()], 1), np.stack([at[:-1].ravel(), at[1:].ravel()], 1)])
        position = np.stack([at.ravel() % columns, at.ravel() // columns], 1).astype(float)
        n = at.size
    else:
        n = t.qubits or 1
        a = np.arange(n)
        turn = 2 * np.pi * a / n
        position = n / (2 * np.pi) * np.stack([np.cos(turn), np.sin(turn)], 1)
        if t.kind == "all-to-all":
            pairs = np.stack(np.triu_indices(n, 1), 1)
        elif t.kind == "pairs":
            pairs = np.array(t.pairs or [], dtype=np.int64).reshape(-1, 2)
        elif t.kind == "ring":
            pairs = np.stack([a, (a + 1) % n], 1)
        else:
            pairs, position = np.stack([a[:-1], a[1:]], 1), np.stack([a, 0 * a], 1).astype(float)
    pairs = np.unique(np.sort(pairs.astype(np.int64), axis=1), axis=0)
    return n, pairs, position


def _heavy_hex(rows: int, columns: int, *, last_bridges: bool, trim: bool) -> tuple[int, npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Rows of qubits joined by bridge qubits every fourth column, alternately from column 0 and column 2."""
    index: dict[tuple[int, int], int] = {}
    for y in range(rows):
        for x in range(columns):
            if trim and ((y == 0 and x == columns - 1) or (y == rows - 1 and x == 0)):
                continue
            index[x, 2 * y] = len(index)
        if y < rows - 1 or last_bridges:
            for x in range(2 * (y % 2), columns, 4):
                index[x, 2 * y + 1] = len(index)
    pairs = [(i, index[p]) for (x, y), i in index.items() for p in ((x + 1, y), (x, y + 1)) if p in index and not (p[1] == y and y % 2)]
    edges = np.unique(np.sort(np.array(pairs, dtype=np.int64).reshape(-1, 2), axis=1), axis=0)
    return len(index), edges, np.array(list(index), dtype=float)


def build(profile: Profile) -> SimulatedDevice:
    """Draw all values of a profile and build the device and its noise.

    Drawn values depend only on the profile's seed and the field's name, so adding one field changes no other.
    """
    n, edges, position = layout(profile.topology)
    count = len(edges)
    q, e = profile.qubits, profile.pairs

    def draw(value: float | Spread, field: str, size: int) -> npt.NDArray[np.float64]:
        if not isinstance(value, Spread):
            return np.full(size, float(value))
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([profile.seed, zlib.crc32(field.encode())])))
        return value.median * np.exp(value.spread * rng.standard_normal(size))

    qubit = {f: draw(getattr(q, f), f"qubits.{f}", n) for f in QubitValues.model_fields}
    edge = {f: draw(getattr(e, f), f"pairs.{f}", count) for f in ("error", "duration")}
    angles = np.zeros((count, 16))
    for label, value in e.coherent.items():
        angles[:, _pauli_number(label)] = draw(value, f"pairs.coherent.{label}", count)
    gate = [e.gate] * count
    flip = {"ascending": np.zeros(count, bool), "descending": np.ones(count, bool)}.get(e.order)
    if flip is None:
        flip = np.random.Generator(np.random.PCG64(np.random.SeedSequence([profile.seed, zlib.crc32(b"pairs.order")]))).random(count) < 0.5

    row = {tuple(p): i for i, p in enumerate(edges.tolist())}
    for special in profile.qubit:
        for f in special.model_fields_set - {"qubit"}:
            qubit[f][special.qubit] = draw(getattr(special, f), f"qubit.{special.qubit}.{f}", 1)[0]
    for special_pair in profile.pair:
        a, b = special_pair.edge
        i = row[min(a, b), max(a, b)]
        for f in special_pair.model_fields_set & {"error", "duration"}:
            edge[f][i] = draw(getattr(special_pair, f), f"pair.{a}-{b}.{f}", 1)[0]
        if "gate" in special_pair.model_fields_set:
            gate[i] = special_pair.gate
        if special_pair.order != "drawn" and "order" in special_pair.model_fields_set:
            flip[i] = special_pair.order == "descending"
        if "coherent" in special_pair.model_fields_set:
            angles[i] = 0
            for label, value in special_pair.coherent.items():
                angles[i, _pauli_number(label)] = draw(value, f"pair.{a}-{b}.coherent.{label}", 1)[0]
    for f in ("pulse_error", "p1_given_0", "p0_given_1"):
        qubit[f] = np.minimum(qubit[f], 0.5)
    edge["error"] = np.minimum(edge["error"], 0.75)
    qubit["t2"] = np.minimum(qubit["t2"], 2 * qubit["t1"])

    direction = np.where(flip[:, None], edges[:, ::-1], edges)
    physical = {f: values for f, values in qubit.items() if f != "readout_duration"}
    noise = build_noise(direction=direction, angles=angles, edge_error=edge["error"], edge_duration=edge["duration"], **physical)
    dead_pairs = {row[min(a, b), max(a, b)]: "dead in the profile" for a, b in profile.dead_pairs}
    dead_qubits = dict.fromkeys(profile.dead_qubits, "dead in the profile")
    for i, pair in enumerate(edges.tolist()):
        for member in pair:
            if member in dead_qubits:
                dead_pairs.setdefault(i, f"qubit {member} is dead in the profile")
    device = build_device(
        name=profile.name, source=f"profile {profile.name}", n_qubits=n, directed=direction, gate=gate,
        edge_error=channels.average_gate_infidelity(noise.native, np.eye(16)), edge_duration=edge["duration"],
        qubit_error=channels.average_gate_infidelity(noise.sx, np.eye(4)),
        readout_error=(noise.p1_given_0 + noise.p0_given_1) / 2,
        pulse_duration=qubit["pulse_duration"], readout_duration=qubit["readout_duration"], t1=qubit["t1"], t2=qubit["t2"],
        repetition_delay=profile.timing.repetition_delay, job_overhead=profile.timing.job_overhead,
        absent_edges=dead_pairs, absent_qubits=dead_qubits, coordinates=position,
    )  # fmt: skip
    return SimulatedDevice(device, noise)


def _pauli_number(label: str) -> int:
    """Position of a label such as ``ZI`` (first letter: first qubit of the native gate) in PTM order."""
    return "IXYZ".index(label[0]) + 4 * "IXYZ".index(label[1])
