import io
import random

import pytest
from rich.console import Console

from qthreshold.report.text import frontier_table, render

NOTHING = {"low": None, "best": None, "high": None, "level": 0.95}


def interval(best):
    return {"low": 0.9 * best, "best": best, "high": 1.1 * best, "level": 0.95}


def summary_of(qubits, pairs):
    """A summary of a device whose pairs have errors of 1e-3 to 2e-3."""
    return {
        "device": {"name": "big", "source": "test", "n_qubits": qubits, "n_edges": pairs, "two_qubit_gate": "cz"},
        "qubits": [
            {"qubit": q, "works": 1.0, "readout_error": interval(0.01), "one_qubit_error": interval(1e-4), "status": "ok", "reason": None}
            for q in range(qubits)
        ],
        "not_measured": {"readout_error": [], "one_qubit_error": []},
        "edges": [
            {"edge": [i, i + 1], "cnot_error": interval(1e-3 * (1 + i / pairs)), "status": "ok", "reason": None, "counted": True,
             "true_cnot_error": 1.5e-3}
            for i in range(pairs)
        ],
        "working_qubits": interval(qubits), "connected_working_qubits": interval(qubits), "connected": "measured",
        "cnot_error": {
            "estimate": "interleaved", "mean": interval(1.5e-3), "median": interval(1.5e-3), "best": interval(1e-3), "worst": interval(2e-3),
            "systematic": [0.0, 1e-2], "true_mean": 1.5e-3, "failed_edges": 0, "interpretation": {},
        },
        "verdicts": [], "disagreements": [],
        "cost": {"circuits": 10, "executions": 100, "estimated_qpu_seconds": 1.0, "actual_qpu_seconds": None, "wall_seconds": {}},
    }  # fmt: skip


def printed(what):
    console = Console(file=io.StringIO(), width=80)
    console.print(what)
    return console.file.getvalue()


def test_a_report_of_ten_thousand_troubled_qubits_fits_on_two_pages():
    summary, rng = summary_of(10_000, 9_999), random.Random(1)
    for q in rng.sample(summary["qubits"], 3_000):
        found = rng.uniform(0.011, 0.1)
        q |= {"works": 0.0, "status": "not_working", "reason": f"one-qubit error {found:.2g} above the criterion 0.01"}
    for e in rng.sample(summary["edges"], 2_000):
        e |= {"cnot_error": NOTHING, "status": "poor_fit", "reason": "the points do not follow A p^m + B"}
    for e in rng.sample(summary["edges"], 1_000):
        e |= {"status": "no_decay", "reason": "no decay seen"}
    text = printed(render(summary, "out"))
    assert len(text.splitlines()) < 60
    assert max(map(len, text.splitlines())) <= 80
    for words in ("10,000 connected", "10,000 and 9,999 (cz)", "not working: one-qubit error 0.011 to", "above the criterion 0.01", "2,997"):
        assert words in text, words


def test_many_pairs_are_summed_up_and_few_are_not():
    assert "nine in ten pairs" in printed(render(summary_of(101, 100), "out"))
    assert "1.05e-3 to 1.94e-3" in printed(render(summary_of(101, 100), "out"))
    assert "nine in ten" not in printed(render(summary_of(100, 99), "out"))


@pytest.mark.parametrize(("reasons", "words"), [
    (["dead", "dead", "readout error 0.3 above the criterion 0.2"], ["qubit 0, qubit 1", "readout error 0.3 above"]),
    (["readout error 0.3 above the criterion 0.2", "readout error 0.25 above the criterion 0.2", "dead"], ["0.25 to 0.3 above"]),
    (["one-qubit error 1e-05 above the criterion 1e-06", "one-qubit error 0.02 above the criterion 1e-06", "dead"], ["1e-05 to 0.02 above"]),
    (["one-qubit error 0.02 above the criterion 0.01", "readout error 0.3 above the criterion 0.2", "dead"], ["0.02 above", "0.3 above", "dead"]),
])  # fmt: skip
def test_qubits_that_miss_the_same_criterion_share_a_line(reasons, words):
    summary = summary_of(20, 19)
    for q, reason in zip(summary["qubits"], reasons, strict=False):
        q |= {"works": 0.0, "status": "off", "reason": reason}
    text = " ".join(printed(render(summary, "out")).split())
    for word in words:
        assert word in text


def test_the_most_frequent_reason_comes_first():
    summary = summary_of(20, 19)
    for q, reason in zip(summary["qubits"], ["rare", "often", "often"], strict=False):
        q |= {"works": 0.0, "status": "off", "reason": reason}
    text = printed(render(summary, "out"))
    assert text.index("often") < text.index("rare")


def test_registers_of_thousands_of_qubits_are_cut_and_small_ones_are_not():
    sizes = [50, 3_000]
    frontier = {
        "reason": None, "sizes": sizes, "picked": [1e-3, 2e-3], "bound": [1e-3, 2e-3],
        "cnot_error": {"low": [1e-3, 2e-3], "best": [1e-3, 2e-3], "high": [1e-3, 2e-3]},
        "registers": {"50": list(range(0, 100, 2)), "3000": list(range(0, 9_000, 3))},
    }  # fmt: skip
    text = " ".join(printed(frontier_table(frontier, sizes)).split())
    assert "96, 98 3,000 qubits: 0, 3" in text
    assert "177 and 2,940 more, see --json" in text
