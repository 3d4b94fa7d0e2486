import itertools
import re
import time

import numpy as np
import pytest

from qthreshold.backends.noise import true_errors
from qthreshold.backends.profiles import build, load_profile
from qthreshold.backends.topology import Topology, layout, module_links
from qthreshold.datafiles import names_in
from qthreshold.errors import InputError
from qthreshold.numerics.graphs import largest_components
from reference.devices import small_plan, small_recipe

HEAD = 'schema = "qthreshold/profile/1"\nname = "mine"\n'
LINE = '[topology]\nkind = "line"\nqubits = 4\n'


def profile_of(folder, text):
    path = folder / "mine.toml"
    path.write_text(HEAD + text)
    return load_profile(str(path))


def is_connected(device):
    up = np.ones((1, device.n_qubits), bool), np.ones((1, len(device.edges)), bool)
    return largest_components(device.n_qubits, device.edges, *up).all()


def test_profiles_are_shipped():
    assert {"heron-133", "eagle-127", "tiny-5", "crosstalk-12"} <= set(names_in("backends"))


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
    assert profile.topology.count == device.n_qubits
    assert is_connected(device)
    truth = true_errors(device, noise)
    for error in (truth.cnot_error, truth.one_qubit_error, truth.readout_error):
        assert np.isfinite(error).all()
        assert (error > -1e-12).all()  # ideal-36: rounding


SIZES = [
    ("heron-133", 133, 150), ("eagle-127", 127, 144), ("tiny-5", 5, 4), ("ions-56", 56, 1540), ("ions-56-1e-4", 56, 1540),
    ("heavy-hex-1121", 1121, 1320), ("modular-4x462", 4 * 462, 4 * 535 + 3 * 4), ("grid-2025", 2025, 3960), ("grid-10000", 10_000, 19_800),
]  # fmt: skip


@pytest.mark.parametrize(("name", "qubits", "pairs"), SIZES)
def test_sizes_of_shipped_devices(name, qubits, pairs):
    device = build(load_profile(name)).device
    assert (device.n_qubits, len(device.edges)) == (qubits, pairs)


# independent cycles: 6 gaps of 4 bridges close 3 hexagons each, 20 gaps of 11 bridges close 10 each
@pytest.mark.parametrize(("name", "hexagons"), [("heron-133", 18), ("eagle-127", 18), ("heavy-hex-1121", 20 * 10)])
def test_heavy_hex_qubits_have_at_most_three_neighbours_and_hexagons_of_twelve(name, hexagons):
    n, edges, _ = layout(load_profile(name).topology)
    degree = np.bincount(edges.ravel(), minlength=n)
    assert degree.max() == 3
    assert degree.min() >= 1
    assert len(edges) - n + 1 == hexagons


def test_ions_of_1e_4_have_that_mean_error_in_part_coherent():
    profile = load_profile("ions-56-1e-4")
    simulated = build(profile)
    truth = true_errors(simulated.device, simulated.noise)
    assert truth.cnot_error.mean() == pytest.approx(1e-4, rel=0.02)
    assert truth.one_qubit_error.max() < 3e-5
    incoherent = build(profile.model_copy(update={"pairs": profile.pairs.model_copy(update={"coherent": {}})})).device
    assert 0.05 < 1 - incoherent.edge_error.mean() / simulated.device.edge_error.mean() < 0.2


MODULES = '[topology]\nkind = "modular"\nmodules = 3\nlinks = 2\n[topology.module]\nkind = "grid"\nrows = 4\ncolumns = 2\n'


