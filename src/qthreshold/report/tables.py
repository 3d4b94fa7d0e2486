"""Pairs and qubits of a summary as tables: CSV text, safe to open in a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from qthreshold.report.words import printable

__all__ = ["pairs_csv", "qubits_csv", "to_csv"]

_FORMULA = ("=", "+", "-", "@", "|", "%", "＝", "＋", "－", "＠")
_INTERVALS = ("cnot_error", "epc", "upper_cnot_error", "p_ref", "p_int")


def pairs_csv(summary: dict[str, Any]) -> str:
    """One line a pair; errors are average gate infidelities, empty where there is none.

    Args:
        summary: As in ``summary.json``.
    """
    head = ["qubit_a", "qubit_b"]
    for name in _INTERVALS:
        head += [name, f"{name}_low", f"{name}_high"]
    head += ["level", "systematic_low", "systematic_high", "chi2_per_dof", "true_cnot_error", "status", "reason"]
    rows = []
    for e in summary["edges"]:
        row: list[Any] = [*e["edge"]]
        for name in _INTERVALS:
            row += [e[name][end] for end in ("best", "low", "high")]
        rows.append([*row, e["cnot_error"]["level"], *e["systematic"], e["chi2_per_dof"], e["true_cnot_error"], e["status"], e["reason"]])
    return to_csv(head, rows)


def qubits_csv(summary: dict[str, Any]) -> str:
    """One line a qubit; ``works`` and ``meets_*`` are probabilities, ``meets_*`` 1 for a criterion that was not measured.

    Args:
        summary: As in ``summary.json``.
    """
    meets = [name for name in summary["qubits"][0] if name.startswith("meets_")] if summary["qubits"] else []
    head = ["qubit", "works", *meets]
    for name in ("readout_error", "one_qubit_error"):
        head += [name, f"{name}_low", f"{name}_high"]
    rows = []
    for q in summary["qubits"]:
        row = [q["qubit"], q["works"], *(q[name] for name in meets)]
        for name in ("readout_error", "one_qubit_error"):
            row += [q[name][end] for end in ("best", "low", "high")]
        rows.append([*row, q["readout_error"]["level"], q["status"], q["reason"]])
    return to_csv([*head, "level", "status", "reason"], rows)


def to_csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    r"""Lines of CSV. A text that a spreadsheet would take for a formula gets an apostrophe before it; numbers stay numbers.

    Args:
        head: Names of the columns.
        rows: Numbers, texts, and None for nothing.

    Example:
        >>> to_csv(["a", "b"], [["=1+1", -0.5]])
        "a,b\n'=1+1,-0.5\n"
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([[_cell(v) for v in row] for row in (head, *rows)])
    return buffer.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = printable(re.sub(r"[\x00-\x1f\x7f]", " ", str(value)))  # one line a row
    return f"'{text}" if isinstance(value, str) and text.lstrip().startswith(_FORMULA) else text
