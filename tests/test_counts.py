import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.counts import Counts, add_counts, pack_outcomes, unpack_bits


def table(counts):
    """{(circuit, string): count}, strings as tuples of bits."""
    bits = unpack_bits(counts.bits, counts.n_qubits)
    return {(int(c), tuple(b.tolist())): int(k) for c, b, k in zip(counts.circuit, bits, counts.count, strict=True)}


@st.composite
def shots(draw, n=None):
    n = n or draw(st.integers(1, 20))
    rows = draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, min(2**n - 1, 7))), max_size=30))
    circuit = np.array([c for c, _ in rows], dtype=int)
    bits = np.array([[v >> q & 1 for q in range(n)] for _, v in rows], dtype=np.uint8).reshape(-1, n)
    return n, circuit, bits


@given(shots())
def test_packing_counts_every_shot_once(data):
    n, circuit, bits = data
    slow = {}
    for c, b in zip(circuit.tolist(), bits.tolist(), strict=True):
        slow[c, tuple(b)] = slow.get((c, tuple(b)), 0) + 1
    packed = pack_outcomes("plan", n, circuit, bits)
    assert table(packed) == slow
    assert packed.bits.shape == (len(slow), -(-n // 8))


@given(shots(), st.randoms(use_true_random=False))
def test_the_order_of_shots_does_not_matter(data, random):
    n, circuit, bits = data
    order = list(range(len(circuit)))
    random.shuffle(order)
    assert pack_outcomes("plan", n, circuit, bits).id == pack_outcomes("plan", n, circuit[order], bits[order]).id


@given(st.tuples(shots(n=9), shots(n=9), shots(n=9)))
def test_adding_is_the_same_as_packing_all_at_once_in_any_grouping(data):
    parts = [pack_outcomes("plan", 9, c, b) for _, c, b in data]
    whole = pack_outcomes("plan", 9, np.concatenate([c for _, c, _ in data]), np.concatenate([b for _, _, b in data]))
    assert add_counts(parts).id == whole.id == add_counts(parts[::-1]).id
    assert add_counts([add_counts(parts[:2]), parts[2]]).id == whole.id


def test_qubit_0_is_bit_0_also_beyond_eight_qubits():
    bits = np.zeros((1, 11), dtype=np.uint8)
    bits[0, [0, 9]] = 1
    packed = pack_outcomes("plan", 11, [0], bits)
    assert packed.bits.tolist() == [[1, 2]]
    np.testing.assert_array_equal(unpack_bits(packed.bits, 11), bits)


def test_circuits_beyond_a_byte_stay_sorted():
    packed = pack_outcomes("plan", 1, [300, 2, 70_000, 255], np.zeros((4, 1)))
    assert packed.circuit.tolist() == [2, 255, 300, 70_000]


def test_counts_larger_than_32_bits_add():
    big = Counts(plan_id="p", n_qubits=1, circuit=np.zeros(1, np.int32), bits=np.zeros((1, 1), np.uint8), count=np.array([2**40]))
    assert add_counts([big, big]).count.tolist() == [2**41]


def test_no_shots_at_all():
    empty = pack_outcomes("plan", 3, [], np.zeros((0, 3)))
    assert len(empty.circuit) == 0
    assert add_counts([empty, empty]).id == empty.id


def test_counts_of_different_plans_or_widths_do_not_add():
    one = pack_outcomes("plan", 3, [0], np.zeros((1, 3)))
    for other in (pack_outcomes("other", 3, [0], np.zeros((1, 3))), pack_outcomes("plan", 4, [0], np.zeros((1, 4)))):
        with pytest.raises(ValueError, match="different plans"):
            add_counts([one, other])
    with pytest.raises(ValueError, match="nothing to add"):
        add_counts([])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"circuit": np.array([1, 0], np.int32)}, "sorted"),
        ({"count": np.array([1, 0])}, "positive"),
        ({"count": np.array([1])}, "2 counts"),
        ({"bits": np.zeros((2, 2), np.uint8)}, r"\(2, 1\)"),
    ],
)
def test_malformed_counts_are_refused(change, message):
    good = {"circuit": np.array([0, 1], np.int32), "bits": np.zeros((2, 1), np.uint8), "count": np.array([1, 1])}
    with pytest.raises(ValueError, match=message):
        Counts(plan_id="p", n_qubits=3, **(good | change))
