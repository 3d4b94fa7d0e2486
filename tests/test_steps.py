from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qthreshold.numerics import cliffords
from qthreshold.plan import TWO_QUBIT, Plan
from qthreshold.steps import DRAWN, STORED, draw_steps, layer_paulis, product
from qthreshold.store import RunDirectory
from reference.devices import line_device, small_plan, small_recipe

GOLDEN = RunDirectory(Path(__file__).parent / "golden")


def test_the_stream_of_a_seed_never_changes():
    """Old runs on hardware can be checked only as long as these are what their seeds give."""
    drawn, layers = draw_steps(7, TWO_QUBIT, 1, 1000, 4, 2)
    assert drawn.tolist() == [4131, 8825, 1654, 4415]
    assert layers.tolist() == [[18, 6], [16, 0], [13, 30], [17, 0]]


def test_a_step_is_one_word_of_the_generator():
    words = np.random.PCG64(np.random.SeedSequence(entropy=7, spawn_key=(5, TWO_QUBIT, 1))).random_raw(1004)[1000:]
    codes = [0, 0, 1, 1, 2, 3, 4, 5]
    for word, clifford, layers in zip(words.tolist(), *draw_steps(7, TWO_QUBIT, 1, 1000, 4, 2), strict=True):
        assert clifford == (word >> 32) * 11520 >> 32
        assert layers.tolist() == [codes[word & 7] + 6 * codes[word >> 3 & 7], codes[word >> 6 & 7] + 6 * codes[word >> 9 & 7]]


@given(seed=st.integers(0, 2**70), start=st.integers(0, 10**12), count=st.integers(0, 50), split=st.integers(0, 50), n=st.sampled_from([1, 2]))
@settings(max_examples=50, deadline=None)
def test_a_piece_of_a_stream_is_the_same_however_it_is_drawn(seed, start, count, split, n):
    split = min(split, count)
    whole = draw_steps(seed, n, 0, start, count, n)
    parts = draw_steps(seed, n, 0, start, split, n), draw_steps(seed, n, 0, start + split, count - split, n)
    for all_, first, then in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(all_, np.concatenate([first, then]))
    assert (whole[0] < cliffords.order(n)).all()


@pytest.mark.parametrize("n", [1, 2])
@given(m=st.integers(0, 33), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_a_product_joins_one_element_after_the_other(n, m, seed):
    elements = cliffords.sample(n, (m, 3), np.random.default_rng(seed))
    wanted = cliffords.pauli(np.zeros(3, dtype=int), n)
    for step in elements:
        wanted = cliffords.compose(wanted, step, n)
    np.testing.assert_array_equal(product(elements, n), wanted)


def test_a_pauli_after_an_element_changes_only_its_last_bits():
    g, p = np.arange(11520, dtype=np.uint16)[:, None], np.arange(16)
    np.testing.assert_array_equal(cliffords.compose(g, cliffords.pauli(p, 2), 2), g ^ p)
    assert set(layer_paulis().tolist()) == set(range(16))


def test_units_get_their_own_steps_in_any_order():
    plan = small_plan(line_device("mixed"), small_recipe(lengths=[1, 7], sequences=4))
    assert plan.steps == DRAWN
    units = np.random.default_rng(1).permutation(len(plan.unit_circuit))
    drawn, layers = plan.sequences(units)
    ends = np.cumsum(plan.circuit_length[plan.unit_circuit[units]])[:-1]
    for unit, c, p in zip(units, np.split(drawn, ends), np.split(layers, ends), strict=True):
        alone = plan.sequences([unit])
        np.testing.assert_array_equal(c, alone[0])
        np.testing.assert_array_equal(p, alone[1])


@pytest.mark.parametrize("at_once", [1, 5, 7, 30])
def test_a_plan_does_not_depend_on_how_many_steps_are_drawn_at_a_time(monkeypatch, at_once):
    recipe = small_recipe(one_qubit={"lengths": [0, 1, 13], "sequences": 2}, lengths=[0, 3, 11], sequences=2)
    whole = small_plan(line_device("mixed"), recipe)
    monkeypatch.setattr("qthreshold.plan._CHUNK", at_once)
    assert small_plan(line_device("mixed"), recipe) == whole


def test_plans_that_hold_their_steps_are_still_read():
    plan = GOLDEN.read_record("plan-1.npz", Plan)
    assert plan.steps == STORED
    unit = len(plan.unit_circuit) - 1
    start, m = plan.unit_start[unit], plan.circuit_length[plan.unit_circuit[unit]]
    drawn, layers = plan.sequences([unit])
    np.testing.assert_array_equal(drawn, plan.cliffords[start : start + m])
    np.testing.assert_array_equal(layers, plan.paddings[start : start + m])
