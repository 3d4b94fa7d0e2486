"""The job from start to end: plan, submit, collect, analyse, judge, report, each on a run directory.

Every stage reads its inputs from the directory and writes its output there, so any stage can be repeated alone, and a
run that was interrupted goes on where it stopped.
"""

import contextlib
import dataclasses
import datetime
import functools
import hashlib
import importlib.metadata
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from qthreshold import rulebook
from qthreshold.assess import Assessment, assess, changed_criteria, checked_confidence
from qthreshold.backends import open_backend
from qthreshold.backends.base import Backend
from qthreshold.backends.noise import Truth
from qthreshold.circuits.native import NATIVE_UNITARY, block_element
from qthreshold.counts import Counts, add_counts, no_counts
from qthreshold.datafiles import load_named, read_bytes
from qthreshold.decays import DecayTable, make_decays
from qthreshold.device import Device
from qthreshold.errors import InputError, StoreError
from qthreshold.evidence import run_evidence
from qthreshold.fits import FittedErrors, make_fits
from qthreshold.frontier import Frontier, make_frontier
from qthreshold.identity import Record, content_id
from qthreshold.interpretation import Interpretation
from qthreshold.metrics import DeviceMetrics, make_metrics
from qthreshold.numerics.graphs import largest_components
from qthreshold.plan import Plan, PlanCost, make_plan, plan_cost, seed_rng
from qthreshold.recipe import Criteria, Recipe
from qthreshold.report.summary import make_summary
from qthreshold.store import RunDirectory
from qthreshold.survival import HIGHEST_QUBIT, SurvivalTable, parse_survival, survival_decays, survival_device, survival_plan
from qthreshold.ticket import Ticket, make_tickets
from qthreshold.verdict import Verdicts

__all__ = [
    "DEFAULT_BACKEND", "DEFAULT_RECIPE", "RunResult", "analyse", "assess_run", "collect", "default_directory", "ingest", "judge_run", "load_recipe",
    "load_result", "make_run", "measured_elsewhere", "read_header", "report", "resume", "run", "software_versions", "submit",
]  # fmt: skip

DEFAULT_BACKEND = "aer:heron-133"
DEFAULT_RECIPE = "default"

_TABLE = "decays:"  # in place of a backend spec in the header of a run whose survival counts were measured elsewhere; its file follows
_METRICS_STREAM, _FRONTIER_STREAM = 3, 4  # spawn keys of the draws behind metrics and frontier; 0 to 2 belong to plan and simulation


R = TypeVar("R", bound=Record)


class Watcher(Protocol):
    """Told how a run goes on; the command line shows it as progress bars."""

    def stage(self, name: str, total: int) -> None:
        """A stage begins; ``total`` is the number of units it will work through, 0 if unknown."""
        ...

    def advance(self, done: int) -> None:
        """Units finished since the last call."""
        ...


class _Silent:
    def stage(self, name: str, total: int) -> None: ...

    def advance(self, done: int) -> None: ...


SILENT: Watcher = _Silent()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """All records of a finished run."""

    directory: Path
    device: Device
    plan: Plan
    decays: DecayTable
    fits: FittedErrors
    metrics: DeviceMetrics
    frontier: Frontier
    verdicts: Verdicts
    truth: Truth | None
    header: dict[str, Any]
    seconds: dict[str, float]

    @property
    def cost(self) -> PlanCost:
        """What the plan costs on a machine of this kind."""
        return plan_cost(self.plan, self.device)

    def summary(self) -> dict[str, Any]:
        """The summary, as in ``summary.json`` (schema ``qthreshold/summary/1``)."""
        return make_summary(
            header=self.header, device=self.device, plan=self.plan, fits=self.fits, metrics=self.metrics, frontier=self.frontier,
            verdicts=self.verdicts, truth=self.truth, cost=self.cost, seconds=self.seconds,
        )  # fmt: skip


@functools.cache
def software_versions() -> dict[str, str]:
    """Versions of everything that a result depends on."""
    names = ("qthreshold", "numpy", "scipy", "qiskit", "qiskit-aer", "rustworkx")
    return {"python": platform.python_version(), **{n: importlib.metadata.version(n) for n in names}}


