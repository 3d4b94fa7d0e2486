"""AQT's offline simulators (qiskit-aqt-provider): rz, r and rxx between all ions, no reported errors. ``nox -s aqt`` installs what they need."""

import pytest

from qthreshold import workflow
from qthreshold.backends import open_backend

pytest.importorskip("qiskit_aqt_provider")

SPEC = "provider:qiskit_aqt_provider:AQTProvider.offline.{}#qubits=3&paid=no"


def test_the_device_is_described():
    with open_backend(SPEC.format("ideal")) as backend:
        assert (backend.device.n_qubits, len(backend.device.usable_edges), backend.device.two_qubit_gate) == (3, 3, "rxx")
        assert backend.limits.circuits == 50


def test_a_run_on_the_noisy_simulator(tmp_path):
    result = workflow.run(SPEC.format("noisy"), "quick", out=tmp_path / "run")
    assert result.missing == ()
    assert result.jobs >= result.plan.n_circuits / 50
    assert 0.002 < result.metrics.mean.best < 0.05
