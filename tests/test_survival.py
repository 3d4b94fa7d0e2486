"""Tables of survival counts: what is read is what was written, and what cannot be used says why."""

import importlib.util
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.datafiles import shipped
from qthreshold.errors import InputError
from qthreshold.fits import make_fits
from qthreshold.numerics.rates import upper_cnot_error
from qthreshold.recipe import Criteria
from qthreshold.survival import COLUMNS, HIGHEST_QUBIT, parse_survival, survival_decays, survival_device, survival_plan

HEAD = "qubits,length,sample,survived,shots\n"
PAIR = "0-1,1,0,90,100\n0-1,30,0,60,100\n"


def rows_of(table):
    """{(target, length, rank of the sample): (survived, shots)} of all cells with shots."""
    out = {}
    for curves in (table.one_qubit, table.two_qubit):
        for i, j, k in zip(*np.nonzero(curves.shots), strict=True):
            key = (tuple(curves.targets[i].tolist()), int(curves.lengths[j]), int(k))
            out[key] = (int(curves.survived[i, j, k]), int(curves.shots[i, j, k]))
    return out


@st.composite
def tables(draw):
    """{(target, length, sample): (survived, shots)} with two lengths or more for every target."""
    qubit = st.integers(0, HIGHEST_QUBIT)
    target = st.one_of(st.tuples(qubit), st.tuples(qubit, qubit).filter(lambda t: t[0] != t[1]).map(lambda t: tuple(sorted(t))))
    out = {}
    for t in draw(st.lists(target, min_size=1, max_size=4, unique=True)):
        for m in draw(st.lists(st.integers(0, 10**9), min_size=2, max_size=4, unique=True)):
            for k in draw(st.lists(st.integers(0, 10**9), min_size=1, max_size=3, unique=True)):
                shots = draw(st.integers(1, 10**9))
                out[t, m, k] = (draw(st.integers(0, shots)), shots)
    return out


def as_csv(rows, columns=COLUMNS, end="\n"):
    lines = [",".join(columns)]
    for (target, length, sample), (survived, shots) in rows:
        values = dict(zip(COLUMNS, ("-".join(map(str, target)), length, sample, survived, shots), strict=True))
        lines.append(",".join(str(values[c]) for c in columns))
    return end.join(lines) + end


def ranked(rows):
    """The same with the sample's number replaced by its rank within target and length."""
    cells = {}
    for (target, length, sample), value in rows.items():
        cells.setdefault((target, length), []).append((sample, value))
    return {(*cell, k): value for cell, found in cells.items() for k, (_, value) in enumerate(sorted(found))}


@given(tables(), st.permutations(COLUMNS), st.sampled_from(["\n", "\r\n", "\r", "\n\n"]), st.sampled_from(["", "\ufeff"]), st.data())
def test_any_table_comes_back_as_it_was_written(rows, columns, end, mark, data):
    shuffled = data.draw(st.permutations(list(rows.items())))
    assert rows_of(parse_survival(mark + as_csv(shuffled, columns, end), "x.csv")) == ranked(rows)