def load_recipe(spec: str, criteria: Mapping[str, float] | None = None) -> Recipe:
    """A shipped recipe by name, or a user's by path; ``criteria`` for a working qubit take the place of the recipe's.

    Raises:
        InputError: It does not exist or is not valid, or a criterion is not.
    """
    recipe = load_named("circuits", spec, Recipe, "recipe")
    return recipe.model_copy(update={"criteria": changed_criteria(recipe.criteria, criteria)})


def default_directory(backend: str, now: datetime.datetime | None = None) -> Path:
    """Where a run goes when nobody says: ``qthreshold-runs/DEVICE-DATE-TIME``."""
    stamp = (now or datetime.datetime.now()).strftime("%Y%m%d-%H%M%S")  # local time, for people
    base = Path("qthreshold-runs") / f"{Path(backend.partition(':')[2] or backend).stem}-{stamp}"
    path, number = base, 2
    while path.exists():
        path, number = base.with_name(f"{base.name}-{number}"), number + 1
    return path


def make_run(
    out: Path, *, backend: Backend, recipe: Recipe, seed: int, confidence: float = 0.95,
    rules: Sequence[str] | None = None, as_of: datetime.date | None = None, rules_dir: Path | None = None,
) -> RunDirectory:  # fmt: skip
    """Plan a run and write it to a new directory.

    Args:
        out: Directory to make.
        backend: What to run on.
        recipe: What to measure.
        seed: Seed of everything random, at least 0.
        confidence: Level of all intervals and of the verdicts, between 0.5 and 1.
        rules: Ids of the instruments; all by default.
        as_of: Day to judge on; today by default.
        rules_dir: Directory with rule files of your own, beside the shipped ones; those used are kept in the run.

    Raises:
        InputError: The confidence or a rule is not valid.
        RunExistsError: The directory holds something.
    """
    started = time.monotonic()
    terms = _Terms.checked(confidence, rules, as_of, rules_dir)
    if seed < 0:
        raise InputError(f"the seed must not be negative, got {seed}")
    device = backend.device
    try:
        plan = make_plan(device, recipe, seed, {g: block_element(recipe.two_qubit.gate, g) for g in NATIVE_UNITARY})
    except ValueError as error:
        raise InputError(str(error)) from None
    directory = RunDirectory.create(out)
    _write(directory, "device.json", device)
    truth = backend.truth(plan.block)
    if truth is not None:
        _write(directory, "truth.json", truth)
    _write(directory, "plan.npz", plan)
    _keep_own_rules(directory, terms.rules, rules_dir)
    _write_header(directory, plan, terms, backend=backend.spec, backend_state=backend.state)
    _took(directory, "plan", started)
    return directory


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """What a run is judged by, as its header keeps it."""

    created_at: datetime.datetime
    confidence: float
    rules: list[str]
    as_of: datetime.date

    @classmethod
    def checked(cls, confidence: float, rules: Sequence[str] | None, as_of: datetime.date | None, rules_dir: Path | None) -> "_Terms":
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        chosen = rulebook.load_instruments(list(rules) if rules is not None else None, rules_dir)
        return cls(created_at=now, confidence=checked_confidence(confidence), rules=[i.id for i in chosen], as_of=as_of or now.date())


def _keep_own_rules(directory: RunDirectory, rules: Sequence[str], rules_dir: Path | None) -> None:
    """Copy the rule files that are not shipped into the run, so that it can be judged anywhere."""
    if rules_dir is not None:
        for rule in sorted(set(rules) - set(rulebook.rule_ids())):
            directory.write_file(f"rules/{rule}.toml", read_bytes(rules_dir / f"{rule}.toml", "rule file"))


def _write_header(directory: RunDirectory, plan: Plan, terms: _Terms, **origin: Any) -> None:
    """Write ``run.json``, which makes the directory a run; ``origin`` says where the counts come from."""
    header: dict[str, Any] = {
        "schema": "qthreshold/run/1", "created_at": terms.created_at.isoformat().replace("+00:00", "Z"), **origin, "plan_id": plan.id,
        "confidence": terms.confidence, "rules": terms.rules, "as_of": terms.as_of.isoformat(), "software": software_versions(),
    }  # fmt: skip
    directory.write_json("run.json", header | {"run_id": _run_id(header)})