def test_modules_lie_side_by_side_and_are_joined_to_the_next_by_evenly_spaced_links(tmp_path):
    topology = profile_of(tmp_path, MODULES).topology
    n, edges, position = layout(topology)
    inside = layout(topology.module)[1]
    links = edges[module_links(topology, edges)]
    assert n == 24
    assert links.tolist() == [[3, 10], [7, 14], [11, 18], [15, 22]]
    assert len(edges) == 3 * len(inside) + 4
    for k in range(3):
        mine = edges[(edges // 8 == k).all(axis=1)]
        np.testing.assert_array_equal(mine - 8 * k, inside)
    np.testing.assert_array_equal(position[links[:, 0], 1], position[links[:, 1], 1])
    assert position[8:16, 0].min() - position[:8, 0].max() == 2


def test_links_can_be_named(tmp_path):
    topology = profile_of(tmp_path, MODULES.replace("links = 2", "links = [[7, 0], [1, 5]]")).topology
    _, edges, _ = layout(topology)
    assert edges[module_links(topology, edges)].tolist() == [[1, 13], [7, 8], [9, 21], [15, 16]]


def test_links_have_their_own_values_and_else_those_of_pairs(tmp_path):
    pairs = '[qubits]\nt1 = 1e9\nt2 = 1e9\n[pairs]\ngate = "ecr"\norder = "descending"\nerror = { median = 1e-2, spread = 0.5 }\nduration = 50e-9\n'
    a, b = (build(profile_of(tmp_path, MODULES + pairs + more)) for more in ("", "[links]\nerror = 0.1\nduration = 200e-9\n"))
    rows = module_links(profile_of(tmp_path, MODULES).topology, b.device.edges)
    np.testing.assert_allclose(b.device.edge_error[rows], 0.1)
    np.testing.assert_allclose(b.device.edge_duration[rows], 200e-9)
    np.testing.assert_array_equal(np.delete(a.device.edge_error, rows), np.delete(b.device.edge_error, rows))
    assert set(b.device.gate) == {"ecr"}
    np.testing.assert_array_equal(a.device.direction, b.device.direction)
    c = build(profile_of(tmp_path, MODULES + pairs + '[links]\ngate = "cz"\norder = "drawn"\ncoherent = { ZZ = 0.4 }\n')).device
    assert {c.gate[i] for i in rows} == {"cz"}
    assert 0 < (c.direction[rows, 0] < c.direction[rows, 1]).sum() < len(rows)
    assert (c.edge_error[rows] > a.device.edge_error[rows] + 0.02).all()


def test_links_of_the_modular_profile_are_much_worse_than_its_pairs():
    profile = load_profile("modular-4x462")
    device = build(profile).device
    rows = module_links(profile.topology, device.edges)
    assert len(rows) == 12
    assert device.edge_error[rows].min() > 3 * np.median(np.delete(device.edge_error, rows))
    assert (device.edge_duration[rows] == 235e-9).all()


def test_a_pair_exception_reaches_a_link(tmp_path):
    device = build(profile_of(tmp_path, MODULES + "[links]\nerror = 0.1\n[[pair]]\nedge = [7, 14]\nerror = 0.2\n")).device
    assert device.edge_error[device.edges.tolist().index([7, 14])] == pytest.approx(0.2)


def test_the_largest_grid_is_built_in_about_a_second():
    start = time.process_time()
    build(load_profile("grid-10000"))
    assert time.process_time() - start < 3  # 0.4 s on a quiet core


@pytest.mark.parametrize("last_bridges", [False, True])
@pytest.mark.parametrize("trim_corners", [False, True])
def test_size_of_a_heavy_hex_lattice_is_known_before_it_is_built(last_bridges, trim_corners):
    for rows, columns in itertools.product(range(2, 7), range(2, 9)):
        t = Topology(kind="heavy-hex", rows=rows, columns=columns, last_bridges=last_bridges, trim_corners=trim_corners)
        assert t.count == layout(t)[0]


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


COUPLED = "[[crosstalk.coupling]]\nedge = [0, 1]\nzz = 0.2\n"


def test_crosstalk_of_couplings_is_drawn_and_excepted_like_other_fields(tmp_path):
    drawn = "[crosstalk]\nzz = { median = -0.1, spread = 0.5 }\n"
    plain, some, special = (build(profile_of(tmp_path, LINE + text)) for text in ("", drawn, drawn + COUPLED))
    assert plain.crosstalk.tolist() == [0, 0, 0]
    assert (some.crosstalk < 0).all()
    assert len(set(some.crosstalk.tolist())) == 3
    assert special.crosstalk.tolist() == [0.2, *some.crosstalk[1:]]
    assert build(profile_of(tmp_path, "seed = 1\n" + LINE + drawn)).crosstalk.tolist() != some.crosstalk.tolist()
    assert build(profile_of(tmp_path, LINE + "[crosstalk]\nzz = 0.1\n")).crosstalk.tolist() == [0.1] * 3


def test_crosstalk_changes_the_state_and_nothing_else_and_none_changes_nothing(tmp_path):
    plain, off, on, more = (build(profile_of(tmp_path, LINE + t)) for t in ("", "[crosstalk]\nzz = 0\n", "[crosstalk]\nzz = 0.1\n", COUPLED))
    assert plain.state == off.state == plain.noise.id  # of runs that were planned before there was crosstalk
    assert len({plain.state, on.state, more.state}) == 3
    assert {d.device.id for d in (off, on, more)} == {plain.device.id}
    assert {d.noise.id for d in (off, on, more)} == {plain.noise.id}


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
    "too many qubits": ('[topology]\nkind = "grid"\nrows = 200\ncolumns = 200\n', 3, "topology: 40,000 qubits; accepted: at most 20,000"),
    "too many pairs": ('[topology]\nkind = "all-to-all"\nqubits = 2000\n', 3, "1,999,000 pairs; accepted: .*500,000"),
    "nothing but corners": ('[topology]\nkind = "heavy-hex"\nrows = 1\ncolumns = 1\ntrim_corners = true\n', 3, "no qubit is left"),
    "modules without links": (MODULES.replace("links = 2\n", ""), 3, "topology: .*'modular' needs links"),
    "modules without module": ('[topology]\nkind = "modular"\nmodules = 3\nlinks = 2\n', 3, "topology: .*'modular' needs module"),
    "module without size": (MODULES.replace("columns = 2\n", ""), 7, r"topology\.module: .*'grid' needs columns"),
    "one module": (MODULES.replace("modules = 3", "modules = 1"), 5, r"topology\.modules: .*greater than or equal to 2"),
    "modules of modules": (
        MODULES.replace('"grid"', '"modular"\nmodules = 2\nlinks = 1\n[topology.module.module]\nkind = "grid"'),
        8,
        r"any kind but modular",
    ),
    "more links than places": (MODULES.replace("links = 2", "links = 5"), 6, r"topology\.links: .*accepted: 1 to 4, or a list of pairs"),
    "no links": (MODULES.replace("links = 2", "links = 0"), 6, r"topology\.links: .*greater than or equal to 1"),
    "empty links": (MODULES.replace("links = 2", "links = []"), 6, r"topology\.links: "),
    "links as text": (MODULES.replace("links = 2", 'links = "few"'), 6, r"topology\.links: .*valid integer.* or .*valid list"),
    "link out of range": (MODULES.replace("links = 2", "links = [\n[0, 7],\n[8, 0]]"), 8, r"topology\.links\.1: \[8, 0\] .*below 8"),
    "rows beside the module": (MODULES.replace("links = 2", "links = 2\nrows = 4"), 7, r"topology\.rows: .*\[topology\.module\]"),
    "links in a line": (LINE + "links = 2\n", 6, r"topology\.links: belongs to topology 'modular', this one is 'line'"),
    "values of links in a line": (LINE + "[links]\nerror = 0.1\n", 6, r"links: only a 'modular' topology"),
    "error of a link": (MODULES + "[links]\nerror = -0.1\n", 12, r"links\.error"),
    "modules too large": (MODULES.replace("rows = 4", "rows = 8000"), 3, "topology: 48,000 qubits"),
    "infinity": (LINE + "[qubits]\nt1 = inf\n", 7, r"qubits\.t1"),
    "crosstalk as text": (LINE + '[crosstalk]\nzz = "some"\n', 7, r"crosstalk\.zz"),
    "infinite crosstalk": (LINE + "[crosstalk]\nzz = inf\n", 7, r"crosstalk\.zz"),
    "crosstalk without spread": (LINE + "[crosstalk]\nzz = { median = 0.1 }\n", 7, r"crosstalk\.zz: .*valid number"),
    "unknown crosstalk": (LINE + "[crosstalk]\nxx = 0.1\n", 7, r"crosstalk\.xx"),
    "coupling without angle": (LINE + "[[crosstalk.coupling]]\nedge = [0, 1]\n", 6, r"crosstalk\.coupling\.0\.zz.*required"),
    "no such coupling": (LINE + COUPLED + "[[crosstalk.coupling]]\nzz = 0\nedge = [0, 2]\n", 11, r"crosstalk\.coupling\.1\.edge: .*not coupled"),
    "coupling named twice": (LINE + COUPLED + "[[crosstalk.coupling]]\nzz = 0\nedge = [1, 0]\n", 11, r"crosstalk\.coupling\.1\.edge: .*twice"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_profile_is_refused_with_file_line_and_field(case, tmp_path):
    text, line, field = BAD[case]
    with pytest.raises(InputError) as caught:
        profile_of(tmp_path, text)
    message = str(caught.value)
    assert re.search(rf"mine\.toml, line {line}: .*{field}", message), message
    assert "\n" not in message
