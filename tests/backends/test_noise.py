import numpy as np
import pytest
from qiskit.quantum_info import PTM, Operator, SuperOp, average_gate_fidelity
from qiskit_aer.noise import thermal_relaxation_error

from qthreshold.backends.noise import build_noise, native_ptm, pair_channels, qubit_channels, true_errors
from qthreshold.circuits import native
from qthreshold.numerics import channels, cliffords
from reference.devices import device_of, line_device

PLAIN = {
    "t1": np.full(3, np.inf), "t2": np.full(3, np.inf), "pulse_error": np.zeros(3), "pulse_duration": np.full(3, 3e-8),
    "over_rotation": np.zeros(3), "phase_error": np.zeros(3),
    "p1_given_0": np.array([0.1, 0.2, 0.3]), "p0_given_1": np.array([0.3, 0.2, 0.5]),
    "angles": np.zeros((2, 16)), "edge_error": np.zeros(2), "edge_duration": np.full(2, 1e-7),
}  # fmt: skip
DIRECTED = np.array([(0, 1), (2, 1)])


def noise_of(**values):
    return build_noise(direction=DIRECTED, **(PLAIN | values))


def device(gate="cz"):
    return device_of(DIRECTED, gate, 3)


def test_no_errors_make_no_noise_and_no_true_error():
    noise = noise_of()
    np.testing.assert_allclose(noise.sx, np.tile(np.eye(4), (3, 1, 1)), atol=1e-14)
    np.testing.assert_allclose(noise.native, np.tile(np.eye(16), (2, 1, 1)), atol=1e-14)
    truth = true_errors(device(), noise)
    np.testing.assert_allclose(truth.cnot_error, 0, atol=1e-12)
    np.testing.assert_allclose(truth.one_qubit_error, 0, atol=1e-12)


def test_stated_incoherent_errors_are_reached_beside_relaxation():
    t = {"t1": np.array([50e-6, 80e-6, 90e-6]), "t2": np.array([60e-6, 40e-6, 100e-6])}
    noise = noise_of(pulse_error=np.full(3, 2e-3), edge_error=np.array([1e-2, 2e-2]), **t)
    np.testing.assert_allclose(channels.average_gate_infidelity(noise.sx, np.eye(4)), 2e-3, rtol=1e-9)
    np.testing.assert_allclose(channels.average_gate_infidelity(noise.x, np.eye(4)), 2e-3, rtol=1e-9)
    np.testing.assert_allclose(channels.average_gate_infidelity(noise.native, np.eye(16)), [1e-2, 2e-2], rtol=1e-9)


def test_relaxation_alone_is_aers_thermal_relaxation_on_the_right_qubits():
    t1, t2 = np.array([20e-6, 40e-6, 90e-6]), np.array([30e-6, 10e-6, 100e-6])
    noise = noise_of(t1=t1, t2=t2, edge_duration=np.array([1e-6, 2e-6]))
    for e, (a, b) in enumerate(DIRECTED):
        one = [SuperOp(thermal_relaxation_error(t1[q], t2[q], (1 + e) * 1e-6)) for q in (a, b)]
        np.testing.assert_allclose(noise.native[e], PTM(one[1].tensor(one[0])).data.real, atol=1e-12)


def test_x_over_rotates_twice_as_much_as_sx_about_x():
    noise = noise_of(over_rotation=np.array([0.1, 0.0, -0.2]))
    for q, angle in enumerate((0.1, 0.0, -0.2)):
        for ptm, turns in ((noise.sx[q], 1), (noise.x[q], 2)):
            c, s = np.cos(turns * angle), np.sin(turns * angle)
            np.testing.assert_allclose(ptm[2:, 2:], [[c, -s], [s, c]], atol=1e-12)


def test_phase_error_turns_about_z_after_the_pulse():
    noise = noise_of(phase_error=np.full(3, 0.1))
    expected = PTM(Operator(np.diag(np.exp([-0.05j, 0.05j])))).data.real
    np.testing.assert_allclose(noise.sx, np.tile(expected, (3, 1, 1)), atol=1e-12)