def ingest(
    out: Path, decays: Path, *, name: str | None = None, connected: int | None = None, confidence: float = 0.95,
    rules: Sequence[str] | None = None, as_of: datetime.date | None = None, rules_dir: Path | None = None,
    criteria: Mapping[str, float] | None = None,
) -> RunResult:  # fmt: skip
    """A finished run from a table of survival counts that were measured elsewhere, by standard RB.

    Without an interleaved arm the C-NOT errors are upper estimates. The table is kept in the run as ``decays.csv``; all else
    follows from it.

    Args:
        out: Directory to make.
        decays: CSV file, as :mod:`qthreshold.survival` describes it.
        name: Name of the device; the stem of the file by default.
        connected: Number of connected working qubits as the maker states it; by default those are counted that the pairs of the
            table connect.
        confidence: Level of all intervals and of the verdicts, between 0.5 and 1.
        rules: Ids of the instruments; all by default.
        as_of: Day to judge on; today by default.
        rules_dir: Directory with rule files of your own, beside the shipped ones.
        criteria: What counts as working, where it differs from the defaults of :class:`.recipe.Criteria`.

    Raises:
        InputError: The table, the confidence, a rule or the number of qubits cannot be used.
        RunExistsError: The directory holds something.
    """
    started = time.monotonic()
    terms, limits = _Terms.checked(confidence, rules, as_of, rules_dir), changed_criteria(Criteria(), criteria)
    data = read_bytes(decays, "decay table")
    table = _parse_table(data, str(decays))
    device = survival_device(table, name or decays.stem, decays.name)
    _check_connected(connected, device, decays)
    plan = survival_plan(table, device, limits)
    directory = RunDirectory.create(out)
    _write(directory, "device.json", device)
    _write(directory, "plan.npz", plan)
    directory.write_file("decays.csv", data)
    _keep_own_rules(directory, terms.rules, rules_dir)
    _write_header(directory, plan, terms, backend=f"{_TABLE}{decays.name}", backend_state=hashlib.sha256(data).hexdigest(), connected=connected)
    _took(directory, "ingest", started)
    analyse(directory)
    judge_run(directory)
    return report(directory)


def _parse_table(data: bytes, name: str) -> SurvivalTable:
    try:
        return parse_survival(data.decode(), name)
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text ({error.reason} at byte {error.start}); save it as CSV in UTF-8") from None


def _check_connected(stated: int | None, device: Device, decays: Path) -> None:
    """A stated number must not contradict the table, and without one there must be something to count."""
    if stated is None:
        if not len(device.edges):
            raise InputError(f"{decays} names no pair (such as 0-1) that connects qubits; add two-qubit RB, or state their number with --connected")
        return
    joined = int(_usable_component(device).sum())
    if not joined <= stated <= HIGHEST_QUBIT:
        why = f" (joined by the pairs in {decays})" if len(device.edges) else ""
        raise InputError(f"--connected {stated} is not accepted; a number from {joined}{why} to {HIGHEST_QUBIT} is")


def measured_elsewhere(directory: RunDirectory) -> bool:
    """Whether a run was made from a decay table, so that there is nothing to submit or collect."""
    return _is_table(read_header(directory))


def _is_table(header: Mapping[str, Any]) -> bool:
    return bool(header["backend"].startswith(_TABLE))


def _took(directory: RunDirectory, stage: str, started: float, *, add: bool = False) -> None:
    """Note how long a stage took: once, so that repeating a stage changes nothing; ``add`` sums up over resumed parts."""
    seconds = directory.read_json("timing.json") if directory.has("timing.json") else {}
    if stage not in seconds or add:
        seconds[stage] = round(seconds.get(stage, 0.0) + time.monotonic() - started, 3)
        directory.write_json("timing.json", seconds)


def _write(directory: RunDirectory, name: str, record: Record) -> None:
    directory.write_record(name, record, software=software_versions())


def _read(directory: RunDirectory) -> tuple[dict[str, Any], Device, Plan]:
    header = read_header(directory)
    plan = _child(directory, "plan.npz", Plan, id=header["plan_id"])
    return header, _child(directory, "device.json", Device, id=plan.device_id), plan


def _child(directory: RunDirectory, name: str, cls: type[R], **expected: str) -> R:
    """A record, after checking that it belongs to the records before it.

    Raises:
        StoreError: It comes from another run.
    """
    record = directory.read_record(name, cls)
    for field, wanted in expected.items():
        if getattr(record, field) != wanted:
            raise StoreError(f"{directory.path / name} belongs to another run; put back the right one, or delete it and resume")
    return record


