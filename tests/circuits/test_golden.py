import hashlib
import importlib.util
import re

import numpy as np
import pytest

from qthreshold.circuits.native import NATIVE_UNITARY
from qthreshold.datafiles import shipped
from reference.dense import ONE

FOLDER = shipped("circuits") / "golden"
FILES = sorted(p.name for p in FOLDER.glob("*.qasm"))


@pytest.fixture(scope="module")
def regenerated():
    spec = importlib.util.spec_from_file_location("golden_make", FOLDER / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.golden_circuits()


def instructions(text):
    """Instruction lines only: Qiskit may word headers and gate definitions differently."""
    text = re.sub(r"gate [^{]*\{[^}]*\}", "", text)
    return [line for line in text.splitlines() if line and not line.startswith(("//", "OPENQASM", "include", "bit", "qubit"))]


def test_there_is_one_of_each_arm_for_every_native_gate():
    assert {f"{gate}-{arm}.qasm" for gate in NATIVE_UNITARY for arm in ("reference", "interleaved")} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_the_package_still_writes_the_golden_circuit(name, regenerated):
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert instructions(regenerated[name]) == instructions(text)
    assert regenerated[name].splitlines()[0] == text.splitlines()[0]
    assert len(instructions(text)) > 20


def test_the_hashes_are_those_of_the_files():
    sums = dict(reversed(line.split()) for line in (FOLDER / "SHA256SUMS").read_text(encoding="utf-8").splitlines())
    assert sums == {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in FILES}


def angle(text):
    return eval(text, {"__builtins__": {}}, {"pi": np.pi})


def run(text):
    """Outcome probabilities over c[1] c[0], by reading the file line by line without the package or Qiskit."""
    state = np.zeros((2, 2), dtype=complex)  # axes: qubit 1, qubit 0
    state[0, 0] = 1
    sx = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2
    for line in instructions(text):
        name, parameter, operands = re.fullmatch(r"(?:c\[\d\] = )?(\w+)(?:\(([^)]*)\))? (.*);", line).groups()
        qubits = [int(q) for q in re.findall(r"q\[(\d)\]", operands)]
        if name in ("barrier", "measure"):
            continue
        if len(qubits) == 1:
            turn = angle(parameter) / 2 if parameter else 0
            gate = {"x": ONE[1], "sx": sx, "rz": np.diag(np.exp([-1j * turn, 1j * turn]))}[name]
            axis = 1 - qubits[0]
            state = np.moveaxis(np.tensordot(gate, state, ([1], [axis])), 0, axis)
        else:
            assert qubits == [1, 0]
            assert parameter is None or angle(parameter) == np.pi / 2
            # first operand is the least significant bit of NATIVE_UNITARY: state as a vector over (qubit 0, qubit 1)
            state = (NATIVE_UNITARY[name] @ state.T.ravel()).reshape(2, 2).T
    return np.abs(state.ravel()) ** 2


@pytest.mark.parametrize("name", FILES)
def test_the_file_itself_gives_the_outcome_in_its_first_line(name):
    text = (FOLDER / name).read_text(encoding="utf-8")
    expected = int(re.search(r"c = ([01]{2})$", text.splitlines()[0])[1], 2)
    assert run(text)[expected] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("gate", NATIVE_UNITARY)
def test_the_interleaved_file_has_one_block_more_per_step(gate):
    texts = {arm: (FOLDER / f"{gate}-{arm}.qasm").read_text(encoding="utf-8") for arm in ("reference", "interleaved")}
    assert texts["interleaved"].count("barrier") - texts["reference"].count("barrier") == 2
    assert sum(line.startswith(gate) for line in instructions(texts["interleaved"])) >= 2
