"""Snapshots that run: their channels are qiskit-aer's, their truth Qiskit's, and measuring finds it."""

import sys

import numpy as np
import pytest
from qiskit.circuit import Gate
from qiskit.quantum_info import PTM, Operator, SuperOp, average_gate_fidelity
from qiskit.transpiler import InstructionProperties, QubitProperties, Target
from qiskit_aer.noise.device import basic_device_gate_errors

from qthreshold.backends import describe_device, fake, open_backend
from qthreshold.backends.fake import FakeBackend, calibrated_error
from qthreshold.circuits import build, native
from qthreshold.circuits.basis import spelling
from qthreshold.counts import add_counts
from qthreshold.decays import make_decays
from qthreshold.errors import InputError
from qthreshold.fits import make_fits
from qthreshold.metrics import make_metrics
from qthreshold.plan import ONE_QUBIT, TWO_QUBIT, seed_rng
from qthreshold.ticket import layer_tickets
from qthreshold.workflow import load_recipe
from reference.devices import small_plan

provider = pytest.importorskip("qiskit_ibm_runtime.fake_provider", reason="snapshots of devices come with qiskit-ibm-runtime")


def aers_errors(name, operations):
    """Errors that qiskit-aer makes of some operations of a snapshot, by operation and qubits."""
    target = getattr(provider, name)().target
    part = Target(num_qubits=target.num_qubits, qubit_properties=target.qubit_properties)
    for gate in {gate for gate, _ in operations}:
        part.add_instruction(target.operation_from_name(gate), {q: target[gate][q] for g, q in operations if g == gate})
    return {(gate, tuple(qubits)): SuperOp(error) for gate, qubits, error in basic_device_gate_errors(target=part)}


def some(device):
    """A pair of every native gate, direction and status."""
    rows = enumerate(zip(device.gate, device.direction.tolist(), device.edge_status, strict=True))
    return sorted({(gate, a < b, status): i for i, (gate, (a, b), status) in rows if status != "absent"}.values())


@pytest.mark.parametrize(
    "name", ["FakeTorino", "FakeBrisbane", "FakeCairoV2", "FakeManilaV2", "FakeKingston", "FakeArmonkV2", "FakeCambridgeV2", "FakeKyoto"]
)
def test_channels_are_those_of_aers_own_noise_model(name):
    backend = FakeBackend(name)
    device, noise = backend.device, backend.noise
    edges = some(device)
    qubits = sorted({0, *device.edges[edges].ravel().tolist(), *([146] if name == "FakeKingston" else [])})
    pulses = device.basis[1:]
    wanted = [(device.gate[e], tuple(device.direction[e].tolist())) for e in edges] + [(p, (q,)) for p in pulses for q in qubits]
    aers = aers_errors(name, wanted)
    ours = {wanted[i]: noise.native[e] for i, e in enumerate(edges)}
    ours |= {(p, (q,)): ptms[q] for p, ptms in zip(pulses, (noise.sx, noise.x), strict=True) for q in qubits}
    for key, ptm in ours.items():
        expected = PTM(aers[key]).data.real if key in aers else np.eye(len(ptm))
        np.testing.assert_allclose(ptm, expected, rtol=0, atol=1e-9, err_msg=str(key))