@contextlib.contextmanager
def _working_on(directory: RunDirectory) -> Iterator[None]:
    """One process at a time, on a directory that agrees with its manifest."""
    with directory.locked():
        directory.seal()
        yield


def read_header(directory: RunDirectory) -> dict[str, Any]:
    """``run.json``: backend, confidence, rules and day, as they were when the run started.

    Raises:
        StoreError: It is missing or was changed.
    """
    header = directory.read_json("run.json")
    if header.get("run_id") != _run_id(header):
        raise StoreError(f"{directory.path / 'run.json'} was changed: its content does not match its run_id; restore it or start a new run")
    return header


def _run_id(header: Mapping[str, Any]) -> str:
    return content_id("qthreshold/run/1", {k: v for k, v in header.items() if k != "run_id"}, {})[:16]


def submit(directory: RunDirectory, backend: Backend) -> None:
    """Hand over every ticket that has not been handed over yet."""
    started = time.monotonic()
    with _working_on(directory):
        header, device, plan = _read(directory)
        _same_state(directory, header, device, backend)
        for ticket in make_tickets(plan, header["backend"]):
            name = f"tickets/{ticket.number:04d}.json"
            if not directory.has(name):
                _write(directory, name, backend.submit(plan, ticket))
        _took(directory, "submit", started)


def collect(directory: RunDirectory, backend: Backend, watch: Watcher = SILENT) -> None:
    """Fetch the counts of every ticket that has none yet."""
    with _working_on(directory):
        header, device, plan = _read(directory)
        _same_state(directory, header, device, backend)
        tickets = _tickets(directory, plan)
        left = [t for t in tickets if not directory.has(_counts_name(t))]
        units = {t.number: int(((plan.unit_circuit >= t.first) & (plan.unit_circuit < t.last)).sum()) for t in tickets}
        watch.stage("collect", sum(units.values()))
        watch.advance(sum(units[t.number] for t in tickets if t not in left))
        for ticket in left:
            started = time.monotonic()
            _write(directory, _counts_name(ticket), backend.collect(plan, ticket, watch.advance))
            _took(directory, "collect", started, add=True)


def _counts_name(ticket: Ticket) -> str:
    return f"counts/{ticket.number:04d}.npz"


def _tickets(directory: RunDirectory, plan: Plan) -> list[Ticket]:
    tickets = [_child(directory, name, Ticket, plan_id=plan.id) for name in directory.names("tickets")]
    if sum(t.last - t.first for t in tickets) != plan.n_circuits:
        raise StoreError(f"{directory.path}: not all circuits were submitted; run 'qthreshold submit {directory.path}'")
    return tickets


def _counts(directory: RunDirectory, ticket: Ticket) -> Counts:
    counts = _child(directory, _counts_name(ticket), Counts, plan_id=ticket.plan_id)
    if len(counts.circuit) and not ticket.first <= counts.circuit[0] <= counts.circuit[-1] < ticket.last:
        raise StoreError(
            f"{directory.path / _counts_name(ticket)} holds circuits of another ticket; delete it and run 'qthreshold resume {directory.path}'"
        )
    return counts


def _same_state(directory: RunDirectory, header: Mapping[str, Any], planned: Device, backend: Backend) -> None:
    if planned.id != backend.device.id or header["backend_state"] != backend.state:
        raise InputError(f"{directory.path} was planned for another state of {planned.name!r} than {backend.spec} has now; start a new run")


def analyse(directory: RunDirectory) -> None:
    """Counts, or a decay table, to decays, fits, metrics and frontier. Offline, and the same every time.

    Raises:
        StoreError: Counts are missing, or the table was changed.
    """
    started = time.monotonic()
    header, device, plan = _read(directory)
    decays = _table_decays(directory, header, plan) if _is_table(header) else _counted_decays(directory, device, plan)
    fits = make_fits(decays, header["confidence"])
    metrics, frontier = _device_metrics(header, device, plan, decays, fits, plan.parsed_recipe().criteria)
    with _working_on(directory):
        _write(directory, "decays.npz", decays)
        _write(directory, "fits.npz", fits)
        _write(directory, "metrics.json", metrics)
        _write(directory, "frontier.npz", frontier)
        _took(directory, "analyse", started)


