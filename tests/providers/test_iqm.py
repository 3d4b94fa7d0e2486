"""IQM's simulated machines (iqm-client[qiskit]): r and cz, a star, and nothing reported. ``nox -s iqm`` installs what they need."""

import json

import pytest
from typer.testing import CliRunner

from qthreshold import workflow
from qthreshold.backends import open_backend
from qthreshold.circuits.build import build_circuits
from qthreshold.circuits.native import NATIVE_UNITARY, block_element
from qthreshold.cli.app import app
from qthreshold.errors import RejectedError
from qthreshold.plan import make_plan

pytest.importorskip("iqm.qiskit_iqm")

SPEC = "provider:iqm.qiskit_iqm:{}#paid=no"


@pytest.mark.parametrize(
    ("name", "qubits", "pairs"), [("IQMFakeAdonis", 5, 4), ("IQMFakeApollo", 20, 30), ("IQMFakeAphrodite", 54, 90), ("IQMFakeDeneb", 6, 15)]
)
def test_devices_are_described_and_their_circuits_fit(name, qubits, pairs):
    with open_backend(SPEC.format(name)) as backend:
        device = backend.device
        assert (device.n_qubits, len(device.usable_edges), device.two_qubit_gate, device.basis) == (qubits, pairs, "cz", ("r",))
        plan = make_plan(device, workflow.load_recipe("quick"), 1, {g: block_element("cnot", g) for g in NATIVE_UNITARY})
        assert backend.obstacles(plan, device) == []
        names = {i.operation.name for c in build_circuits(plan, device, [0, plan.n_circuits - 1]) for i in c.data}
        assert names <= {"r", "cz", "barrier", "measure"}


def test_a_star_refuses_circuits_that_its_target_allows(tmp_path):
    """Deneb's target couples all qubits; that takes moves to its resonator, which IQM's own transpiler adds."""
    with pytest.raises(RejectedError, match=r"\(CircuitValidationError\)"):
        workflow.run(SPEC.format("IQMFakeDeneb"), "quick", out=tmp_path / "run")


def test_a_run_on_adonis_from_the_command_line(tmp_path):
    done = CliRunner().invoke(app, ["run", "-b", SPEC.format("IQMFakeAdonis"), "-r", "quick", "--out", str(tmp_path / "run"), "--json"])
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["missing_circuits"] == []
    assert 0.005 < summary["cnot_error"]["mean"]["best"] < 0.1
    assert "iqm-client" in summary["settings"]["packages"]
