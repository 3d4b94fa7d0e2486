import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.device import state_of
from reference.devices import device_of, line_device


def test_pairs_are_sorted_and_keep_their_own_values_and_direction():
    device = device_of([(2, 1), (0, 1), (3, 2)], ["ecr", "cz", "rzz"], 4, edge_error=[0.2, 0.1, 0.3], edge_duration=[2.0, 1.0, 3.0])
    assert device.edges.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert device.direction.tolist() == [[0, 1], [2, 1], [3, 2]]
    assert device.gate == ("cz", "ecr", "rzz")
    assert device.edge_error.tolist() == [0.1, 0.2, 0.3]
    assert device.edge_duration.tolist() == [1.0, 2.0, 3.0]
    assert device.two_qubit_gate == "cz+ecr+rzz"


@given(st.permutations([(0, 1), (2, 1), (2, 3), (4, 3), (0, 4)]))
def test_the_sequence_in_which_pairs_are_given_does_not_matter(pairs):
    errors = [0.001 * (1 + min(p) + 10 * max(p)) for p in pairs]
    reference = [(0, 1), (2, 1), (2, 3), (4, 3), (0, 4)]
    expected = device_of(reference, "cz", 5, edge_error=[0.001 * (1 + min(p) + 10 * max(p)) for p in reference])
    assert device_of(pairs, "cz", 5, edge_error=errors).id == expected.id


def test_statuses_follow_from_reported_errors():
    device = device_of([(0, 1), (1, 2), (2, 3)], "cz", 4, edge_error=[np.nan, 0.5, 0.499], qubit_error=[1e-3, np.nan, 1.0, 1e-3])
    assert device.edge_status == ("unknown_error", "faulty", "ok")
    assert device.qubit_status == ("ok", "unknown_error", "faulty", "ok")
    assert "0.5" in device.edge_reason[1]
    assert "1-2" in device.edge_reason[1]
    assert device.edge_reason[2] == ""


def test_unreported_errors_are_still_measured_but_faulty_and_absent_ones_are_not():
    device = device_of(
        [(0, 1), (1, 2), (2, 3), (3, 4)], "cz", 5, edge_error=[np.nan, 0.9, 0.01, 0.01], absent_edges={3: "gone"},
        qubit_error=[1e-3, 1e-3, 1e-3, np.nan, 1e-3],
    )  # fmt: skip
    assert device.usable_edges.tolist() == [0, 2]
    assert device.usable_qubits.tolist() == [0, 1, 2, 3, 4]
    assert device.edge_reason[3] == "gone"


def test_a_pair_with_an_unusable_qubit_is_not_usable():
    device = line_device("cz", absent_qubits={1: "broken"})
    assert device.qubit_status[1] == "absent"
    assert device.usable_qubits.tolist() == [0, 2, 3, 4]
    assert device.usable_edges.tolist() == [2, 3]


def test_absent_pairs_are_named_by_their_place_in_the_input_not_after_sorting():
    device = device_of([(3, 2), (0, 1)], "cz", 4, absent_edges={0: "not offered"})
    assert device.edge_status == ("ok", "absent")


def test_a_device_without_pairs_is_fine():
    device = device_of([], [], 3)
    assert device.edges.shape == (0, 2)
    assert device.usable_edges.tolist() == []
    assert device.two_qubit_gate == ""


@pytest.mark.parametrize("error", [None, np.nan])
def test_no_reported_error_is_not_an_error_of_zero(error):
    assert state_of(error, "pair 0-1") == ("unknown_error", "no error reported for pair 0-1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"directed": [(0, 1), (1, 0)]}, "appear once"),
        ({"directed": [(0, 1), (1, 5)]}, r"0\.\.3"),
        ({"directed": [(0, 1), (2, 2)]}, "a < b"),
        ({"gate": ["cz", "swap"]}, r"unknown native gate \['swap'\]; accepted: cx, cz, ecr, rzz"),
        ({"n_qubits": 0, "directed": [], "gate": []}, "at least one qubit"),
        ({"t1": np.ones(3)}, r"t1 has shape \(3,\), expected \(4,\)"),
        ({"readout_error": np.ones((4, 2))}, "readout_error has shape"),
    ],
)
def test_devices_that_do_not_fit_together_are_refused(change, message):
    values = {"directed": [(0, 1), (1, 2)], "gate": ["cz", "cz"], "n_qubits": 4} | change
    edges = len(values["directed"])
    with pytest.raises(ValueError, match=message):
        device_of(values.pop("directed"), values.pop("gate"), values.pop("n_qubits"), **({"edge_error": np.full(edges, 0.1)} | values))


def test_every_reported_value_enters_the_id():
    device = line_device("cz")
    for name in ("edge_error", "edge_duration", "qubit_error", "readout_error", "pulse_duration", "readout_duration", "t1", "t2", "coordinates"):
        changed = getattr(device, name).copy()
        changed.flat[0] = 0.123
        assert device.replace(**{name: changed}).id != device.id, name
