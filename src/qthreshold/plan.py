"""Plan: every circuit of a run, with everything that analysis will need.

A circuit is wide: it holds one *unit* for each of its targets (a qubit or a pair). A unit is a random sequence of steps
followed by one element that returns the register to a random bit string. A step of the padded protocol is C P1 P2 in
the reference arm and C P1 G P2 in the interleaved arm, with a uniform Clifford C, random Paulis P1 and P2 as layers of
their own, and the block G; the plain protocol leaves the Paulis out. Both arms share their Cliffords and Paulis, and the bit
string that a sequence ends in.

References:
    E. Magesan et al., arXiv:1203.4550 (interleaved RB). R. Harper et al., arXiv:1901.00535 (random final Pauli).
    D. C. McKay et al., arXiv:2311.05933 (simultaneous pairs in layers).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.device import Device
from qthreshold.identity import Arrays, Record, content_id, parts
from qthreshold.numerics import cliffords, graphs
from qthreshold.recipe import Recipe
from qthreshold.schedule import Schedule, one_qubit_schedule, step_seconds, two_qubit_schedule
from qthreshold.steps import DRAWN, STORED, draw_steps, layer_paulis, product

__all__ = [
    "INTERLEAVED",
    "MOST_STEPS",
    "ONE_QUBIT",
    "READOUT",
    "REFERENCE",
    "TWO_QUBIT",
    "Plan",
    "PlanCost",
    "circuit_name",
    "circuit_seconds",
    "make_plan",
    "measured_qubits",
    "plan_cost",
    "plan_without_circuits",
    "preflight_plan",
    "seed_rng",
]

READOUT, ONE_QUBIT, TWO_QUBIT = 0, 1, 2
_NAMES = {READOUT: "readout", ONE_QUBIT: "rb1", TWO_QUBIT: "rb2"}
REFERENCE, INTERLEAVED = 0, 1

MOST_STEPS = 10_000_000_000
"""Steps that a plan can have: planning these takes minutes, running them hours."""

_CHUNK = 4_000_000  # steps that are drawn at a time


def _upgrade_1(header: Mapping[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
    """Version 1 held every step."""
    return {**header, "steps": STORED}, dict(arrays)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Plan(Record):
    """All circuits of a run.

    Attributes:
        device_id: Id of the device.
        recipe: The recipe, as read.
        seed: Seed of everything random.
        one_qubit_lengths, two_qubit_lengths: Steps, increasing.
        qubits: Measured qubits, ``(Q,)``.
        edges: Rows of ``device.edges`` that are measured, ``(M,)``.
        n_edges_usable: How many pairs could be measured; more than M where the recipe takes a sample.
        context: ``isolated`` if no two pairs that run at the same time are neighbours on the coupling map, else ``simultaneous``;
            ``unstated`` where the circuits were run elsewhere.
        circuit_experiment, circuit_arm, circuit_layer, circuit_length, circuit_sample, circuit_shots: One entry per
            circuit, ``(C,)``, in execution order.
        unit_circuit, unit_target: Circuit and target (qubit, or row of ``device.edges``) of each unit, ``(U,)``.
        unit_start: Where the unit's steps start in the stream of its experiment and length, or in the arrays where steps are stored; both arms
            of a sequence have the same steps.
        unit_final: Element that ends the sequence.
        unit_expected: Expected outcome; bit 0 belongs to the first qubit of the native order.
        steps: How :meth:`sequences` finds the steps: drawn from ``seed`` (:data:`.steps.DRAWN`), or ``stored``.
        cliffords: Clifford indices of all steps, ``(S,)``, where they are stored.
        paddings: Padding layers P1 and P2 of each step (``6 * j + i`` as in ``native.padding_words``), ``(S, 2)``, where they are stored.
    """

    schema: ClassVar[str] = "qthreshold/plan/2"
    upgrades: ClassVar = {"qthreshold/plan/1": _upgrade_1}
    device_id: str
    recipe: Mapping[str, Any]
    seed: int
    one_qubit_lengths: npt.NDArray[np.int64]
    two_qubit_lengths: npt.NDArray[np.int64]
    qubits: npt.NDArray[np.int64]
    edges: npt.NDArray[np.int64]
    n_edges_usable: int
    context: str
    circuit_experiment: npt.NDArray[np.int8]
    circuit_arm: npt.NDArray[np.int8]
    circuit_layer: npt.NDArray[np.int32]
    circuit_length: npt.NDArray[np.int64]
    circuit_sample: npt.NDArray[np.int32]
    circuit_shots: npt.NDArray[np.int64]
    unit_circuit: npt.NDArray[np.int32]
    unit_target: npt.NDArray[np.int32]
    unit_start: npt.NDArray[np.int64]
    unit_final: npt.NDArray[np.uint16]
    unit_expected: npt.NDArray[np.uint8]
    steps: str
    cliffords: npt.NDArray[np.uint16]
    paddings: npt.NDArray[np.uint8]

    def _check(self) -> None:
        for prefix, names in (("circuit", ("arm", "layer", "length", "sample", "shots")), ("unit", ("target", "start", "final", "expected"))):
            first = getattr(self, "circuit_experiment" if prefix == "circuit" else "unit_circuit")
            for name in names:
                if getattr(self, f"{prefix}_{name}").shape != first.shape:
                    raise ValueError(f"{prefix}_{name} has shape {getattr(self, f'{prefix}_{name}').shape}, expected {first.shape}")
        if self.paddings.shape != (len(self.cliffords), 2):
            raise ValueError(f"paddings {self.paddings.shape} do not fit {len(self.cliffords)} steps")
        if self.steps not in (DRAWN, STORED):
            raise ValueError(f"unknown way to hold steps {self.steps!r}; accepted: {DRAWN}, {STORED}")

    @property
    def n_circuits(self) -> int:
        """Number of (wide) circuits."""
        return len(self.circuit_experiment)

    @property
    def layer_starts(self) -> list[int]:
        """First circuit of each layer of each experiment, in execution order, and the number of circuits."""
        if self.n_circuits == 0:
            return [0]
        key = self.circuit_experiment.astype(np.int64) << 32 | self.circuit_layer
        return [0, *(np.flatnonzero(np.diff(key)) + 1).tolist(), self.n_circuits]

    @property
    def padded(self) -> bool:
        """Whether the padded protocol is used."""
        return bool(self.recipe["two_qubit"]["protocol"] == "padded")

    @property
    def block(self) -> str:
        """The interleaved block: ``cnot`` or ``native``."""
        return str(self.recipe["two_qubit"]["gate"])

    def _content_id(self) -> str:
        """Plans of the first version keep theirs."""
        header, arrays = parts(self)
        if self.steps == STORED:
            return content_id("qthreshold/plan/1", {k: v for k, v in header.items() if k != "steps"}, arrays)
        return content_id(self.schema, header, arrays)

    def sequences(self, units: npt.ArrayLike) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
        """The steps of some units, one unit after the other.

        Args:
            units: Any units, ``(U,)``.

        Returns:
            Clifford indices ``(S,)`` and padding layers ``(S, 2)``; unit u takes as many as its circuit is long.
        """
        units = np.asarray(units, dtype=np.int64)
        circuit = self.unit_circuit[units]
        length, start = self.circuit_length[circuit], self.unit_start[units]
        end = np.cumsum(length)
        within = np.arange(end[-1] if end.size else 0) - np.repeat(end - length, length)
        if self.steps == STORED:
            at = within + np.repeat(start, length)
            return self.cliffords[at], self.paddings[at]
        experiment = self.circuit_experiment[circuit].astype(np.int64)
        row = np.where(experiment == TWO_QUBIT, np.searchsorted(self.two_qubit_lengths, length), np.searchsorted(self.one_qubit_lengths, length))
        row[experiment == READOUT] = 0
        # what follows each other in a stream is drawn in one go, and what both arms share once
        key = np.stack([experiment, row, start], axis=1)
        different, which = np.unique(key, axis=0, return_inverse=True)
        size = np.zeros(len(different), dtype=np.int64)
        size[which.ravel()] = length
        joined = (different[1:, :2] == different[:-1, :2]).all(axis=1) & (different[1:, 2] == different[:-1, 2] + size[:-1])
        first = np.flatnonzero(np.concatenate([[True], ~joined])) if len(different) else np.zeros(0, dtype=np.int64)
        total = np.add.reduceat(size, first) if first.size else size
        pieces = [
            draw_steps(self.seed, e, i, s, t, 2 if e == TWO_QUBIT else 1)
            for (e, i, s), t in zip(different[first].tolist(), total.tolist(), strict=True)
        ]
        drawn = np.concatenate([np.zeros(0, dtype=np.uint16), *(c for c, _ in pieces)])
        paddings = np.concatenate([np.zeros((0, 2), dtype=np.uint8), *(p for _, p in pieces)])
        at = within + np.repeat((np.cumsum(size) - size)[which.ravel()], length)
        return drawn[at], paddings[at] if self.padded else np.zeros((len(at), 2), dtype=np.uint8)

    def parsed_recipe(self) -> Recipe:
        """The recipe as a checked object."""
        return Recipe.model_validate(self.recipe)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCost:
    """What a plan costs to run: counts, and seconds of device time."""

    circuits: int
    executions: int
    jobs: int
    longest_circuit: int
    longest_seconds: float
    estimated_seconds: float


def seed_rng(seed: int, *key: int) -> np.random.Generator:
    """The random generator of one purpose: independent streams for different keys."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=key)))