NAN = float("nan")
CASES = {
    "usual": (5e-3, (1e-7, 1e-7), (1e-4, 2e-4), (8e-5, 3e-4)),
    "relaxation alone is worse": (1e-4, (5e-6, 5e-6), (2e-5, 3e-5), (1e-5, 2e-5)),
    "T2 above 2 T1": (5e-3, (1e-6, 1e-6), (2e-5, 3e-5), (9e-5, 9e-5)),
    "no T2": (5e-3, (1e-6, 1e-6), (2e-5, 3e-5), (NAN, NAN)),
    "no T1": (5e-3, (1e-6, 1e-6), (NAN, 3e-5), (1e-5, 1e-5)),
    "neither": (5e-3, (1e-6, 1e-6), (NAN, NAN), (NAN, NAN)),
    "no duration": (5e-3, (NAN, NAN), (2e-5, 3e-5), (1e-5, 1e-5)),
    "no error": (NAN, (1e-6, 1e-6), (2e-5, 3e-5), (1e-5, 1e-5)),
    "error of one": (1.0, (1e-6, 1e-6), (2e-5, 3e-5), (1e-5, 1e-5)),
    "nothing": (NAN, (NAN, NAN), (NAN, NAN), (NAN, NAN)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("n", [1, 2])
def test_what_a_calibration_leaves_out_is_treated_as_aer_does(case, n):
    error, time, t1, t2 = CASES[case]
    qubits = [QubitProperties(*(None if np.isnan(v) else v for v in t)) for t in zip(t1, t2, strict=True)]
    target = Target(num_qubits=n, qubit_properties=qubits[:n])
    plain = [None if np.isnan(v) else v for v in (time[0], error)]
    target.add_instruction(Gate("g", n, []), {tuple(range(n)): InstructionProperties(*plain)})
    found = basic_device_gate_errors(target=target)
    expected = PTM(SuperOp(found[0][2])).data.real if found else np.eye(4**n)
    ours = calibrated_error(np.array([error]), np.array([time[:n]]), np.array([t1[:n]]), np.array([t2[:n]]))
    np.testing.assert_allclose(ours[0], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "edge"), [("FakeTorino", 3), ("FakeBrisbane", 5), ("FakeCairoV2", 2), ("FakeManilaV2", 0), ("FakeFractionalBackend", 1)]
)
def test_true_error_is_qiskits_for_the_compiled_cnot_under_aers_noise(name, edge):
    backend = FakeBackend(name)
    device = backend.device
    pair, gate = tuple(device.direction[edge].tolist()), device.gate[edge]
    aers = aers_errors(name, [(gate, pair), *((p, (q,)) for p in device.basis[1:] for q in pair)])
    channel = SuperOp(np.eye(16))
    for op in native.block_word("cnot", gate):
        on = (0, 1) if op == native.NATIVE else (op // 5,)
        ideal = build.native_gate(gate) if op == native.NATIVE else spelling(device.basis).letters[op % 5]
        channel = channel.compose(Operator(ideal), qargs=on)
        noise = aers.get((ideal.name, tuple(pair[k] for k in on)))
        channel = channel if noise is None else channel.compose(noise, qargs=on)
    expected = 1 - average_gate_fidelity(channel, Operator(build.native_gate("cx")))
    assert expected > 1e-3
    assert backend.truth("cnot").cnot_error[edge] == pytest.approx(expected, abs=1e-9)


def test_readout_takes_both_conditional_probabilities():
    backend = FakeBackend("FakeManilaV2")
    reported = provider.FakeManilaV2().properties()
    for q in range(5):
        values = reported.qubit_property(q)
        assert backend.noise.p1_given_0[q] == values["prob_meas1_prep0"][0]
        assert backend.noise.p0_given_1[q] == values["prob_meas0_prep1"][0]
    assert backend.noise.p0_given_1[0] > 2 * backend.noise.p1_given_0[0]  # or else nobody would mind
    assert fake._flips({"readout_error": (0.03, None)}) == (0.03, 0.03)
    assert fake._flips({}) == (0.0, 0.0)


@pytest.mark.parametrize("name", sorted(n for n in dir(provider) if n.startswith("Fake") and hasattr(getattr(provider, n), "props_filename")))
def test_every_snapshot_opens_with_physical_channels(name):
    with open_backend(f"fake:{name}") as backend:
        device, truth = backend.device, backend.truth("cnot")
    assert backend.spec == f"fake:{name}"
    assert np.isfinite(truth.cnot_error).all()
    usable = device.usable_edges
    assert (truth.cnot_error[usable] < 0.75).all()
    assert ((backend.noise.p1_given_0 >= 0) & (backend.noise.p1_given_0 <= 1)).all()
    for ptm in (*backend.noise.sx[:3], *backend.noise.native[:3]):
        assert SuperOp(PTM(ptm)).is_cptp(atol=1e-9)


def counts_of(backend, plan):
    return add_counts(backend.collect(plan, t, lambda n: None) for t in layer_tickets(plan, backend.spec))


def test_the_mean_of_small_runs_covers_the_true_mean():
    backend = FakeBackend("FakeManilaV2")
    recipe = load_recipe("quick")
    truth = backend.truth("cnot")
    inside, pulls, flips = 0, [], []
    for seed in range(8):
        plan = small_plan(backend.device, recipe, seed)
        fits = make_fits(make_decays(plan, backend.device, counts_of(backend, plan)), 0.95)
        mean = make_metrics(backend.device, fits, recipe.criteria, seed_rng(seed, 3)).mean
        inside += mean.low <= truth.cnot_error.mean() <= mean.high
        pulls.append((mean.best - truth.cnot_error.mean()) / (mean.high - mean.low) * 2 * 1.96)
        flips.append(fits.readout_flips)
    assert inside >= 7
    assert abs(np.mean(pulls)) < 4 / np.sqrt(8)
    reported = np.stack([backend.noise.p1_given_0, backend.noise.p0_given_1], axis=1)
    np.testing.assert_allclose(np.mean(flips, axis=0), reported, atol=0.02)  # four standard errors of the worst


def test_the_same_seed_repeats():
    backend = FakeBackend("manila")
    plan = small_plan(backend.device)
    assert {ONE_QUBIT, TWO_QUBIT} <= set(plan.circuit_experiment.tolist())
    assert counts_of(backend, plan).id == counts_of(FakeBackend("FakeManilaV2"), plan).id


def test_a_snapshot_is_made_once_per_process():
    assert fake.snapshot("FakeTorino") is fake.snapshot("FakeTorino")
    assert describe_device("fake:").name == "FakeTorino"


def test_without_the_package_the_message_names_the_extra(monkeypatch):
    fake.snapshot.cache_clear()
    monkeypatch.setitem(sys.modules, "qiskit_ibm_runtime.fake_provider", None)
    with pytest.raises(InputError, match=r"pip install 'qthreshold\[ibm\]'"):
        open_backend("fake:FakeTorino")
