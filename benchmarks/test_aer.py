"""Speed of the Aer backend: simulate, collect, sort and fit a device of middling size."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from qthreshold.backends.aer import AerBackend
from qthreshold.circuits import native
from qthreshold.counts import add_counts
from qthreshold.datafiles import load_named
from qthreshold.decays import make_decays
from qthreshold.fits import FittedErrors, make_fits
from qthreshold.plan import make_plan
from qthreshold.recipe import Recipe
from qthreshold.ticket import layer_tickets

BLOCKS = {g: native.block_element("cnot", g) for g in native.NATIVE_UNITARY}


@pytest.mark.parametrize(("profile", "recipe"), [("coherent-16", "default"), ("ions-56", "quick")])
def test_pipeline(benchmark: BenchmarkFixture, profile: str, recipe: str) -> None:
    """Plan, simulation in this process, decays and fits of every qubit and pair."""

    def run() -> FittedErrors:
        with AerBackend(profile) as backend:
            plan = make_plan(backend.device, load_named("circuits", recipe, Recipe, "recipe"), 1, BLOCKS)
            counts = add_counts(backend.collect(plan, t, lambda done: None) for t in layer_tickets(plan, backend.spec))
            return make_fits(make_decays(plan, backend.device, counts), 0.95)

    fits = benchmark.pedantic(run, rounds=2)
    assert set(fits.edge_status) == {"ok"}