def make_plan(device: Device, recipe: Recipe, seed: int, block_element: Mapping[str, int]) -> Plan:
    """Lay out every circuit of a run. The same device, recipe and seed give the same plan id.

    Args:
        device: What to measure.
        recipe: How.
        seed: Seed, at least 0.
        block_element: Clifford index of the interleaved block for each native gate.

    Raises:
        ValueError: The seed is negative, or the plan would hold more than :data:`MOST_STEPS` steps.
    """
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    two, one = recipe.two_qubit, recipe.one_qubit
    qubits, usable = device.usable_qubits, device.usable_edges
    edges, edge_layer = _edges_and_layers(device, usable, two.pairs_per_qubit, two.spacing, seed)
    if one.spacing == "isolated":
        qubit_layer = np.arange(len(qubits))
    else:
        dense = _is_dense(device, usable, two.pairs_per_qubit)
        qubit_layer = graphs.color_layers(qubits[:, None], device.edges[usable], device.n_qubits, 0 if dense else one.spacing)
    of_qubits, of_edges = one_qubit_schedule(device, recipe, qubits), two_qubit_schedule(device, recipe, edges)
    steps = len(qubits) * of_qubits.steps + len(edges) * of_edges.steps
    if steps > MOST_STEPS:
        raise ValueError(
            f"the recipe asks for {steps:,} random Cliffords, more than a plan can have ({MOST_STEPS:,}); take shorter lengths or fewer sequences"
        )
    builder = _Builder(device, seed, two.protocol == "padded")
    builder.readout(qubits, recipe.readout.patterns, recipe.readout.shots)
    builder.one_qubit(qubits, qubit_layer, of_qubits)
    builder.two_qubit(edges, edge_layer, of_edges, {g: block_element[g] for g in set(device.gate)})
    return Plan(
        device_id=device.id, recipe=recipe.as_planned(), seed=seed,
        one_qubit_lengths=of_qubits.lengths, two_qubit_lengths=of_edges.lengths, qubits=qubits, edges=edges, n_edges_usable=len(usable),
        context=_context(device, edges, edge_layer), steps=DRAWN,
        **builder.arrays(),
    )  # fmt: skip


