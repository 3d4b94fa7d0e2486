import time

import numpy as np
import pytest
import stim
from hypothesis import given
from hypothesis import strategies as st
from qiskit.quantum_info import Clifford

from qthreshold.numerics import cliffords
from reference.dense import clifford_ptms, pauli_matrix

BOTH = pytest.mark.parametrize("n", [1, 2])


def tableaux(elements, n):
    """Qiskit's boolean tableau of each element: rows X_0.., Z_0.. ; columns x, z, sign."""
    paulis, signs = cliffords.images(elements, n)
    bits = (paulis[..., None] >> np.arange(2 * n)) & 1
    return np.concatenate([bits, signs[..., None]], axis=-1).astype(bool)


def stim_tableau(element, n):
    paulis, signs = cliffords.images(element, n)
    strings = []
    for p, s in zip(paulis.tolist(), signs.tolist(), strict=True):
        text = "".join("_XZY"[(p >> k & 1) | (p >> (n + k) & 1) << 1] for k in range(n))
        strings.append(stim.PauliString(("-" if s else "+") + text))
    return stim.Tableau.from_conjugated_generators(xs=strings[:n], zs=strings[n:])


def index_of(clifford):
    n = clifford.num_qubits
    return int(cliffords.from_images((clifford.symplectic_matrix @ (1 << np.arange(2 * n))), clifford.phase, n))


@pytest.fixture(scope="module", params=[1, 2])
def group(request):
    """(n, signed permutation of the Paulis of every element), from dense matrices."""
    n = request.param
    return n, clifford_ptms(*cliffords.images(np.arange(cliffords.order(n)), n), n)


def test_orders_of_the_groups():
    assert cliffords.order(1) == 24
    assert cliffords.order(2) == 11520


@BOTH
def test_every_element_is_a_qiskit_clifford_and_no_two_are_alike(n):
    every = tableaux(np.arange(cliffords.order(n)), n)
    for table in every:
        assert (Clifford(table, validate=True).tableau == table).all()
    assert len({t.tobytes() for t in every}) == cliffords.order(n)


def test_signed_permutations_are_orthogonal_and_distinct(group):
    n, ptms = group
    assert np.isin(ptms, (-1, 0, 1)).all()
    np.testing.assert_array_equal(ptms @ ptms.swapaxes(1, 2), np.broadcast_to(np.eye(4**n), ptms.shape))
    assert len({p.tobytes() for p in ptms.astype(np.int8)}) == len(ptms)


def test_images_and_back_for_every_element():
    for n in (1, 2):
        every = np.arange(cliffords.order(n))
        np.testing.assert_array_equal(cliffords.from_images(*cliffords.images(every, n), n), every)


def test_compose_of_all_one_qubit_pairs_is_the_matrix_product():
    ptms = clifford_ptms(*cliffords.images(np.arange(24), 1), 1)
    first, then = np.mgrid[:24, :24]
    np.testing.assert_array_equal(ptms[cliffords.compose(first, then, 1)], ptms[then] @ ptms[first])


def test_compose_of_every_pair_of_symplectic_maps_is_the_matrix_product(group):
    n, ptms = group
    ptms = ptms.astype(np.float32)
    rng = np.random.default_rng(1)
    maps = len(ptms) >> 2 * n
    for s in range(maps):  # all (first, then) pairs of maps, each with random Pauli parts
        then = (s << 2 * n) + rng.integers(4**n, size=maps)
        first = (np.arange(maps) << 2 * n) + rng.integers(4**n, size=maps)
        assert (ptms[cliffords.compose(first, then, n)] == ptms[then] @ ptms[first]).all()


def test_inverse_of_every_element_is_the_transpose(group):
    n, ptms = group
    every = np.arange(len(ptms))
    np.testing.assert_array_equal(ptms[cliffords.inverse(every, n)], ptms.swapaxes(1, 2))
    assert (cliffords.compose(every, cliffords.inverse(every, n), n) == cliffords.pauli(0, n)).all()
    assert (cliffords.compose(cliffords.inverse(every, n), every, n) == cliffords.pauli(0, n)).all()


@BOTH
def test_compose_and_inverse_agree_with_qiskit(n):
    pairs = cliffords.sample(n, (300, 2), np.random.default_rng(2))
    for a, b in pairs.tolist():
        first, then = (Clifford(t) for t in tableaux(np.array([a, b]), n))
        assert int(cliffords.compose(a, b, n)) == index_of(first.compose(then))
        assert int(cliffords.inverse(a, n)) == index_of(first.adjoint())


@BOTH
def test_compose_and_inverse_agree_with_stim(n):
    pairs = cliffords.sample(n, (300, 2), np.random.default_rng(3))
    for a, b in pairs.tolist():
        first, then = stim_tableau(a, n), stim_tableau(b, n)
        assert stim_tableau(cliffords.compose(a, b, n), n) == first.then(then)
        assert stim_tableau(cliffords.inverse(a, n), n) == first.inverse()


