"""Nights of a simulated device: every one planned, run on exact probabilities, fitted and measured anew, as a run does, without files."""

import datetime

import numpy as np

from qthreshold.backends.exact import Chunks, simulate
from qthreshold.backends.profiles import Profile, build
from qthreshold.circuits import native
from qthreshold.decays import make_decays
from qthreshold.fits import make_fits
from qthreshold.measurements import make_measurements
from qthreshold.metrics import make_metrics
from qthreshold.plan import make_plan, seed_rng
from qthreshold.recipe import Recipe
from qthreshold.result import RunRecords
from qthreshold.series import Series
from qthreshold.tallies import Tallies
from qthreshold.ticket import layer_tickets

DAY = 86_400.0
FIRST = datetime.datetime(2026, 11, 1, 2, tzinfo=datetime.UTC).timestamp()
"""When the first night's run was made, seconds since 1970."""
LEVEL = 0.95


def line_profile(qubits=5, *, pair_error=6e-3, worse=None, dead=()):
    """A line of qubits.

    Args:
        qubits: How many.
        pair_error: Median error of the native gate.
        worse: Factors of the errors of some pairs, by first qubit.
        dead: Qubits whose readout is a coin toss.
    """
    rng = np.random.default_rng(5)
    errors = pair_error * np.exp(0.3 * rng.standard_normal(qubits - 1))
    for first, factor in (worse or {}).items():
        errors[first] *= factor
    return Profile.model_validate({
        "schema": "qthreshold/profile/1", "name": f"line-{qubits}", "seed": 5, "topology": {"kind": "line", "qubits": qubits},
        "qubits": {
            "t1": {"median": 1e-4, "spread": 0.2}, "t2": {"median": 9e-5, "spread": 0.2}, "pulse_error": {"median": 5e-4, "spread": 0.3},
            "p1_given_0": 0.01, "p0_given_1": 0.03,
        },
        "pairs": {"gate": "cz"},
        "pair": [{"edge": [i, i + 1], "error": float(e)} for i, e in enumerate(errors)],
        "qubit": [{"qubit": q, "p1_given_0": 0.5, "p0_given_1": 0.5} for q in dead],
    })  # fmt: skip


def measured(profile, recipe, seed):
    """The table of a run on a device as it is one night; new sequences and counts for every seed."""
    simulated = build(profile)
    device = simulated.device
    plan = make_plan(device, recipe, seed, {g: native.block_element(recipe.two_qubit.gate, g) for g in native.NATIVE_UNITARY})
    parts = []
    for ticket in layer_tickets(plan, "exact:test"):
        chunks = Chunks(plan, ticket, device, simulated.noise)
        outcomes = np.zeros((len(chunks.units), 4), dtype=np.int64)
        for i in range(len(chunks)):
            outcomes[chunks.places(i)] = simulate(chunks[i])
        parts.append(Tallies(plan_id=plan.id, units=chunks.units, outcomes=outcomes))
    decays = make_decays(plan, device, parts)
    fits = make_fits(decays, LEVEL)
    metrics = make_metrics(device, fits, recipe.criteria, seed_rng(seed, 4))
    header = {"run_id": f"{seed:016x}", "created_at": "2026-11-25T12:00:00Z", "backend": "exact:test", "software": {}}
    return make_measurements(RunRecords(
        device=device, plan=plan, decays=decays, fits=fits, metrics=metrics, frontier=None, verdicts=None, truth=None, instruments=(),
        header=header,
    ))  # fmt: skip


def history(nights, *, calibrated_at=None):
    """Series of the tables of consecutive nights.

    Args:
        nights: Tables, one a night.
        calibrated_at: Of each, seconds since 1970; unknown if left out.
    """
    at = FIRST + DAY * np.arange(len(nights))
    indices = [n.index() for n in nights]
    keys = dict.fromkeys(k for i in indices for k in i)
    out = []
    for metric, target in keys:
        rows = [i.get((metric, target)) for i in indices]
        best, low, high, dof = (
            np.array([blank if r is None else getattr(n, name)[r] for n, r in zip(nights, rows, strict=True)])
            for name, blank in (("best", np.nan), ("low", np.nan), ("high", np.nan), ("dof", np.inf))
        )
        out.append(Series(
            device=nights[0].device, metric=metric, target=target, level=nights[0].level, run_ids=tuple(n.run_id for n in nights), taken_at=at,
            calibrated_at=np.full(len(at), np.nan) if calibrated_at is None else np.asarray(calibrated_at, dtype=float),
            best=best, low=low, high=high, dof=dof,
            status=tuple("no_data" if r is None else n.status[r] for n, r in zip(nights, rows, strict=True)),
        ))  # fmt: skip
    return out


def nightly_recipe():
    """Shorter than any shipped one, with lengths that need no search."""
    return Recipe.model_validate({
        "schema": "qthreshold/recipe/1", "name": "nightly", "readout": {"patterns": 2, "shots": 500},
        "one_qubit": {"length_factors": [0.0, 0.25], "sequences": 4, "shots": 200},
        "two_qubit": {"length_factors": [0.0, 0.3, 1.0], "sequences": 6, "shots": 200},
    })  # fmt: skip


def quiet_nights(recipe, seed, *, nights=30, qubits=5, scatter=0.0):
    """Tables of a device that does not drift; ``scatter``: log-normal, of the errors of its pairs from night to night, about one level."""
    rng = np.random.default_rng(seed)
    factors = np.exp(scatter * rng.standard_normal((nights, qubits - 1)))
    return [measured(line_profile(qubits, worse=dict(enumerate(f.tolist()))), recipe, seed * 1000 + k) for k, f in enumerate(factors)]


DRIFTS_FROM, DIES_ON = 8, 20
"""Nights, counted from 1, of :func:`troubled_nights`."""


def troubled_nights(recipe, seed, *, nights=30, qubits=7, pairs=(0, 2, 4), growth=0.05):
    """Tables of a device of which some pairs get worse by a share every night from one night on, and the last qubit dies.

    Args:
        recipe: What is run.
        seed: Of the first night; the others follow.
        nights: How many.
        qubits: Of the line.
        pairs: First qubits of the pairs that get worse.
        growth: By which share the error of their native gate grows.
    """
    out = []
    for k in range(nights):
        factor = (1 + growth) ** max(0, k + 2 - DRIFTS_FROM)
        dead = (qubits - 1,) if k + 1 >= DIES_ON else ()
        out.append(measured(line_profile(qubits, worse=dict.fromkeys(pairs, factor), dead=dead), recipe, seed * 1000 + k))
    return out