def test_coherent_pair_error_is_named_in_native_order():
    angles = np.zeros((2, 16))
    angles[:, 3] = 0.2  # ZI: Z on the first qubit of the native order
    noise = noise_of(angles=angles)
    first = channels.unitary(np.diag(np.exp([-0.1j, 0.1j])))
    np.testing.assert_allclose(noise.native[1], channels.on_qubit(first, 0), atol=1e-12)


@pytest.mark.parametrize("gate", native.NATIVE_UNITARY)
def test_over_rotated_gate_has_the_textbook_infidelity(gate):
    angle = 0.2
    angles = np.zeros((2, 16))
    angles[:, 15] = angle
    truth = true_errors(device(gate), noise_of(angles=angles), "native")
    np.testing.assert_allclose(truth.cnot_error, 4 / 5 * np.sin(angle / 2) ** 2, rtol=1e-9)


def test_true_error_of_the_block_includes_its_frame_pulses():
    noise = noise_of(pulse_error=np.full(3, 1e-3), edge_error=np.full(2, 1e-2))
    bare, block = (true_errors(device(), noise, b).cnot_error for b in ("native", "cnot"))
    np.testing.assert_allclose(bare, 1e-2, rtol=1e-9)
    assert (block > bare + 1e-3).all()


def test_true_errors_are_qiskits_average_gate_infidelities():
    rng = np.random.default_rng(1)
    noise = noise_of(
        t1=np.full(3, 2e-5), t2=np.full(3, 1e-5), pulse_error=np.full(3, 3e-3), over_rotation=rng.normal(0, 0.1, 3),
        phase_error=rng.normal(0, 0.1, 3), angles=rng.normal(0, 0.05, (2, 16)), edge_error=np.full(2, 2e-2),
    )  # fmt: skip
    truth = true_errors(device("ecr"), noise)
    cx = Operator(native.NATIVE_UNITARY["cx"])
    for e in range(2):
        channel = SuperOp(PTM(pair_channels(device("ecr"), noise, e).elements(native.CNOT)))
        assert truth.cnot_error[e] == pytest.approx(1 - average_gate_fidelity(channel, cx), abs=1e-12)
        bare = average_gate_fidelity(SuperOp(PTM(native_ptm(device("ecr"), noise, e))), Operator(native.NATIVE_UNITARY["ecr"]))
        assert true_errors(device("ecr"), noise, "native").cnot_error[e] == pytest.approx(1 - bare, abs=1e-12)
    for q in range(3):
        pairs = zip(qubit_channels(noise)[q], native.ideal_one_qubit_ptms(), strict=True)
        infidelity = [1 - average_gate_fidelity(SuperOp(PTM(c)).compose(SuperOp(PTM(i.T)))) for c, i in pairs]
        assert truth.one_qubit_error[q] == pytest.approx(np.mean(infidelity), abs=1e-12)


def test_readout_truth_is_the_mean_of_both_flips():
    np.testing.assert_allclose(true_errors(device(), noise_of()).readout_error, [0.2, 0.2, 0.4])


def test_pairs_with_different_gates_get_their_own_truth():
    mixed = line_device("mixed", 5)
    n, e = 5, 4
    values = {k: np.resize(v, (e, 16) if k == "angles" else e if k.startswith("edge") else n) for k, v in PLAIN.items()}
    noise = build_noise(direction=mixed.direction, **(values | {"pulse_error": np.full(n, 1e-3)}))
    truth = true_errors(mixed, noise)
    for i, gate in enumerate(mixed.gate):
        pulses = sum(op < native.NATIVE and op % 5 >= 3 for op in native.block_word("cnot", gate))
        assert truth.cnot_error[i] == pytest.approx(pulses * 1.2e-3, rel=0.02, abs=1e-12)  # one-qubit infidelity r costs a pair (6/5) r


@pytest.mark.parametrize("gate", native.NATIVE_UNITARY)
def test_every_shipped_channel_is_physical(gate):
    rng = np.random.default_rng(2)
    noise = noise_of(t1=np.full(3, 1e-5), t2=np.full(3, 2e-5), over_rotation=rng.normal(0, 0.2, 3), angles=rng.normal(0, 0.3, (2, 16)))
    for ptm in (*noise.sx, *noise.x, *noise.native, *pair_channels(device(gate), noise, 1).elements(cliffords.sample(2, 5, rng))):
        assert SuperOp(PTM(ptm)).is_cptp(atol=1e-9)
