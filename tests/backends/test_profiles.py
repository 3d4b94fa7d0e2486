import re

import numpy as np
import pytest

from qthreshold.backends.profiles import build, layout, load_profile
from qthreshold.datafiles import names_in
from qthreshold.errors import InputError
from reference.devices import small_plan, small_recipe

HEAD = 'schema = "qthreshold/profile/1"\nname = "mine"\n'
LINE = '[topology]\nkind = "line"\nqubits = 4\n'


def profile_of(folder, text):
    path = folder / "mine.toml"
    path.write_text(HEAD + text)
    return load_profile(str(path))


def test_profiles_are_shipped():
    assert {"heron-133", "eagle-127", "tiny-5"} <= set(names_in("backends"))


@pytest.mark.parametrize("name", names_in("backends"))
def test_shipped_profile_loads_under_its_own_name_and_builds(name):
    profile = load_profile(name)
    assert profile.name == name
    assert profile.description
    simulated = build(profile)
    device, noise = simulated.device, simulated.noise
    assert len(noise.native) == len(device.edges) > 0
    assert len(device.usable_edges) > 0
    for ptm in (noise.sx, noise.x, noise.native):
        assert np.isfinite(ptm).all()
        np.testing.assert_allclose(ptm[:, 0, 1:], 0, atol=1e-12)  # trace preserving
    assert (device.edge_error >= 0).all()
    assert (device.t2 <= 2 * device.t1).all()
    assert np.isfinite(device.coordinates).all()
    assert len(np.unique(device.coordinates, axis=0)) == device.n_qubits


@pytest.mark.parametrize(("name", "qubits", "pairs"), [("heron-133", 133, 150), ("eagle-127", 127, 144), ("tiny-5", 5, 4), ("ions-56", 56, 1540)])
def test_sizes_of_shipped_devices(name, qubits, pairs):
    device = build(load_profile(name)).device
    assert (device.n_qubits, len(device.edges)) == (qubits, pairs)


@pytest.mark.parametrize("name", ["heron-133", "eagle-127"])
def test_heavy_hex_qubits_have_at_most_three_neighbours_and_hexagons_of_twelve(name):
    n, edges, _ = layout(load_profile(name).topology)
    degree = np.bincount(edges.ravel(), minlength=n)
    assert degree.max() == 3
    assert degree.min() >= 1
    assert len(edges) - n + 1 == 18  # independent cycles: the 18 hexagons of a 7-row lattice


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ('kind = "line"\nqubits = 3\n', [[0, 1], [1, 2]]),
        ('kind = "ring"\nqubits = 3\n', [[0, 1], [0, 2], [1, 2]]),
        ('kind = "grid"\nrows = 2\ncolumns = 2\n', [[0, 1], [0, 2], [1, 3], [2, 3]]),
        ('kind = "all-to-all"\nqubits = 3\n', [[0, 1], [0, 2], [1, 2]]),
        ('kind = "pairs"\nqubits = 4\npairs = [[3, 0], [1, 2], [0, 3]]\n', [[0, 3], [1, 2]]),
        ('kind = "line"\nqubits = 1\n', []),
    ],
)
def test_topologies_couple_the_stated_pairs(text, pairs, tmp_path):
    assert build(profile_of(tmp_path, "[topology]\n" + text)).device.edges.tolist() == pairs


def test_building_twice_draws_the_same():
    a, b = (build(load_profile("heron-133")) for _ in range(2))
    assert a.device.id == b.device.id
    assert a.noise.id == b.noise.id


def test_adding_a_field_changes_no_other_draw(tmp_path):
    some = "[qubits]\nt1 = { median = 1e-4, spread = 0.3 }\np1_given_0 = { median = 0.02, spread = 0.5 }\n"
    more = some + "t2 = { median = 1e-4, spread = 0.3 }\nover_rotation = { median = 0.1, spread = 0.5 }\n"
    pairs = '[pairs]\norder = "drawn"\nerror = { median = 1e-2, spread = 0.5 }\n'
    a, b = (build(profile_of(tmp_path, LINE + q + pairs)) for q in (some, more))
    np.testing.assert_array_equal(a.device.t1, b.device.t1)
    np.testing.assert_array_equal(a.noise.p1_given_0, b.noise.p1_given_0)
    np.testing.assert_array_equal(a.device.direction, b.device.direction)
    assert not np.array_equal(a.device.t2, b.device.t2)


def test_different_fields_draw_different_numbers(tmp_path):
    text = "[qubits]\np1_given_0 = { median = 0.02, spread = 0.5 }\np0_given_1 = { median = 0.02, spread = 0.5 }\n"
    noise = build(profile_of(tmp_path, LINE + text)).noise
    assert len({*noise.p1_given_0.tolist(), *noise.p0_given_1.tolist()}) == 8


def test_another_seed_draws_differently(tmp_path):
    text = LINE + "[qubits]\nt1 = { median = 1e-4, spread = 0.3 }\n"
    a, b = (build(profile_of(tmp_path, f"seed = {s}\n" + text)).device.t1 for s in (1, 2))
    assert not np.isclose(a, b).any()


def test_drawn_values_have_the_stated_median_and_spread(tmp_path):
    t1 = build(profile_of(tmp_path, '[topology]\nkind = "line"\nqubits = 2000\n[qubits]\nt1 = { median = 1e-4, spread = 0.3 }\n')).device.t1
    logs = np.log(t1 / 1e-4)
    assert abs(logs.mean()) < 5 * 0.3 / np.sqrt(2000)
    assert logs.std() == pytest.approx(0.3, rel=5 / np.sqrt(2 * 2000))


