"""Survival: counts of standard randomized benchmarking from any control stack, as the records that a run starts from.

A table is CSV text with the columns of :data:`COLUMNS` in any order. A row is one random sequence on one target: ``qubits`` is
``3`` for one qubit or ``0-1`` for a pair, ``length`` the number of Cliffords, ``sample`` any number that tells the sequences of
a length apart, ``survived`` how many of its ``shots`` gave the expected outcome. Columns beyond these are refused, because one
that nobody reads (an arm, a flag) may change what the rows mean.

The asymptote is not fitted but 1/d, 1/2 for a qubit and 1/4 for a pair. That holds where a random final Pauli, or an equal
share of every expected outcome, made readout errors average out. Curves that end higher are estimated too low, and the fit's
own test finds them only where lengths and shots resolve the tail.

References:
    E. Magesan, J. M. Gambetta, J. Emerson, arXiv:1009.3639 (RB). R. Harper et al., arXiv:1901.00535 (random final Pauli).
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.decays import DecayTable
from qthreshold.device import UNSTATED_GATE, Device, build_device
from qthreshold.errors import InputError
from qthreshold.identity import Record
from qthreshold.plan import Plan, plan_without_circuits
from qthreshold.recipe import Criteria, Recipe

__all__ = ["COLUMNS", "HIGHEST_QUBIT", "Curves", "SurvivalTable", "parse_survival", "survival_decays", "survival_device", "survival_plan"]

Ints = npt.NDArray[np.int64]

COLUMNS = ("qubits", "length", "sample", "survived", "shots")
"""Columns of a table; all are required."""

HIGHEST_QUBIT = 100_000
"""Qubit numbers above this are taken for mistakes."""

_HIGHEST_NUMBER = 10**9
_RECIPE = Recipe.model_validate({"schema": "qthreshold/recipe/1", "name": "decays", "two_qubit": {"protocol": "plain"}})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Curves(Record):
    """Survival counts of all qubits, or of all pairs. A cell without shots was not measured.

    Attributes:
        targets: Qubits ``(N, 1)``, or pairs a < b ``(N, 2)``; sorted, each once.
        lengths: Numbers of Cliffords that occur, increasing, ``(L,)``.
        survived, shots: ``(N, L, K)``; the sequences of a length in the order of their sample numbers, which need not be contiguous.
    """

    schema: ClassVar[str] = "qthreshold/curves/1"
    targets: Ints
    lengths: Ints
    survived: Ints
    shots: Ints

    def _check(self) -> None:
        if self.survived.shape != self.shots.shape or self.shots.shape[:2] != (len(self.targets), len(self.lengths)):
            raise ValueError(
                f"survived {self.survived.shape} and shots {self.shots.shape} do not fit {len(self.targets)} targets, {len(self.lengths)} lengths"
            )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SurvivalTable(Record):
    """A parsed table."""

    schema: ClassVar[str] = "qthreshold/survival/1"
    one_qubit: Curves
    two_qubit: Curves


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    line: int
    target: tuple[int, ...]
    length: int
    sample: int
    survived: int
    shots: int


def parse_survival(text: str, name: str) -> SurvivalTable:
    r"""Read a table.

    Args:
        text: CSV with a header line. A byte order mark, any line ends and blank lines are fine.
        name: Name of the file, for messages.

    Raises:
        InputError: The table cannot be used; names the line, the column, the value and what is accepted.

    Example:
        >>> table = parse_survival("qubits,length,sample,survived,shots\n1-0,2,0,97,100\n0-1,50,0,60,100\n", "my.csv")
        >>> table.two_qubit.targets.tolist(), table.two_qubit.survived.ravel().tolist()
        ([[0, 1]], [97, 60])
    """
    rows = list(_rows(text, name))
    if not rows:
        raise InputError(f"{name} holds no rows; expected lines such as 0-1,10,0,93,100 under the header {','.join(COLUMNS)}")
    _check_repeats(rows, name)
    _check_lengths(rows, name)
    return SurvivalTable(one_qubit=_curves(rows, 1), two_qubit=_curves(rows, 2))


def _rows(text: str, name: str) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    columns: list[str] = []
    try:
        for cells in reader:
            values = [c.strip() for c in cells]
            if not any(values):
                continue
            if not columns:
                columns = _checked_header(values, f"{name}, line {reader.line_num}")
            else:
                yield _row(columns, values, reader.line_num, name)
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: not CSV: {error}") from None


def _checked_header(names: list[str], where: str) -> list[str]:
    accepted = f"accepted: {', '.join(COLUMNS)}, each once, separated by commas"
    for column in names:
        if column not in COLUMNS:
            raise InputError(f"{where}: unknown column {_shown(column)}; {accepted}")
        if names.count(column) > 1:
            raise InputError(f"{where}: column {column!r} occurs {names.count(column)} times; {accepted}")
    if missing := [c for c in COLUMNS if c not in names]:
        raise InputError(f"{where}: no column {', '.join(missing)}; {accepted}")
    return names


def _row(columns: list[str], values: list[str], line: int, name: str) -> _Row:
    where = f"{name}, line {line}"
    if len(values) != len(columns):
        raise InputError(f"{where}: {len(values)} values under {len(columns)} columns ({', '.join(columns)})")
    cell = dict(zip(columns, values, strict=True))
    number = {c: _number(cell[c], f"{where}, {c}") for c in ("length", "sample", "shots")}
    survived = _number(cell["survived"], f"{where}, survived", number["shots"], "the shots of the row")
    return _Row(line=line, target=_target(cell["qubits"], f"{where}, qubits"), survived=survived, **number)


def _number(text: str, where: str, highest: int = _HIGHEST_NUMBER, of: str = "") -> int:
    if not re.fullmatch("[0-9]{1,18}", text) or int(text) > highest:
        raise InputError(f"{where}: {_shown(text)} is not accepted; a whole number from 0 to {highest}{f' ({of})' if of else ''} is")
    return int(text)


def _target(text: str, where: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split("-")]
    if len(parts) > 2 or not all(re.fullmatch("[0-9]{1,400}", part) for part in parts):
        raise InputError(f"{where}: {_shown(text)} is not accepted; a qubit such as 3 or a pair such as 0-1 is")
    target = tuple(sorted(int(part) for part in parts))
    if target[-1] > HIGHEST_QUBIT:
        raise InputError(f"{where}: {_shown(text)} is not accepted; qubit numbers from 0 to {HIGHEST_QUBIT} are")
    if len(set(target)) < len(target):
        raise InputError(f"{where}: {_shown(text)} is not accepted; a pair has two different qubits")
    return target


def _shown(text: str) -> str:
    """A value in quotes, cut where it is long."""
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


def _said(target: Sequence[int]) -> str:
    return f"{'qubit' if len(target) == 1 else 'pair'} {'-'.join(map(str, target))}"


def _check_repeats(rows: list[_Row], name: str) -> None:
    seen: dict[tuple[tuple[int, ...], int, int], int] = {}
    for row in rows:
        first = seen.setdefault((row.target, row.length, row.sample), row.line)
        if first != row.line:
            raise InputError(
                f"{name}, line {row.line}: {_said(row.target)}, length {row.length}, sample {row.sample} was given in line {first} already;"
                " every sequence needs a sample number of its own"
            )


def _check_lengths(rows: list[_Row], name: str) -> None:
    lengths: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for row in rows:
        lengths[row.target] |= {row.length} if row.shots else set()
    for row in rows:
        if len(found := lengths[row.target]) < 2:
            held = f"shots at one length only ({min(found)})" if found else "no shots"
            raise InputError(f"{name}, line {row.line}: {_said(row.target)} has {held}; two lengths are needed to see a decay")


def _curves(rows: list[_Row], size: int) -> Curves:
    """The rows of targets of one size, as arrays."""
    cells: dict[tuple[tuple[int, ...], int], list[_Row]] = defaultdict(list)
    for row in sorted((r for r in rows if len(r.target) == size), key=lambda r: r.sample):
        cells[row.target, row.length].append(row)
    targets, lengths = sorted({t for t, _ in cells}), sorted({m for _, m in cells})
    at, column = {t: i for i, t in enumerate(targets)}, {m: j for j, m in enumerate(lengths)}
    survived = np.zeros((len(targets), len(lengths), max(map(len, cells.values()), default=0)), dtype=np.int64)
    shots = np.zeros_like(survived)
    for (target, length), cell in cells.items():
        place = (at[target], column[length], slice(len(cell)))
        survived[place], shots[place] = [r.survived for r in cell], [r.shots for r in cell]
    return Curves(
        targets=np.array(targets, dtype=np.int64).reshape(-1, size), lengths=np.array(lengths, dtype=np.int64), survived=survived, shots=shots
    )


def survival_device(table: SurvivalTable, name: str, file: str) -> Device:
    """The device as far as a table shows it: qubits and pairs that it names; qubits in between are absent.

    Args:
        table: The table.
        name: Name of the device.
        file: Name of the table's file.
    """
    pairs = table.two_qubit.targets
    named = np.union1d(table.one_qubit.targets, pairs)
    n, e = int(named.max()) + 1, len(pairs)
    unknown, silent = np.full(n, np.nan), np.full(e, np.nan)
    return build_device(
        name=name, source=f"decay table {file}", n_qubits=n, directed=pairs, gate=[UNSTATED_GATE] * e, edge_error=silent, edge_duration=silent,
        qubit_error=unknown, readout_error=unknown, pulse_duration=unknown, readout_duration=unknown, t1=unknown, t2=unknown,
        repetition_delay=0.0, job_overhead=0.0, absent_qubits=dict.fromkeys(np.setdiff1d(np.arange(n), named).tolist(), "not in the decay table"),
    )  # fmt: skip


def survival_plan(table: SurvivalTable, device: Device, criteria: Criteria) -> Plan:
    """A plan of the table's targets and lengths, without circuits: they were run elsewhere."""
    return plan_without_circuits(device, _RECIPE.model_copy(update={"criteria": criteria}), table.one_qubit.lengths, table.two_qubit.lengths)