def preflight_plan(device: Device, shots: int = 100) -> Plan:
    """One circuit with a known outcome: X on one qubit of a few, which tells a provider's order of bits from its reverse.

    Args:
        device: The device; it needs a usable qubit.
        shots: Executions.
    """
    qubits = device.usable_qubits
    known = next((q for q in qubits.tolist() if 2 * q + 1 != device.n_qubits), int(qubits[0]))  # not the middle one, which a reversal keeps
    others = [q for q in qubits.tolist() if q != known][: min(2, device.n_qubits - 2)]  # some qubit is never measured, as in most circuits
    few = np.array(sorted([known, *others]))
    bits = (few == known).astype(np.int64)
    builder = _Builder(device, 0, padded=False)
    builder._circuit(READOUT, REFERENCE, 0, 0, 0, shots, few, np.zeros(len(few)), cliffords.pauli(bits, 1), bits)
    none = np.zeros(0, dtype=np.int64)
    return Plan(
        device_id=device.id, recipe=Recipe(schema="qthreshold/recipe/1", name="preflight").as_planned(), seed=0,
        one_qubit_lengths=none, two_qubit_lengths=none, qubits=few, edges=none, n_edges_usable=0, context="unstated", steps=DRAWN,
        **builder.arrays(),
    )  # fmt: skip