def _device_metrics(
    header: Mapping[str, Any], device: Device, plan: Plan, decays: DecayTable, fits: FittedErrors, criteria: Criteria
) -> tuple[DeviceMetrics, Frontier]:  # fmt: skip
    metrics = make_metrics(device, fits, criteria, seed_rng(plan.seed, _METRICS_STREAM), connected=header.get("connected"))
    return metrics, make_frontier(device, decays, fits, metrics, criteria, seed_rng(plan.seed, _FRONTIER_STREAM))


def _table_decays(directory: RunDirectory, header: Mapping[str, Any], plan: Plan) -> DecayTable:
    path, data = directory.path / "decays.csv", directory.read_file("decays.csv")
    if hashlib.sha256(data).hexdigest() != header["backend_state"]:
        raise StoreError(f"{path} was changed: it is not the table that the run was made from; put back the original, or start a new run")
    return survival_decays(_parse_table(data, str(path)), plan)


def _counted_decays(directory: RunDirectory, device: Device, plan: Plan) -> DecayTable:
    tickets = _tickets(directory, plan)
    missing = [t.number for t in tickets if not directory.has(_counts_name(t))]
    if missing:
        raise StoreError(
            f"{directory.path}: counts of {len(missing)} of {len(tickets)} tickets are missing; run 'qthreshold collect {directory.path}'"
        )
    parts = [_counts(directory, t) for t in tickets]
    counts = add_counts(parts) if parts else no_counts(plan.id, device.n_qubits)
    return make_decays(plan, device, counts)


def judge_run(directory: RunDirectory) -> Assessment:
    """Judge a run by the rules, the day and the confidence of its start, and write the verdicts to the directory.

    Raises:
        StoreError: The run has not been analysed.
    """
    started = time.monotonic()
    result = assess_run(directory)
    with _working_on(directory):
        _write(directory, "verdict.json", result.verdicts)
        _took(directory, "judge", started)
    return result


def assess_run(
    directory: RunDirectory, *, rules: Sequence[str] | None = None, as_of: datetime.date | None = None, confidence: float | None = None,
    rules_dir: Path | None = None, criteria: Mapping[str, float] | None = None,
) -> Assessment:  # fmt: skip
    """Judge a run, by default as it was started; nothing is written.

    Args:
        directory: The run.
        rules: Ids of the instruments.
        as_of: Day to judge on.
        confidence: Level at which to decide.
        rules_dir: Directory with rule files of your own, for ``rules``; those of the run's start are in the run.
        criteria: Criteria for a working qubit to take the place of the recipe's.

    Raises:
        InputError: A rule or a criterion does not exist, or the confidence is out of range.
        StoreError: The run has not been analysed.
    """
    header, device, plan = _read(directory)
    decays, fits, metrics, frontier = _analysed(directory, plan)
    if criteria:
        wanted = changed_criteria(plan.parsed_recipe().criteria, criteria)
        metrics, frontier = _device_metrics(header, device, plan, decays, fits, wanted)
    kept = directory.path / "rules" if directory.has("rules") else None
    own = kept if rules is None else rules_dir or kept
    instruments = rulebook.load_instruments(list(rules if rules is not None else header["rules"]), own)
    level = checked_confidence(header["confidence"] if confidence is None else confidence)
    default = Interpretation(context=plan.context, gate=plan.block, estimate=metrics.estimate, connected=metrics.connected)
    return assess(
        instruments, run_evidence(metrics, frontier, default, level), as_of or datetime.date.fromisoformat(header["as_of"]),
        metrics=metrics, frontier=frontier, executions=plan_cost(plan, device).executions or None,
    )  # fmt: skip


def _analysed(directory: RunDirectory, plan: Plan) -> tuple[DecayTable, FittedErrors, DeviceMetrics, Frontier]:
    decays = _child(directory, "decays.npz", DecayTable, plan_id=plan.id)
    fits = _child(directory, "fits.npz", FittedErrors, decays_id=decays.id)
    metrics = _child(directory, "metrics.json", DeviceMetrics, fits_id=fits.id)
    return decays, fits, metrics, _child(directory, "frontier.npz", Frontier, metrics_id=metrics.id)


def report(directory: RunDirectory) -> RunResult:
    """Write ``summary.json`` and return everything that a report shows."""
    started = time.monotonic()
    result = load_result(directory)
    with _working_on(directory):
        _took(directory, "report", started)
        result = dataclasses.replace(result, seconds=directory.read_json("timing.json"))
        directory.write_json("summary.json", result.summary())
    return result