def survival_decays(table: SurvivalTable, plan: Plan) -> DecayTable:
    """The decays of a table: no readout, no interleaved arm, and no one-qubit shots for qubits that occur in pairs only.

    Args:
        table: The table.
        plan: Its plan, from :func:`survival_plan`.
    """
    one, two = table.one_qubit, table.two_qubit
    nothing = np.zeros((len(plan.qubits), 2), dtype=np.int64)
    survived, shots = (_spread(np.searchsorted(plan.qubits, one.targets[:, 0]), x, len(plan.qubits)) for x in (one.survived, one.shots))
    arms = {name: np.stack([x, np.zeros_like(x)]) for name, x in (("survived", two.survived), ("shots", two.shots))}
    return DecayTable(
        plan_id=plan.id, qubits=plan.qubits, edges=plan.edges, readout_wrong=nothing, readout_shots=nothing,
        one_qubit_lengths=one.lengths, one_qubit_survived=survived, one_qubit_shots=shots,
        one_qubit_expected=np.zeros(shots.shape, dtype=np.uint8),
        two_qubit_lengths=two.lengths, two_qubit_survived=arms["survived"], two_qubit_shots=arms["shots"],
        two_qubit_expected=np.zeros(arms["shots"].shape, dtype=np.uint8),
    )  # fmt: skip


def _spread(rows: Ints, values: Ints, size: int) -> Ints:
    """Values at their rows, 0 elsewhere."""
    out = np.zeros((size, *values.shape[1:]), dtype=np.int64)
    out[rows] = values
    return out