element = st.integers(0, 11519)


@given(element, element, element)
def test_composition_is_associative_with_identity_and_inverse(a, b, c):
    left = cliffords.compose(cliffords.compose(a, b, 2), c, 2)
    assert left == cliffords.compose(a, cliffords.compose(b, c, 2), 2)
    one = cliffords.pauli(0, 2)
    assert cliffords.compose(a, one, 2) == cliffords.compose(one, a, 2) == a
    assert cliffords.inverse(cliffords.compose(a, b, 2), 2) == cliffords.compose(cliffords.inverse(b, 2), cliffords.inverse(a, 2), 2)


@given(st.lists(element, min_size=1, max_size=5), element)
def test_compose_broadcasts_like_elementwise_calls(many, single):
    row = cliffords.compose(np.array(many)[:, None], np.array([[single, 0]]), 2)
    assert row.shape == (len(many), 2)
    assert row[:, 0].tolist() == [int(cliffords.compose(g, single, 2)) for g in many]


@BOTH
def test_pauli_elements_conjugate_like_their_matrices(n):
    paulis, signs = cliffords.images(cliffords.pauli(np.arange(4**n), n), n)
    for q in range(4**n):
        for g in range(2 * n):
            p, x = pauli_matrix(q, n), pauli_matrix(1 << g, n)
            assert paulis[q, g] == 1 << g
            assert signs[q, g] == (not np.allclose(p @ x, x @ p))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64])
def test_paulis_may_come_in_any_integer_type(dtype):
    assert cliffords.pauli(np.arange(16, dtype=dtype), 2).tolist() == cliffords.pauli(list(range(16)), 2).tolist()


@BOTH
def test_draw_is_uniform_over_the_whole_group(n):
    size = cliffords.order(n)
    drawn = cliffords.sample(n, 20 * size, np.random.default_rng(4))
    count = np.bincount(drawn, minlength=size)
    assert len(count) == size
    assert count.min() > 0
    chi2 = ((count - 20) ** 2 / 20).sum()
    assert abs(chi2 - (size - 1)) < 5 * np.sqrt(2 * (size - 1))


def test_sample_repeats_with_its_generator_and_keeps_its_shape():
    a, b = (cliffords.sample(2, (3, 5), np.random.default_rng(9)) for _ in range(2))
    assert a.shape == (3, 5)
    assert a.dtype == np.uint16
    np.testing.assert_array_equal(a, b)


def test_local_elements_act_on_their_own_qubit():
    one = clifford_ptms(*cliffords.images(np.arange(24), 1), 1)
    a, b = (x.ravel() for x in np.mgrid[:24, :24])
    two = clifford_ptms(*cliffords.images(cliffords.local(a, b), 2), 2)
    at = np.array([q & 1 | (q >> 1 & 2) for q in range(16)]), np.array([q >> 1 & 1 | (q >> 2 & 2) for q in range(16)])
    expected = one[a][:, at[0][:, None], at[0]] * one[b][:, at[1][:, None], at[1]]
    np.testing.assert_array_equal(two, expected)


def test_local_parts_undoes_local_and_marks_entangling_elements():
    a, b = (x.ravel() for x in np.mgrid[:24, :24])
    np.testing.assert_array_equal(cliffords.local_parts(cliffords.local(a, b)), np.stack([a, b], axis=1))
    entangling = (cliffords.local_parts(np.arange(11520)) < 0).all(axis=1)
    assert entangling.sum() == 11520 - 576


@BOTH
def test_symplectic_disregards_exactly_the_paulis(n):
    every = np.arange(cliffords.order(n))
    moved = cliffords.compose(every[:, None], cliffords.pauli(np.arange(4**n), n)[None, :], n)
    np.testing.assert_array_equal(cliffords.symplectic(moved, n), np.broadcast_to(cliffords.symplectic(every, n)[:, None], moved.shape))
    assert len(np.unique(cliffords.symplectic(every, n))) == len(every) // 4**n


def test_images_that_do_not_commute_like_the_generators_are_refused():
    with pytest.raises(ValueError, match="not a Clifford tableau"):
        cliffords.from_images([1, 1], [0, 0], 1)
    with pytest.raises(ValueError, match="not a Clifford tableau"):
        cliffords.from_images([[1, 2, 4, 8], [1, 4, 2, 8]], np.zeros((2, 4), int), 2)


def test_three_qubits_are_refused():
    with pytest.raises(ValueError, match="1 and 2 qubits, not 3"):
        cliffords.order(3)


def test_tables_are_built_quickly():
    cliffords._tables.cache_clear()
    start = time.perf_counter()
    cliffords.order(2)
    assert time.perf_counter() - start < 1.0
