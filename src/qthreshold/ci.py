"""The job of a pipeline: hold a finished run against its gate and its baseline, and keep what came out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qthreshold.check import CheckResult
from qthreshold.comparison import Comparison, compare_measurements
from qthreshold.device import Device
from qthreshold.drift import DeviceDrift, find_drift
from qthreshold.errors import InputError, StoreError
from qthreshold.gate import Gate, run_gate, unreadable
from qthreshold.measurements import METRICS, Measurements, make_measurements
from qthreshold.result import RunRecords
from qthreshold.store import RunDirectory
from qthreshold.workflow import load_result

if TYPE_CHECKING:
    from qthreshold.history import History

__all__ = ["check", "compare", "device_of", "drift_of", "from_history", "measured"]


Run = RunRecords | str | Path
"""A finished run: its result, or its directory."""


def measured(run: Run) -> Measurements:
    """The numbers of a run, given as its result or its directory.

    Raises:
        InputError: There is no run directory of that name.
        StoreError: The run is not finished, or damaged.
    """
    return make_measurements(run if isinstance(run, RunRecords) else load_result(RunDirectory.open(Path(run))))


def compare(before: Run | Sequence[Run], after: Run, *, max_regression: float = 0.05, fdr: float = 0.05) -> Comparison:
    """Whether a device got worse between two runs, pair by pair and qubit by qubit.

    Args:
        before: The baseline: a result, a run directory, or several of them, whose scatter then counts as ordinary.
        after: The run that is compared.
        max_regression: Relative change for the worse that is tolerated.
        fdr: Expected share of false ones among the changes that are called worse.

    Raises:
        InputError: There is no such run, one is of another device or was measured otherwise, or one is the run itself.
        StoreError: A run is not finished, or damaged.

    Example:
        >>> import qthreshold as qt
        >>> comparison = qt.compare("runs/monday", "runs/tuesday")  # doctest: +SKIP
        >>> [c.title for c in comparison.having("worse")]  # doctest: +SKIP
        ['cnot_error 3-4']
    """
    earlier = [before] if isinstance(before, Run) else list(before)
    if not earlier:
        raise ValueError("a baseline has at least one run")
    old, new = [measured(b) for b in earlier], measured(after)
    if new.run_id in {m.run_id for m in old}:
        raise InputError(f"run {new.run_id} is its own baseline; name another run")
    return compare_measurements(old, new, max_regression=max_regression, fdr=fdr)


def check(
    directory: str | Path, gate: Gate | None = None, *, history: "History | None" = None, about: Mapping[str, str] | None = None, first: bool = False,
    lost: str = "",
) -> CheckResult:  # fmt: skip
    """Hold a run against a gate.

    A run that is not finished or is damaged gives a result too: a fault of the infrastructure. So does a baseline that cannot be read, beside
    all that is decided without it.

    Args:
        directory: The run directory.
        gate: Rules, limits, baseline and tolerances; by default all rules of the run, no limit and no baseline.
        history: Where earlier runs are, for the baselines ``last-good`` and ``last:N``.
        about: Further properties to note, such as the name of the gate file.
        first: Whether this may be the first run in the history, which no baseline precedes.
        lost: Why the history cannot be read, if so.

    Raises:
        InputError: There is no run directory, the baseline does not exist or is foreign, or the gate names what the run has not.
    """
    gate = Gate() if gate is None else gate
    run = RunDirectory.open(Path(directory))
    try:
        result = load_result(run)
    except StoreError as error:
        return unreadable(run.path.resolve().name, str(error), gate, device=device_of(run))
    baseline: list[Measurements] = []
    if not lost:
        try:
            baseline = _baseline(gate, result, history, first=first)
        except StoreError as error:
            lost = str(error)
    return run_gate(result, gate, baseline, about={"baseline": _named(gate), **(about or {})}, lost=lost)


def device_of(run: RunDirectory) -> str:
    """The device of a run of which nothing else may be readable; empty where that is not either."""
    try:
        return run.read_record("device.json", Device).name
    except StoreError:
        return ""


def drift_of(history: "History", device: str, last: int = 200) -> DeviceDrift:
    """What the history says of a device.

    Args:
        history: Where its runs are.
        device: Its name.
        last: How many of the newest runs are looked at.

    Raises:
        InputError: The history holds no run of it.
    """
    history.runs(device, last=1)
    having = history.metrics(device)
    series = tuple(s for metric in METRICS if metric in having for s in history.all_series(device, metric, last))
    return DeviceDrift(device=device, series=series, drifts=find_drift(series, among=having))


def _baseline(gate: Gate, result: RunRecords, history: "History | None", *, first: bool) -> list[Measurements]:
    wanted, run_id = gate.baseline, result.header["run_id"]
    if wanted is None:
        return []
    if not from_history(gate):
        found = measured(wanted)
        if found.run_id == run_id:
            raise InputError(f"baseline {wanted} is the run itself")
        return [found]
    if history is None:
        raise InputError(f"baseline {wanted} is taken from the history: name it with --history")
    try:
        earlier = history.baseline(result.device.name, wanted, before=run_id)
    except InputError:
        if not first:
            raise
        return []
    context = measured(result).context
    same = [m for m in earlier if m.context == context]
    return same if same or first else earlier[:1]  # which is refused, with what differs


def _named(gate: Gate) -> str:
    """The baseline without its place on this machine."""
    return (gate.baseline if from_history(gate) else Path(gate.baseline).name) if gate.baseline is not None else "none"


def from_history(gate: Gate) -> bool:
    """Whether the baseline of a gate is taken from the history."""
    return gate.baseline is not None and (gate.baseline == "last-good" or gate.baseline.startswith("last:"))
