import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.report.summary import make_summary
from qthreshold.report.tables import pairs_csv, qubits_csv, to_csv
from qthreshold.report.words import printable
from reference.reports import grid_run, one_pair_lost

CELL = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def read(text):
    return list(csv.reader(io.StringIO(text, newline="")))


@given(rows=st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=5))
def test_no_cell_starts_a_formula_and_every_cell_comes_back(rows):
    head, *found = read(to_csv(["a", "=b"], rows))
    assert head == ["a", "'=b"]
    assert len(found) == len(rows)
    for given_row, row in zip(rows, found, strict=True):
        for value, cell in zip(given_row, row, strict=True):
            assert is_number(cell) or not cell.lstrip().startswith(("=", "+", "-", "@"))
            if isinstance(value, str):
                line = printable(re.sub(r"[\x00-\x1f\x7f]", " ", value))
                assert cell in (line, f"'{line}")
            elif value is None:
                assert cell == ""
            else:
                assert float(cell) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("attack", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "  =1", "\r=1", "＝1"])
def test_a_reason_that_is_a_formula_is_text(attack):
    run = grid_run()
    s = make_summary(run)
    s["edges"][0]["reason"] = s["qubits"][0]["reason"] = attack
    for text in (pairs_csv(s), qubits_csv(s)):
        assert read(text)[1][-1].replace("\t", " ") == f"'{attack.replace(chr(9), ' ').replace(chr(13), ' ')}"


def test_tables_hold_every_pair_and_qubit_with_the_numbers_of_the_summary():
    run = grid_run(change=one_pair_lost)
    s = make_summary(run)
    head, *rows = read(pairs_csv(s))
    assert len(rows) == len(s["edges"])
    by_name = [dict(zip(head, row, strict=True)) for row in rows]
    for row, e in zip(by_name, s["edges"], strict=True):
        assert [int(row["qubit_a"]), int(row["qubit_b"])] == e["edge"]
        assert row["status"] == e["status"]
        if e["cnot_error"]["best"] is None:
            assert row["cnot_error"] == ""
        else:
            assert float(row["cnot_error"]) == pytest.approx(e["cnot_error"]["best"], rel=1e-5)
            assert float(row["true_cnot_error"]) == pytest.approx(e["true_cnot_error"], rel=1e-5)
    assert by_name[0]["cnot_error"] == ""
    head, *rows = read(qubits_csv(s))
    assert [int(r[0]) for r in rows] == list(range(run.device.n_qubits))