def plan_without_circuits(device: Device, recipe: Recipe, one_qubit_lengths: npt.ArrayLike, two_qubit_lengths: npt.ArrayLike) -> Plan:
    """The plan behind data that were measured elsewhere: targets (all that is usable) and lengths, nothing to run, nothing random."""
    edges = device.usable_edges
    return Plan(
        device_id=device.id, recipe=recipe.as_planned(), seed=0,
        one_qubit_lengths=np.array(one_qubit_lengths, dtype=np.int64), two_qubit_lengths=np.array(two_qubit_lengths, dtype=np.int64),
        qubits=device.usable_qubits, edges=edges, n_edges_usable=len(edges), context="unstated", steps=DRAWN,
        **_Builder(device, 0, padded=False).arrays(),
    )  # fmt: skip


def _context(device: Device, edges: npt.NDArray[np.int64], layer: npt.NDArray[np.int64]) -> str:
    """Whether pairs of a layer are neighbours: joined by a usable pair of the coupling map."""
    at = np.full((int(layer.max(initial=-1)) + 1, device.n_qubits), -1)
    for side in (0, 1):
        at[layer, device.edges[edges, side]] = edges
    a, b = at[:, device.edges[device.usable_edges, 0]], at[:, device.edges[device.usable_edges, 1]]
    return "simultaneous" if ((a >= 0) & (b >= 0) & (a != b)).any() else "isolated"


def _is_dense(device: Device, usable: npt.NDArray[np.int64], pairs_per_qubit: int) -> bool:
    """All-to-all among the usable qubits, with more pairs than the recipe measures."""
    n = len(device.usable_qubits)
    return n > 2 and len(usable) == n * (n - 1) // 2 and n - 1 > pairs_per_qubit