@given(tables(), st.data())
def test_damaged_text_is_a_table_or_an_input_error_in_one_line(rows, data):
    text = as_csv(rows.items())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(st.text(max_size=3)) + text[at + data.draw(st.integers(0, 3)) :]
    try:
        message = "" if rows_of(parse_survival(text, "x.csv")) else "an empty table"
    except InputError as error:
        message = str(error)
    assert message == "" or (message.startswith("x.csv") and len(message.splitlines()) == 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no rows"), ("\n \n", "no rows"), (HEAD, "no rows"),
        ("qubits,length,survived,shots\n" + PAIR, "line 1: no column sample; accepted: qubits, length, sample, survived, shots"),
        (HEAD.replace("shots", "shots,arm"), "line 1: unknown column 'arm'; accepted"),
        (HEAD.replace("shots", "shots,shots"), "line 1: column 'shots' occurs 2 times"),
        ((HEAD + PAIR).replace(",", ";"), "unknown column 'qubits;length;sample;survived;shots'; accepted: .* separated by commas"),
        (PAIR, "line 1: unknown column '0-1'"),
        (HEAD + "0-1,1,0,90\n", r"line 2: 4 values under 5 columns \(qubits, length"),
        (HEAD + PAIR + "\n0-1,50,0,90.0,100\n", r"line 5, survived: '90.0' is not accepted; a whole number from 0 to 100 \(the shots of the row\)"),
        (HEAD + "0-1,1,0,101,100\n", "line 2, survived: '101' .* 0 to 100"), (HEAD + "0-1,1,0,NaN,100\n", "line 2, survived: 'NaN'"),
        (HEAD + "0-1,1,0,-1,100\n", "line 2, survived: '-1'"), (HEAD + "0-1,1.5,0,90,100\n", "line 2, length: '1.5'"),
        (HEAD + "0-1,1,0,90,1e2\n", "line 2, shots: '1e2'"), (HEAD + "0-1,1,,90,100\n", "line 2, sample: ''"),
        (HEAD + "0-1,\u0661,0,90,100\n", "line 2, length"), (HEAD + "0-1,1,0,90,9999999999\n", "line 2, shots: .* to 1000000000"),
        (HEAD + "3-3,1,0,90,100\n", "line 2, qubits: '3-3' is not accepted; a pair has two different qubits"),
        (HEAD + "0-1-2,1,0,90,100\n", "line 2, qubits: '0-1-2' .* a qubit such as 3 or a pair such as 0-1"),
        (HEAD + "q0,1,0,90,100\n", "line 2, qubits: 'q0'"), (HEAD + "100001,1,0,9,10\n", "line 2, qubits: '100001' .* from 0 to 100000"),
        (HEAD + "9" * 30 + ",1,0,9,10\n", "line 2, qubits: '9{30}' .* from 0 to 100000"),
        (HEAD + "9" * 5000 + ",1,0,9,10\n", "line 2, qubits: '9{40}"),
        (HEAD + PAIR + "1-0,30,0,60,100\n", "line 4: pair 0-1, length 30, sample 0 was given in line 3"),
        (HEAD + "5,1,0,90,100\n5,1,1,90,100\n", r"line 2: qubit 5 has shots at one length only \(1\); two lengths are needed"),
        (HEAD + PAIR + "2,1,0,0,0\n2,9,0,0,0\n", "line 4: qubit 2 has no shots; two lengths are needed"),
        (HEAD + "0-1,1,0," + "9" * 200_000 + ",100\n", "line 2: not CSV: field larger"),
        (HEAD + "0-1,1,0," + "9" * 100_000 + ",100\n", r"line 2, survived: '9{40}\.\.\.' is not"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_used_says_where_and_what_is_accepted(text, words):
    with pytest.raises(InputError, match=words) as caught:
        parse_survival(text, "my.csv")
    assert str(caught.value).startswith("my.csv")
    assert len(str(caught.value)) < 300


def test_pairs_in_either_order_spaces_and_blank_lines_are_fine():
    table = parse_survival("\ufeff" + HEAD + " 1-0 , 1, 0, 90, 100\r\n\r\n,,,,\r\n0 - 1,30,7,60,100\r\n\r\n", "x.csv")
    assert rows_of(table) == {((0, 1), 1, 0): (90, 100), ((0, 1), 30, 0): (60, 100)}


def test_lengths_and_samples_may_differ_between_targets():
    text = HEAD + "0-1,30,9,60,100\n0-1,1,4,90,100\n1-2,8,0,80,100\n1-2,2,5,85,100\n1-2,8,3,70,100\n"
    two = parse_survival(text, "x.csv").two_qubit
    assert two.lengths.tolist() == [1, 2, 8, 30]
    assert two.shots.tolist() == [[[100, 0], [0, 0], [0, 0], [100, 0]], [[0, 0], [100, 0], [100, 100], [0, 0]]]
    assert two.survived[1, 2].tolist() == [80, 70]


def records(text, file="x.csv"):
    table = parse_survival(text, file)
    device = survival_device(table, "mine", file)
    plan = survival_plan(table, device, Criteria())
    return device, plan, survival_decays(table, plan)


def test_the_device_holds_what_the_table_names_and_the_plan_nothing_to_run():
    device, plan, decays = records(HEAD + "4-2,1,0,90,100\n4-2,30,0,60,100\n6,1,0,99,100\n6,200,0,80,100\n")
    assert (device.name, device.source, device.n_qubits) == ("mine", "decay table x.csv", 7)
    assert device.usable_qubits.tolist() == [2, 4, 6]
    assert device.qubit_reason[3] == "not in the decay table"
    assert device.edges.tolist() == [[2, 4]]
    assert device.two_qubit_gate == "unstated"
    assert (plan.n_circuits, plan.recipe["name"], plan.context, plan.seed) == (0, "decays", "unstated", 0)
    assert (plan.one_qubit_lengths.tolist(), plan.two_qubit_lengths.tolist()) == ([1, 200], [1, 30])
    assert decays.one_qubit_shots[:, :, 0].tolist() == [[0, 0], [0, 0], [100, 100]]
    assert decays.two_qubit_survived[:, 0, :, 0].tolist() == [[90, 60], [0, 0]]
    assert not decays.readout_shots.any()


def test_exact_counts_give_the_upper_estimate_of_their_decay():
    m = (1, 40, 120)
    lines = [f"0-1,{n},{k},{round(10**8 * (0.7 * 0.985**n + 0.25))},{10**8}" for n in m for k in range(4)]
    fits = make_fits(records(HEAD + "\n".join(lines))[2], 0.95)
    assert fits.cnot[0, 0] == pytest.approx(float(upper_cnot_error(0.985)), rel=1e-5)


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("make_example_decays", shipped("circuits") / "make_example_decays.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_shipped_example_is_what_its_script_writes(example):
    assert (shipped("circuits") / "example-decays.csv").read_text(encoding="utf-8") == example.table()


def test_the_shipped_example_is_found_above_its_truth_by_the_share_of_the_pulses(example):
    fits = make_fits(records(example.table())[2], 0.95)
    assert set(fits.edge_status) | set(fits.qubit_status) == {"ok"}
    expected = [float(upper_cnot_error(p)) for _, p, n in example.curves() if n == 2]
    assert (np.abs(fits.cnot[:, 0] - expected) < 4 * fits.cnot_error).all()
    assert (np.array(expected) > list(example.CNOT_ERROR.values())).all()
    assert re.search("simulated from the truth", example.__doc__)
