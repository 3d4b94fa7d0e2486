"""Frontier: for every size the best connected sub-register, its C-NOT error without selection bias, and a proven lower bound.

Picking the best of many noisy pairs biases their mean low. So registers are picked by one half of the sequences and estimated
by the other, and the other way round (cross-fitting). That no register is better is a statement about all of them: it comes from a lower
bound that holds for every connected register of a size, evaluated on draws of all pairs at once.

On large devices registers are searched for some sizes only: all small ones, and beyond them a grid that holds the sizes at which rules
like to begin. The smallest mean over several sizes is then that of the sizes looked at, which some register has, so a verdict that a limit
is met stands. Bounds are made for every size, so a verdict that no register meets its limit stands as well.

References:
    G. C. Cawley, N. L. C. Talbot, J. Mach. Learn. Res. 11, 2079 (2010) (selection bias, and why held-out data removes it).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from qthreshold.decays import DecayTable
from qthreshold.device import Device
from qthreshold.fits import FittedErrors, make_fits
from qthreshold.identity import Record
from qthreshold.metrics import DeviceMetrics, draw_device
from qthreshold.numerics.frontier import Subregisters, best_subregisters, register_edges, subregister_bounds
from qthreshold.numerics.intervals import mean_of_dependent, satterthwaite
from qthreshold.recipe import Criteria
from qthreshold.tasks import Run, inline

__all__ = ["Frontier", "make_frontier", "reported_frontier"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
T = TypeVar("T")
R = TypeVar("R")

_DRAWS = ((300, 1000), (10**9, 200))  # qubits up to which so many draws of the bound are made
_TASKS = 4  # into which the draws are divided, whoever runs them
_EVERY_SIZE = 512  # qubits up to which registers of all sizes are searched
_DENSE = 128  # in larger devices: all sizes up to this
_GRID = ((500, 10), (2000, 50))  # steps up to a size
_STRIDE = 1.05  # and the ratio of sizes beyond
_ROWS = 64  # registers weighed at a time


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Frontier(Record):
    """The best connected sub-register of every size. Average gate infidelities; arrays are empty where ``reason`` says why.

    Attributes:
        metrics_id: The metrics.
        reason: Why there is no frontier; empty where there is one.
        sizes: Numbers of qubits, increasing, ``(K,)``: 2 to that of the counted component, of large ones a selection that holds both ends.
        picked: Mean error over its own pairs of the best register found, picked and averaged on all data, so biased low, ``(K,)``.
        bound: No connected register of that size has a smaller mean of the same estimates, ``(K,)``; equal to ``picked`` where that is optimal.
        members: The registers of ``picked``, ``(K, n_qubits)``, eight qubits a byte, qubit 0 in the lowest bit.
        picked_half: The same mean on the half of the sequences that picked the register, ``(2, K)``.
        estimate: Mean error of that register on the other half, ``(2, K)``; pairs in it that could not be fitted at the criterion.
        standard_error, dof: Of ``estimate``, ``(2, K)``.
        systematic_high: Upper end of the worst-case range of the protocol about ``estimate``, ``(2, K)``.
        doubt: Largest probability that a qubit of that register does not work, summed over its qubits, ``(2, K)``.
        cross: Both halves together: best, low, high at ``level``, ``(K, 3)``.
        level: Confidence level of ``cross``.
        draw_bound: Lower bound of every draw of the device for every size, also those not in ``sizes``, ``(D, J)`` with size k in column k;
            infinite where a draw has no connected register of that size. What could not be fitted counts as free of errors there.
        draw_bound_low: The same with each pair at the lower end of the worst-case range of the protocol.
    """

    schema: ClassVar[str] = "qthreshold/frontier/1"
    metrics_id: str
    reason: str
    sizes: Ints
    picked: Real
    bound: Real
    members: npt.NDArray[np.uint8]
    picked_half: Real
    estimate: Real
    standard_error: Real
    dof: Real
    systematic_high: Real
    doubt: Real
    cross: Real
    level: float
    draw_bound: Real
    draw_bound_low: Real

    def qubits_of(self, size: int) -> list[int]:
        """Qubits of the best register found of a size.

        Raises:
            ValueError: There is no register of that size.
        """
        row = np.flatnonzero(self.sizes == size)
        if not row.size:
            raise ValueError(f"no register of {size} qubits; there are sizes {self.sizes[:1].tolist()} to {self.sizes[-1:].tolist()}")
        return np.flatnonzero(np.unpackbits(self.members[row[0]], bitorder="little")).tolist()


def make_frontier(
    device: Device, decays: DecayTable, fits: FittedErrors, metrics: DeviceMetrics, criteria: Criteria, rng: np.random.Generator,
    run: Run = inline, *, every_size: int = _EVERY_SIZE,
) -> Frontier:  # fmt: skip
    """Find the best registers of a measured device.

    Args:
        device: The device.
        decays: Its survival counts, of which either half of the sequences is fitted again.
        fits: The fits to all of them.
        metrics: The metrics made from these.
        criteria: What counts as working.
        rng: Source of randomness for the draws.
        run: Runs the searches and the bounds of draws; the result does not depend on who does.
        every_size: Qubits up to which registers of all sizes are searched, beyond them a selection.
    """
    if reason := _unknown(device, fits, metrics):
        return _nothing(metrics.id, reason, fits.level)
    row = np.searchsorted(fits.edges, metrics.member_edges)  # of fits, for each pair of the counted component
    edges, n = device.edges[metrics.member_edges], device.n_qubits
    failed = _failed_inside(device, fits, metrics)
    halves = [_Half.of(make_fits(half, fits.level), fits, row) for half in _split(decays)]
    sizes = _sizes(metrics.members.size, every_size)
    searches = [_Search(n_qubits=n, edges=edges, error=e, sizes=sizes) for e in (fits.cnot[row, 0], *(half.error for half in halves))]
    found, *picks = _results(run, _searched, searches)
    columns = [
        _held_out(pick, by, fits, row, edges, failed, metrics, criteria.cnot_error)
        for pick, by in zip(picks, halves[::-1], strict=True)
    ]  # fmt: skip
    half, estimate, error, dof, high, doubt = (np.stack(c) for c in zip(*columns, strict=True))
    bound, bound_low = _draw_bounds(device, fits, criteria, rng, found, run)
    return Frontier(
        metrics_id=metrics.id, reason="", sizes=found.sizes, picked=found.mean, bound=found.bound,
        members=np.packbits(found.members, axis=1, bitorder="little"), picked_half=half, estimate=estimate, standard_error=error, dof=dof,
        systematic_high=high, doubt=doubt, cross=mean_of_dependent(estimate, error, dof, fits.level), level=fits.level,
        draw_bound=bound, draw_bound_low=bound_low,
    )  # fmt: skip


def reported_frontier(n_qubits: int, edges: Ints, error: Real, level: float) -> Frontier:
    """The best registers by numbers that are taken as they are, without any doubt.

    Args:
        n_qubits: Number of qubits.
        edges: Pairs, ``(M, 2)``.
        error: C-NOT error of each, ``(M,)``; at least one. NaN where none is reported.
        level: Confidence level to state.
    """
    if unknown := int(np.isnan(error).sum()):
        return _nothing("", f"{unknown} of {len(edges)} pairs report no error, so which registers are best is not known", level)
    found = best_subregisters(n_qubits, edges, error, _sizes(np.unique(edges).size, _EVERY_SIZE))
    twice, none = np.stack([found.mean] * 2), np.zeros((2, found.sizes.size))
    return Frontier(
        metrics_id="", reason="", sizes=found.sizes, picked=found.mean, bound=found.bound,
        members=np.packbits(found.members, axis=1, bitorder="little"), picked_half=twice, estimate=twice, standard_error=none, dof=none + np.inf,
        systematic_high=twice, doubt=none, cross=np.stack([found.mean] * 3, axis=1), level=level,
        draw_bound=found.floor[None], draw_bound_low=found.floor[None],
    )  # fmt: skip


def _sizes(n: int, every: int) -> Ints:
    """Sizes to search registers of in a device of n qubits. All up to ``every``; in larger devices fewer, the larger they are."""
    if n <= every:
        return np.arange(2, n + 1)
    first = min(every, _DENSE)
    chosen = {n, *range(2, first + 1)}
    for last, step in _GRID:
        chosen.update(k for k in range(first + 1, min(last, n) + 1) if k % step == 0)
        first = last
    while (first := int(first * _STRIDE)) < n:
        chosen.add(first)
    return np.array(sorted(chosen))


def _unknown(device: Device, fits: FittedErrors, metrics: DeviceMetrics) -> str:
    """Why the best registers cannot be known, if so."""
    if metrics.connected == "stated":
        return "the number of connected qubits is stated, so which pairs connect them is not known"
    left_out = np.setdiff1d(device.usable_edges, fits.edges).size
    if left_out:
        return f"{left_out} of {len(device.usable_edges)} pairs were not measured, so which registers are best is not known"
    if len(metrics.member_edges) == 0:
        return "no working pair"
    return ""


def _nothing(metrics_id: str, reason: str, level: float) -> Frontier:
    none, twice = np.zeros(0), np.zeros((2, 0))
    return Frontier(
        metrics_id=metrics_id, reason=reason, sizes=np.zeros(0, dtype=np.int64), picked=none, bound=none, members=np.zeros((0, 0), dtype=np.uint8),
        picked_half=twice, estimate=twice, standard_error=twice, dof=twice, systematic_high=twice, doubt=twice, cross=np.zeros((0, 3)), level=level,
        draw_bound=np.zeros((0, 0)), draw_bound_low=np.zeros((0, 0)),
    )  # fmt: skip


def _split(decays: DecayTable) -> tuple[DecayTable, DecayTable]:
    """Every other sequence of each length, and the rest. Readout and one-qubit RB pick no pairs; they are left out."""

    def half(start: int) -> DecayTable:
        some = {f: getattr(decays, f)[..., start::2] for f in ("two_qubit_survived", "two_qubit_shots", "two_qubit_expected")}
        none = {f: getattr(decays, f)[:0] for f in ("qubits", "readout_wrong", "readout_shots")}
        one = {f: getattr(decays, f)[:0] for f in ("one_qubit_survived", "one_qubit_shots", "one_qubit_expected")}
        return decays.replace(**some, **none, **one)

    return half(0), half(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Half:
    """Errors of the pairs of the component from one half of the sequences.

    Where that half cannot be fitted (two sequences of a length may happen to agree so well that a good curve looks poor), the fit to all
    sequences stands in, with the variance of half of them.
    """

    error: Real
    variance: Real
    dof: Real

    @classmethod
    def of(cls, half: FittedErrors, fits: FittedErrors, row: Ints) -> "_Half":
        known = np.isfinite(half.cnot[row, 0]) & np.isfinite(half.cnot_error[row])
        return cls(
            error=np.where(known, half.cnot[row, 0], fits.cnot[row, 0]),
            variance=np.where(known, half.cnot_error[row] ** 2, 2 * fits.cnot_error[row] ** 2),
            dof=np.where(known, half.cnot_dof[row], fits.cnot_dof[row]),
        )


def _failed_inside(device: Device, fits: FittedErrors, metrics: DeviceMetrics) -> Ints:
    """Pairs inside the component that were measured but not fitted, ``(F, 2)``."""
    rows = fits.edges[np.isnan(fits.cnot[:, 0])]
    return device.edges[rows[np.isin(device.edges[rows], metrics.members).all(axis=1)]]


def _held_out(
    found: Subregisters, by: _Half, fits: FittedErrors, row: Ints, edges: Ints, failed: Ints, metrics: DeviceMetrics, criterion: float
) -> tuple[Real, ...]:
    """Columns of one half: means of the registers that it picks, on itself and, with everything about them, on the other one, ``by``."""
    above = fits.systematic[row, 1] - fits.cnot[row, 0] if fits.estimate == "interleaved" else np.zeros(row.size)
    mean, variance, dof, high = np.zeros((4, found.sizes.size))
    for first in range(0, found.sizes.size, _ROWS):
        here = slice(first, first + _ROWS)
        inside = register_edges(found.members[here], edges)
        lost = register_edges(found.members[here], failed).sum(axis=1)
        pairs = inside.sum(axis=1) + lost
        weight = inside.astype(np.float64)
        mean[here] = (weight @ by.error + lost * criterion) / pairs
        variance[here] = weight @ by.variance / pairs**2
        dof[here] = [float(satterthwaite(by.variance[own], by.dof[own])) for own in inside]
        high[here] = mean[here] + weight @ above / pairs
    doubt = found.members @ (1 - metrics.works)
    return found.mean, mean, np.sqrt(variance), dof, high, doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """A task: the best registers by some errors."""

    n_qubits: int
    edges: Ints
    error: Real
    sizes: Ints


def _searched(task: _Search) -> Subregisters:
    return best_subregisters(task.n_qubits, task.edges, task.error, task.sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draws:
    """A task: some draws of the device and their bounds.

    Attributes:
        fits, criteria: What is drawn from.
        edges: Pairs as rows of ``fits.qubits``, ``(M, 2)``.
        known: Good registers, ``(K, Q)``.
        draws: How many.
        seed: Of their own source of randomness.
    """

    fits: FittedErrors
    criteria: Criteria
    edges: Ints
    known: Bools
    draws: int
    seed: int


def _bounded(task: _Draws) -> tuple[Real, Real]:
    """Lower bounds of the draws, as estimated and at the lower end of the protocol's worst case."""
    fits, edges, n = task.fits, task.edges, len(task.fits.qubits)
    draws = draw_device(fits, task.criteria, np.random.default_rng(task.seed), task.draws + 1)
    up = draws.up | draws.qubit_failed
    alive = ((draws.pair_up | draws.pair_failed) & up[:, edges[:, 0]] & up[:, edges[:, 1]])[1:]
    below = fits.cnot[:, 0] - fits.systematic[:, 0] if fits.estimate == "interleaved" else fits.cnot[:, 0]
    as_it_is, low = (np.where(draws.pair_failed, 0.0, e)[1:] for e in (draws.pair, draws.pair - below))
    if fits.estimate == "upper":
        low = np.zeros_like(low)  # the C-NOT error may be anything below its upper estimate
    return subregister_bounds(n, edges, as_it_is, alive, task.known), subregister_bounds(n, edges, low, alive, task.known)


def _draw_bounds(
    device: Device, fits: FittedErrors, criteria: Criteria, rng: np.random.Generator, found: Subregisters, run: Run
) -> tuple[Real, Real]:  # fmt: skip
    """Lower bounds of every draw, size k in column k, as estimated and at the lower end of the protocol's worst case."""
    count = next(draws for qubits, draws in _DRAWS if len(fits.qubits) <= qubits)
    edges, known = np.searchsorted(fits.qubits, device.edges[fits.edges]), found.members[:, fits.qubits]
    tasks = [
        _Draws(fits=fits, criteria=criteria, edges=edges, known=known, draws=count // _TASKS, seed=seed)
        for seed in rng.integers(2**63, size=_TASKS).tolist()
    ]
    bound, low = zip(*_results(run, _bounded, tasks), strict=True)
    return np.concatenate(bound), np.concatenate(low)


def _results(run: Run, function: Callable[[T], R], tasks: list[T]) -> list[R]:
    """Results in the order of the tasks."""
    done = dict(run(function, tasks))
    return [done[i] for i in range(len(tasks))]