def load_result(directory: RunDirectory) -> RunResult:
    """All records of a finished run.

    Raises:
        StoreError: A stage is missing or a file is damaged.
    """
    header, device, plan = _read(directory)
    decays, fits, metrics, frontier = _analysed(directory, plan)
    return RunResult(
        directory=directory.path, device=device, plan=plan, decays=decays, fits=fits, metrics=metrics, frontier=frontier, header=header,
        verdicts=_child(directory, "verdict.json", Verdicts, metrics_id=metrics.id),
        seconds=directory.read_json("timing.json") if directory.has("timing.json") else {},
        truth=directory.read_record("truth.json", Truth) if directory.has("truth.json") else None,
    )  # fmt: skip


def resume(directory: RunDirectory, *, workers: int | None = None, watch: Watcher = SILENT) -> RunResult:
    """Finish whatever is left of a run; what an older version derived is derived again."""
    header, _, plan = _read(directory)
    expected = len(make_tickets(plan, header["backend"]))
    if any(len(directory.names(folder)) != expected for folder in ("tickets", "counts")):
        with open_backend(header["backend"], workers=workers) as backend:
            submit(directory, backend)
            collect(directory, backend, watch)
    watch.stage("analyse", 0)
    stages: tuple[tuple[Callable[[RunDirectory], object], dict[str, type[Record]]], ...] = (
        (analyse, {"decays.npz": DecayTable, "fits.npz": FittedErrors, "metrics.json": DeviceMetrics, "frontier.npz": Frontier}),
        (judge_run, {"verdict.json": Verdicts}),
    )  # fmt: skip
    again = False  # what follows from a record that was made again is made again
    for stage, records in stages:
        again = again or any(directory.lacks(name, cls) for name, cls in records.items())
        if again:
            stage(directory)
    return report(directory)


def run(
    backend: str = DEFAULT_BACKEND, recipe: str = DEFAULT_RECIPE, *, out: str | Path | None = None, seed: int = 1, confidence: float = 0.95,
    rules: Sequence[str] | None = None, as_of: datetime.date | None = None, rules_dir: Path | None = None,
    criteria: Mapping[str, float] | None = None, workers: int | None = None, watch: Watcher = SILENT,
    planned: Callable[[RunDirectory, PlanCost], None] | None = None,
) -> RunResult:  # fmt: skip
    """The whole job.

    Args:
        backend: Backend spec, e.g. ``aer:heron-133``.
        recipe: Name of a shipped recipe, or path of a TOML file.
        out: Run directory; by default ``qthreshold-runs/DEVICE-DATE-TIME``.
        seed: Seed of everything random.
        confidence: Level of all intervals and of the verdicts.
        rules: Ids of the instruments; all by default.
        as_of: Day to judge on; today by default.
        rules_dir: Directory with rule files of your own, beside the shipped ones.
        criteria: Criteria for a working qubit to take the place of the recipe's, such as ``{"cnot_error": 0.02}``.
        workers: Worker processes for simulation; one per core by default. Results do not depend on it.
        watch: Told about progress.
        planned: Called once the plan is written, before anything runs.

    Returns:
        All records; ``.summary()`` gives the JSON summary.

    Raises:
        InputError: A name, file or number cannot be used.
        StoreError: The run directory cannot be written.
        BackendError: The device or simulator fails; the run is resumable.
    """
    checked = load_recipe(recipe, criteria)
    with open_backend(backend, workers=workers) as opened:
        directory = make_run(
            Path(out) if out is not None else default_directory(opened.spec), backend=opened, recipe=checked, seed=seed, confidence=confidence,
            rules=rules, as_of=as_of, rules_dir=rules_dir,
        )  # fmt: skip
        if planned is not None:
            planned(directory, plan_cost(directory.read_record("plan.npz", Plan), opened.device))
        submit(directory, opened)
        collect(directory, opened, watch)
    watch.stage("analyse", 0)
    analyse(directory)
    judge_run(directory)
    return report(directory)


def _usable_component(device: Device) -> npt.NDArray[np.bool_]:
    """Members of the largest part of a device that hangs together by usable pairs, ``(n,)``."""
    up = np.zeros((1, device.n_qubits), dtype=bool)
    up[0, device.usable_qubits] = True
    alive = np.zeros((1, len(device.edges)), dtype=bool)
    alive[0, device.usable_edges] = True
    return largest_components(device.n_qubits, device.edges, up, alive)[0]