def test_reported_errors_come_from_the_channels_coherent_part_included(tmp_path):
    text = LINE + "[qubits]\nt1 = 1e9\nt2 = 1e9\nover_rotation = 0.1\n[pairs]\nerror = 1e-2\ncoherent = { ZZ = 0.2 }\n"
    device = build(profile_of(tmp_path, text)).device
    np.testing.assert_allclose(device.qubit_error, 2 / 3 * np.sin(0.05) ** 2, rtol=1e-9)
    assert (device.edge_error > 1e-2 + 0.9 * 4 / 5 * np.sin(0.1) ** 2).all()


def test_exceptions_change_only_the_named_qubit_and_pair(tmp_path):
    text = LINE + "[qubits]\nt1 = { median = 1e-4, spread = 0.3 }\np1_given_0 = 0.01\n[pairs]\nerror = { median = 1e-2, spread = 0.5 }\n"
    special = '[[qubit]]\nqubit = 2\nt1 = 5e-5\np0_given_1 = 0.2\n[[pair]]\nedge = [2, 1]\nerror = 0.1\ngate = "ecr"\norder = "descending"\n'
    a, b = (build(profile_of(tmp_path, text + s)) for s in ("", special))
    assert b.device.t1[2] == 5e-5
    assert b.noise.p0_given_1.tolist() == [0, 0, 0.2, 0]
    np.testing.assert_array_equal(np.delete(a.device.t1, 2), np.delete(b.device.t1, 2))
    np.testing.assert_array_equal(a.noise.p1_given_0, b.noise.p1_given_0)
    assert b.device.gate == ("cz", "ecr", "cz")
    assert b.device.direction.tolist() == [[0, 1], [2, 1], [2, 3]]
    assert b.device.edge_error[1] == pytest.approx(0.1)
    np.testing.assert_allclose(np.delete(a.device.edge_error, 1), np.delete(b.device.edge_error, 1), rtol=1e-12)


def test_a_pairs_own_coherent_error_replaces_the_common_one(tmp_path):
    text = LINE + "[qubits]\nt1 = 1e9\nt2 = 1e9\n[pairs]\ncoherent = { ZZ = 0.2 }\n[[pair]]\nedge = [0, 1]\ncoherent = { XI = 0.1 }\n"
    error = build(profile_of(tmp_path, text)).device.edge_error
    np.testing.assert_allclose(error, 4 / 5 * np.sin(np.array([0.05, 0.1, 0.1])) ** 2, rtol=1e-7)


def test_a_pair_drawn_by_exception_keeps_a_direction(tmp_path):
    device = build(profile_of(tmp_path, LINE + '[pairs]\norder = "descending"\n[[pair]]\nedge = [0, 1]\norder = "ascending"\n')).device
    assert device.direction.tolist() == [[0, 1], [2, 1], [3, 2]]


def test_dead_qubits_and_pairs_are_absent_with_a_reason_and_not_planned(tmp_path):
    device = build(profile_of(tmp_path, "dead_qubits = [3]\ndead_pairs = [[1, 0]]\n" + LINE)).device
    assert device.qubit_status == ("ok", "ok", "ok", "absent")
    assert "dead" in device.qubit_reason[3]
    assert device.edge_status == ("absent", "ok", "absent")
    assert "dead" in device.edge_reason[0]
    assert "qubit 3" in device.edge_reason[2]
    plan = small_plan(device, small_recipe())
    assert plan.qubits.tolist() == [0, 1, 2]
    assert plan.edges.tolist() == [1]


def test_coherence_time_is_cut_to_twice_the_energy_relaxation_time(tmp_path):
    device = build(profile_of(tmp_path, LINE + "[qubits]\nt1 = 1e-5\nt2 = 1e-4\n")).device
    np.testing.assert_allclose(device.t2, 2e-5)


BAD = {
    "negative error": (LINE + "[pairs]\nerror = -0.1\n", 7, r"pairs\.error"),
    "error above one": (LINE + "[qubits]\npulse_error = 1.5\n", 7, r"qubits\.pulse_error"),
    "median above one": (LINE + "[qubits]\np1_given_0 = { median = 2.0, spread = 0.1 }\n", 7, r"qubits\.p1_given_0"),
    "unknown gate": (LINE + '[pairs]\ngate = "swap"\n', 7, r"pairs\.gate.*'cz'"),
    "missing size": ('[topology]\nkind = "grid"\nrows = 3\n', 3, r"topology.*needs columns"),
    "missing topology": ("seed = 1\n", 1, "topology.*required"),
    "unknown field": (LINE + "[qubits]\nt3 = 1.0\n", 7, r"qubits\.t3"),
    "unknown pauli": (LINE + "[pairs]\ncoherent = { ZQ = 0.1 }\n", 7, r"pairs\.coherent"),
    "qubit out of range": ("dead_qubits = [4]\n" + LINE, 1, "qubit 4 does not exist.*0 to 3"),
    "pair not coupled": ("dead_pairs = [[0, 2]]\n" + LINE, 1, r"\[0, 2\] is not coupled"),
    "ring of two": ('[topology]\nkind = "ring"\nqubits = 2\n', 3, "ring needs at least 3"),
    "second exception": (LINE + "[[qubit]]\nqubit = 1\n[[qubit]]\nqubit = 2\nt1 = -1.0\n", 10, r"qubit\.1\.t1"),
    "text for a number": (LINE + '[qubits]\nt1 = "long"\n', 7, r"qubits\.t1"),
    "infinity": (LINE + "[qubits]\nt1 = inf\n", 7, r"qubits\.t1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_profile_is_refused_with_file_line_and_field(case, tmp_path):
    text, line, field = BAD[case]
    with pytest.raises(InputError) as caught:
        profile_of(tmp_path, text)
    message = str(caught.value)
    assert re.search(rf"mine\.toml, line {line}: .*{field}", message), message
    assert "\n" not in message