def _edges_and_layers(
    device: Device, usable: npt.NDArray[np.int64], pairs_per_qubit: int, spacing: int | str, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    if _is_dense(device, usable, pairs_per_qubit):
        qubits = device.usable_qubits
        table = graphs.random_matchings(len(qubits), pairs_per_qubit, seed_rng(seed, 1))
        key = device.edges[usable, 0] * device.n_qubits + device.edges[usable, 1]
        rows = usable[np.searchsorted(key, qubits[table[:, 1]] * device.n_qubits + qubits[table[:, 2]])]
        edges, layer = rows, table[:, 0]
        order = np.argsort(edges)
        edges, layer = edges[order], layer[order]
    else:
        edges = usable
        layer = graphs.color_layers(device.edges[usable], device.edges[usable], device.n_qubits, 0 if spacing == "isolated" else int(spacing))
    return (edges, np.arange(len(edges))) if spacing == "isolated" else (edges, layer)


class _Builder:
    """Collects circuits and units in execution order."""

    def __init__(self, device: Device, seed: int, padded: bool) -> None:
        self.device, self.seed, self.padded = device, seed, padded
        self.circuits: list[npt.NDArray[np.int64]] = []  # rows: experiment, arm, layer, length, sample, shots
        self.units: list[npt.NDArray[np.int64]] = []  # rows: circuit, target, start, final, expected
        self.n_circuits = 0

    def readout(self, qubits: npt.NDArray[np.int64], patterns: int, shots: int) -> None:
        rng = seed_rng(self.seed, 0, READOUT)
        half = rng.integers(2, size=(patterns // 2, len(qubits)))
        bits = np.stack([half, 1 - half], axis=1).reshape(patterns, len(qubits))
        element = cliffords.pauli(bits, 1)
        for k in range(patterns if len(qubits) else 0):
            self._circuit(READOUT, REFERENCE, 0, 0, k, shots, qubits, np.zeros(len(qubits)), element[k], bits[k])

    def one_qubit(self, qubits: npt.NDArray[np.int64], layer: npt.NDArray[np.int64], schedule: Schedule) -> None:
        blocks = []
        for i, (m, samples) in enumerate(zip(schedule.lengths.tolist(), schedule.sequences.tolist(), strict=True)):
            rng = seed_rng(self.seed, 0, ONE_QUBIT, i)
            (total,) = self._totals(ONE_QUBIT, i, m, np.zeros((len(qubits), 0), dtype=np.uint16), samples)
            expected = _outcomes(len(qubits), samples, 1, rng)
            final = _finish(total, expected, 1, rng)
            blocks.append((_starts(m, total.shape), [(final, expected)]))
        self._arrange(ONE_QUBIT, qubits, layer, schedule, blocks)

    def two_qubit(
        self,
        edges: npt.NDArray[np.int64],
        layer: npt.NDArray[np.int64],
        schedule: Schedule,
        block: Mapping[str, int],
    ) -> None:
        interleaved = np.array([block[self.device.gate[e]] for e in edges], dtype=np.uint16)[:, None]
        blocks = []
        for i, (m, samples) in enumerate(zip(schedule.lengths.tolist(), schedule.sequences.tolist(), strict=True)):
            rng = seed_rng(self.seed, 0, TWO_QUBIT, i)
            totals = self._totals(TWO_QUBIT, i, m, interleaved, samples)
            outcome = _outcomes(len(edges), samples, 2, rng)  # one for both arms: what readout does to it then cancels between them
            ends = [(_finish(t, outcome, 2, rng), outcome) for t in totals]
            blocks.append((_starts(m, totals[0].shape), ends))
        self._arrange(TWO_QUBIT, edges, layer, schedule, blocks)

    def _totals(self, experiment: int, row: int, m: int, interleaved: npt.NDArray[np.uint16], samples: int) -> list[npt.NDArray[np.uint16]]:
        """What all steps of each sequence do together, ``(T, K)``, in each arm; there is an interleaved one where there is a block, ``(T, 1)``."""
        n = 2 if experiment == TWO_QUBIT else 1
        count = len(interleaved) * samples
        gate = np.repeat(interleaved, samples, axis=0)  # of each sequence
        out = [np.zeros(count, dtype=np.uint16) for _ in range(1 + interleaved.shape[1])]
        at_once = max(1, _CHUNK // max(m, 1))
        for first in range(0, count, at_once):
            here = slice(first, min(first + at_once, count))
            parts = [self._joined(experiment, row, here, m, piece, gate[here]) for piece in range(0, max(m, 1), _CHUNK)]
            for total, pieces in zip(out, zip(*parts, strict=True), strict=True):
                total[here] = product(np.stack(pieces), n)
        return [total.reshape(-1, samples) for total in out]

    def _joined(self, experiment: int, row: int, here: slice, m: int, piece: int, gate: npt.NDArray[np.uint16]) -> list[npt.NDArray[np.uint16]]:
        """What the steps from ``piece`` on, up to as many as are drawn at a time, do together in each arm of some sequences."""
        n, count, size = 2 if experiment == TWO_QUBIT else 1, here.stop - here.start, min(m - piece, _CHUNK)
        drawn, layers = draw_steps(self.seed, experiment, row, here.start * m + piece, count * size, n)  # several sequences only if whole
        drawn = drawn.reshape(count, size)
        if n == 1:
            return [product(np.ascontiguousarray(drawn.T), 1)]
        # a Pauli after an element changes only the last bits of its index
        before, after = (layer_paulis()[layers[:, j]].reshape(drawn.shape) if self.padded else np.uint16(0) for j in (0, 1))
        padded = drawn ^ before
        arms = (padded ^ after, cliffords.compose(padded, gate, 2) ^ after)
        return [product(np.ascontiguousarray(arm.T), 2) for arm in arms]

    def _arrange(self, experiment: int, targets: npt.NDArray[np.int64], layer: npt.NDArray[np.int64], schedule: Schedule, blocks: list[Any]) -> None:
        """Layer by layer; the sequences of every length spread evenly over time; the arms of a sequence neighbours, in alternating order."""
        cells = [((k + 0.5) / count, i, k) for i, count in enumerate(schedule.sequences.tolist()) for k in range(count)]
        for g in range(int(layer.max(initial=-1)) + 1):
            members = np.flatnonzero(layer == g)
            for _, i, k in sorted(cells):
                start, ends = blocks[i]
                arms = list(enumerate(ends))
                for arm, (final, expected) in arms if (k + i) % 2 == 0 else reversed(arms):
                    what = (experiment, arm, g, int(schedule.lengths[i]), k, int(schedule.shots[i]))
                    self._circuit(*what, targets[members], start[members, k], final[members, k], expected[members, k])

    def _circuit(self, experiment: int, arm: int, layer: int, length: int, sample: int, shots: int,
                 targets: npt.ArrayLike, start: npt.ArrayLike, final: npt.ArrayLike, expected: npt.ArrayLike) -> None:  # fmt: skip
        self.circuits.append(np.array([experiment, arm, layer, length, sample, shots], dtype=np.int64))
        columns = [np.asarray(c, dtype=np.int64) for c in (targets, start, final, expected)]
        self.units.append(np.stack([np.full(len(columns[0]), self.n_circuits), *columns], axis=1))
        self.n_circuits += 1

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        c = np.array(self.circuits, dtype=np.int64).reshape(-1, 6)
        u = np.concatenate([np.zeros((0, 5), dtype=np.int64), *self.units])
        names = ("experiment", "arm", "layer", "length", "sample", "shots")
        kinds = (np.int8, np.int8, np.int32, np.int64, np.int32, np.int64)
        out: dict[str, npt.NDArray[Any]] = {f"circuit_{n}": c[:, i].astype(t) for i, (n, t) in enumerate(zip(names, kinds, strict=True))}
        unit = zip(("circuit", "target", "start", "final", "expected"), (np.int32, np.int32, np.int64, np.uint16, np.uint8), strict=True)
        out |= {f"unit_{n}": u[:, i].astype(t) for i, (n, t) in enumerate(unit)}
        return out | {"cliffords": np.zeros(0, dtype=np.uint16), "paddings": np.zeros((0, 2), dtype=np.uint8)}


def _starts(m: int, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Where sequences of m steps start that follow each other in a stream."""
    return m * np.arange(int(np.prod(shape))).reshape(shape)


def _outcomes(targets: int, samples: int, n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Random bit strings ``(T, K)``, balanced over the K sequences."""
    base = (np.arange(samples) + rng.integers(2**n, size=(targets, 1))) % 2**n
    return rng.permuted(base, axis=1)


def _finish(total: npt.NDArray[np.uint16], outcome: npt.NDArray[np.int64], n: int, rng: np.random.Generator) -> npt.NDArray[np.uint16]:
    """Elements ``(T, K)`` that undo ``total`` and leave the outcome."""
    sign = rng.integers(2**n, size=total.shape)  # the Z part, which no measurement sees
    return cliffords.compose(cliffords.inverse(total, n), cliffords.pauli(outcome | sign << n, n), n)


def circuit_name(plan: Plan, circuit: int) -> str:
    """A name that says what a circuit is, such as ``c000123-rb2-int-layer3-m86-k4``."""
    arm = {READOUT: "", ONE_QUBIT: "", TWO_QUBIT: "-int" if plan.circuit_arm[circuit] == INTERLEAVED else "-ref"}
    kind = int(plan.circuit_experiment[circuit])
    c = (plan.circuit_layer[circuit], plan.circuit_length[circuit], plan.circuit_sample[circuit])
    return f"c{circuit:06d}-{_NAMES[kind]}{arm[kind]}-layer{c[0]}-m{c[1]}-k{c[2]}"


def measured_qubits(plan: Plan, device: Device) -> list[npt.NDArray[np.int64]]:
    """Qubits that each circuit measures, in ascending order."""
    first = np.searchsorted(plan.unit_circuit, np.arange(plan.n_circuits + 1))
    two = plan.circuit_experiment == TWO_QUBIT
    targets = [plan.unit_target[a:b] for a, b in pairwise(first.tolist())]
    return [np.sort(device.direction[t].ravel() if pairs else t.astype(np.int64)) for t, pairs in zip(targets, two.tolist(), strict=True)]


def circuit_seconds(plan: Plan, device: Device) -> npt.NDArray[np.float64]:
    """Duration of one execution of each circuit, ``(C,)``, from the reported gate durations; zero where nothing is reported."""
    step = step_seconds(device, padded=plan.padded)
    per_step = np.array([[0.0, 0.0], [step.one_qubit, step.one_qubit], [step.reference, step.interleaved]])
    return plan.circuit_length * per_step[plan.circuit_experiment, plan.circuit_arm] + step.readout


def plan_cost(plan: Plan, device: Device, jobs: int | None = None) -> PlanCost:
    """Circuits, executions, the longest circuit in steps and seconds, and the device time they take.

    Device time = executions x (repetition delay + circuit duration) + one job overhead for each job.

    Args:
        plan: The plan.
        device: Its device.
        jobs: How many jobs the circuits are handed over in; one for each layer by default.
    """
    duration = circuit_seconds(plan, device)
    jobs = len(plan.layer_starts) - 1 if jobs is None else jobs
    return PlanCost(
        circuits=plan.n_circuits, executions=int(plan.circuit_shots.sum()), jobs=jobs,
        longest_circuit=int(plan.circuit_length[duration.argmax()]) if duration.size else 0, longest_seconds=float(duration.max(initial=0.0)),
        estimated_seconds=float((plan.circuit_shots * (device.repetition_delay + duration)).sum()) + device.job_overhead * jobs,
    )  # fmt: skip
