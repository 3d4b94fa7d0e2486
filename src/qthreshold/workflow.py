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
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from qthreshold import rulebook
from qthreshold.assess import Assessment, assess, changed_criteria, checked_confidence
from qthreshold.backends import open_backend
from qthreshold.backends.base import Backend, Provider, is_provider, is_simulator
from qthreshold.backends.noise import Truth
from qthreshold.circuits.native import NATIVE_UNITARY, block_element
from qthreshold.circuits.size import circuit_load
from qthreshold.counts import Counts
from qthreshold.countsfile import parse_counts
from qthreshold.datafiles import load_named, load_toml, read_bytes
from qthreshold.decays import DecayTable, make_decays
from qthreshold.device import Device
from qthreshold.drift import DeviceDrift
from qthreshold.errors import BackendError, InputError, JobFailedError, StoreError
from qthreshold.evidence import run_evidence
from qthreshold.fits import FittedErrors, make_fits
from qthreshold.frontier import Frontier, make_frontier
from qthreshold.identity import Record, content_id
from qthreshold.interpretation import Interpretation
from qthreshold.jobs import Campaign, Consent, Watcher, check_preflight, estimate, read_journal
from qthreshold.journal import Attempt
from qthreshold.limits import Limits, Prices
from qthreshold.metrics import DeviceMetrics, make_metrics
from qthreshold.numerics.graphs import largest_components
from qthreshold.patience import Patience
from qthreshold.plan import Plan, PlanCost, circuit_name, make_plan, plan_cost, preflight_plan, seed_rng
from qthreshold.pool import Pool
from qthreshold.recipe import Criteria, Recipe
from qthreshold.report.export import check_forms, plates_of, report_files
from qthreshold.report.page import render_fragment, render_pending
from qthreshold.report.points import Point, stated_point
from qthreshold.report.runs import run_labels
from qthreshold.report.summary import make_summary
from qthreshold.result import RunRecords
from qthreshold.store import RunDirectory, write_folder
from qthreshold.survival import HIGHEST_QUBIT, SurvivalTable, parse_survival, survival_decays, survival_device, survival_plan
from qthreshold.tallies import Tallies
from qthreshold.tasks import inline
from qthreshold.ticket import Ticket, layer_tickets, provider_tickets
from qthreshold.verdict import Verdicts

__all__ = [
    "DEFAULT_BACKEND", "DEFAULT_RECIPE", "Forecast", "Ingested", "JobForecast", "RunResult", "analyse", "assess_run", "cancel", "collect",
    "default_directory", "finish", "forecast", "ingest", "ingest_counts", "is_offline", "judge_run", "load_plan", "load_prices", "load_recipe",
    "load_result", "make_run", "measured_elsewhere", "planned_tickets", "read_header", "report", "resume", "run", "software_versions", "submit",
]  # fmt: skip

DEFAULT_BACKEND = "aer:heron-133"
DEFAULT_RECIPE = "default"

_OFFLINE = "offline:"  # kind of the backends whose circuits are run elsewhere
_TABLE = "decays:"  # in place of a backend spec in the header of a run whose survival counts were measured elsewhere; its file follows
_MANY_PAIRS = 1000  # from which on it is worth while to start processes for the frontier
_METRICS_STREAM, _FRONTIER_STREAM = 3, 4  # spawn keys of the draws behind metrics and frontier; 0 to 2 and 5 belong to plan and simulation


R = TypeVar("R", bound=Record)


class _Silent:
    def stage(self, name: str, total: int, done: int = 0) -> None: ...

    def advance(self, done: int) -> None: ...

    def note(self, text: str) -> None: ...

    def say(self, text: str) -> None: ...


SILENT: Watcher = _Silent()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult(RunRecords):
    """All records of a finished run, and where it lies."""

    directory: Path

    def summary(self) -> dict[str, Any]:
        """The summary, as in ``summary.json`` (schema ``qthreshold/summary/1``)."""
        return make_summary(self)

    def _repr_html_(self) -> str:
        """The first screen of the report, for notebooks."""
        s = self.summary()
        return render_fragment(self, s, [p for p in plates_of(self, s) if p.group == "bands"])


@dataclass(frozen=True, slots=True, kw_only=True)
class JobForecast:
    """What one job will take."""

    number: int
    circuits: int
    shots: int
    executions: int
    seconds: float
    money: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a plan will take before anything is sent.

    Attributes:
        directory: The run.
        plan_id: The plan.
        qubits, pairs: How many are measured.
        cost: Of all circuits.
        jobs: One by one, at a provider; empty for a simulator.
        currency: Of the money, where prices are known.
    """

    directory: Path
    plan_id: str
    qubits: int
    pairs: int
    cost: PlanCost
    jobs: tuple[JobForecast, ...]
    currency: str | None

    @property
    def money(self) -> float | None:
        """Of all jobs together."""
        return sum(j.money or 0.0 for j in self.jobs) if self.currency is not None else None

    def line(self) -> str:
        """In a sentence."""
        c = self.cost
        jobs = f" in {len(self.jobs)} jobs" if self.jobs else ""
        money = f", {self.money:,.2f} {self.currency}" if self.money is not None else ""
        return (
            f"{c.circuits:,} circuits, {c.executions:,} executions{jobs}, longest {c.longest_circuit:,} Cliffords"
            f" ({1e6 * c.longest_seconds:,.0f} us); about {c.estimated_seconds:,.0f} s of device time on hardware{money}"
        )

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "plan_id": self.plan_id, **dataclasses.asdict(self.cost), "money": self.money, "currency": self.currency,
            "per_job": [dataclasses.asdict(j) for j in self.jobs],
        }  # fmt: skip


@functools.cache
def software_versions() -> dict[str, str]:
    """Versions of everything that a result depends on."""
    names = ("qthreshold", "numpy", "scipy", "qiskit", "qiskit-aer", "rustworkx")
    return {"python": platform.python_version(), **{n: importlib.metadata.version(n) for n in names}}


def optional_versions() -> dict[str, str]:
    """Versions of packages that some backends need; those that are not installed are left out."""
    found = {}
    for name in ("qiskit-ibm-runtime", "matplotlib", "distributed"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


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
    name = re.split(r"[?#]", backend.partition(":")[2] or backend)[0].rpartition(":")[2]  # of a provider's, the callable
    base = Path("qthreshold-runs") / f"{Path(name).stem}-{stamp}"
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
        InputError: The confidence or a rule is not valid, or the backend cannot simulate the plan.
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
    if is_provider(backend):
        planned_tickets({"backend": backend.spec, "limits": backend.limits.model_dump(mode="json", by_alias=True)}, device, plan)
    if is_simulator(backend):
        backend.check(plan)
    directory = RunDirectory.create(out)
    _write(directory, "device.json", device)
    truth = backend.truth(plan.block)
    if truth is not None:
        _write(directory, "truth.json", truth)
    _write(directory, "plan.npz", plan)
    _keep_own_rules(directory, terms.rules, rules_dir)
    _write_header(directory, plan, terms, backend=backend.spec, backend_state=backend.state, **_provider_terms(directory, backend))
    _took(directory, "plan", started)
    return directory


def _provider_terms(directory: RunDirectory, backend: Backend) -> dict[str, Any]:
    """What the header of a run at a provider says beside: its tag, how jobs are run, the limits they are cut to; and the calibration, in a file."""
    if not is_provider(backend):
        return {}
    calibration = backend.calibration()
    if calibration is not None:
        directory.write_json("calibration/0000.json", {"schema": "qthreshold/calibration/1", **calibration})
    limits = backend.limits.model_dump(mode="json", by_alias=True)
    return {"tag": f"qth-{secrets.token_hex(6)}", "paid": backend.paid, "settings": dict(backend.settings), "limits": limits}


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
    return parse_survival(_decoded(data, name, "CSV"), name)


def _decoded(data: bytes, name: str, form: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text ({error.reason} at byte {error.start}); save it as {form} in UTF-8") from None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What a counts file brought.

    Attributes:
        ticket: Number of the ticket that its circuits became.
        circuits, shots: How many it held.
        planned: Circuits of the plan.
        missing: Names of those that still have no counts.
    """

    ticket: int
    circuits: int
    shots: int
    planned: int
    missing: tuple[str, ...]


def ingest_counts(directory: RunDirectory, path: Path, bit_order: str | None = None) -> Ingested:
    """Counts of some of an offline run's circuits, from a file; all of the file or nothing.

    The counts are written before the ticket that makes them part of the run, so that a kill in between leaves what was there before.

    Args:
        directory: The run, planned for ``offline:PROFILE``.
        path: JSON or CSV, as :mod:`qthreshold.countsfile` describes it.
        bit_order: ``qubit0-last`` or ``qubit0-first``, where the file does not say.

    Raises:
        InputError: The run takes no counts from elsewhere, or the file cannot be used.
    """
    started = time.monotonic()
    header, device, plan = _read(directory)
    if not _is_offline(header):
        raise InputError(
            f"{directory.path} is a run of {header['backend']}; counts from elsewhere belong to a run that was planned for it: "
            "'qthreshold plan DIR -b offline:PROFILE'"
        )
    data = read_bytes(path, "counts file")
    text, names = _decoded(data, str(path), "JSON or CSV"), [circuit_name(plan, c) for c in range(plan.n_circuits)]
    with _working_on(directory):
        tickets = _ticket_files(directory, plan)
        whole = {t.number: t for t in tickets if directory.has(_counts_name(t))}
        held = {c for t in whole.values() for c in t.circuits.tolist()}
        counts = parse_counts(text, str(path), plan=plan, device=device, names=names, held=held, bit_order=bit_order)
        number = next(i for i in range(len(whole) + 1) if i not in whole)
        ticket = Ticket(plan_id=plan.id, backend=header["backend"], number=number, circuits=np.unique(counts.circuit).astype(np.int64))
        directory.append_event({
            "event": "ingest", "at": round(time.time(), 3), "ticket": number, "file": path.name, "sha256": hashlib.sha256(data).hexdigest(),
        })  # fmt: skip
        directory.discard(*(_ticket_name(t) for t in tickets if t.number not in whole))  # counts of theirs were lost, and come in other tickets now
        directory.discard_derived()
        _write(directory, _counts_name(ticket), counts)
        _write(directory, _ticket_name(ticket), ticket)
        _took(directory, "ingest", started, add=True)
    return Ingested(
        ticket=number, circuits=len(ticket.circuits), shots=int(counts.count.sum()), planned=plan.n_circuits,
        missing=_missing(directory, header, plan),
    )  # fmt: skip


def is_offline(directory: RunDirectory) -> bool:
    """Whether a run's circuits are run elsewhere and their counts come as files."""
    return _is_offline(read_header(directory))


def _is_offline(header: Mapping[str, Any]) -> bool:
    return bool(header["backend"].startswith(_OFFLINE))


def _took(directory: RunDirectory, stage: str, started: float, *, add: bool = False) -> None:
    """Note how long a stage took: once, so that repeating a stage changes nothing; ``add`` sums up over resumed parts."""
    seconds = _seconds(directory)
    if stage not in seconds or add:
        seconds[stage] = round(seconds.get(stage, 0.0) + time.monotonic() - started, 3)
        directory.write_json("timing.json", seconds)


def _seconds(directory: RunDirectory) -> dict[str, float]:
    """Seconds each stage took; what is no number is left out."""
    stages = directory.read_json("timing.json") if directory.has("timing.json") else {}
    return {k: v for k, v in stages.items() if isinstance(v, int | float)}


def _write(directory: RunDirectory, name: str, record: Record) -> None:
    directory.write_record(name, record, software=software_versions())


def _derive(directory: RunDirectory, records: Mapping[str, Record]) -> None:
    """Write what follows from counts; reports of other records go, since they would contradict it."""
    before = directory.hashes(*records)
    for name, record in records.items():
        _write(directory, name, record)
    if directory.hashes(*records) != before:
        directory.discard_reports()


def _read(directory: RunDirectory) -> tuple[dict[str, Any], Device, Plan]:
    header = read_header(directory)
    plan = _child(directory, "plan.npz", Plan, id=header["plan_id"])
    return header, _child(directory, "device.json", Device, id=plan.device_id), plan


def load_plan(directory: RunDirectory) -> tuple[Device, Plan]:
    """Device and plan of a run.

    Raises:
        StoreError: A file is missing or damaged.
    """
    _, device, plan = _read(directory)
    return device, plan


def _child(directory: RunDirectory, name: str, cls: type[R], *others: type[R], **expected: str) -> R:
    """A record, after checking that it belongs to the records before it.

    Raises:
        StoreError: It comes from another run.
    """
    record = directory.read_record(name, cls, *others)
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


def submit(
    directory: RunDirectory, backend: Backend, *, consent: Consent | None = None, retry: bool = False, resubmit: bool = False,
    watch: Watcher = SILENT, patience: Patience | None = None,
) -> None:  # fmt: skip
    """Hand over every ticket that has not been handed over yet.

    Args:
        directory: The run.
        backend: Its backend.
        consent: What the user agrees to, where jobs may cost money; by default to nothing.
        retry: Send tickets again whose jobs ended without a result.
        resubmit: Send tickets again of which the provider cannot say whether they arrived.
        watch: Told about progress.
        patience: How long to wait.

    Raises:
        InputError: The backend's device has changed so that the plan is void, or nobody agreed to the cost.
        BackendError: The provider failed, or the cap is reached.
    """
    started = time.monotonic()
    with _working_on(directory):
        header, device, plan = _read(directory)
        if is_simulator(backend):
            _same_state(directory, header, device, backend)
        elif not is_provider(backend):
            _expect_all(directory, header, plan)
            return
        tickets = _made_tickets(directory, header, device, plan)
        if is_provider(backend):
            campaign = _campaign(directory, header, device, plan, backend, tickets, watch, patience)
            campaign.submit(consent or Consent(), retry=retry, resubmit=resubmit)
        _took(directory, "submit", started, add=is_provider(backend))


def _expect_all(directory: RunDirectory, header: Mapping[str, Any], plan: Plan) -> None:
    """An offline run goes on only when all of its counts were brought.

    Raises:
        InputError: Some are missing.
    """
    missing = _missing(directory, header, plan)
    if missing:
        partly = f"; 'qthreshold analyse {directory.path} --partial' takes what there is" if len(missing) < plan.n_circuits else ""
        raise InputError(
            f"counts of {len(missing):,} of {plan.n_circuits:,} circuits are missing, and {header['backend']} runs nothing by itself: write the "
            f"circuits with 'qthreshold circuits export {directory.path}', run them, bring the counts with 'qthreshold ingest {directory.path} FILE'"
            f"{partly}"
        )


def planned_tickets(header: Mapping[str, Any], device: Device, plan: Plan) -> list[Ticket]:
    """How a plan's circuits are handed over: by layer to a simulator, in few jobs to a provider.

    Raises:
        InputError: A circuit is larger than the provider takes.
    """
    if "limits" not in header:
        return layer_tickets(plan, header["backend"])
    limits = Limits.model_validate(header["limits"])
    try:
        return provider_tickets(plan, header["backend"], circuit_load(plan, device, limits.weights), limits)
    except ValueError as error:
        raise InputError(str(error)) from None


def _made_tickets(directory: RunDirectory, header: Mapping[str, Any], device: Device, plan: Plan) -> list[Ticket]:
    """The run's tickets; those that are not on the disk yet are written."""
    if not _complete(directory, plan):
        for ticket in planned_tickets(header, device, plan):
            if not directory.has(_ticket_name(ticket)):
                _write(directory, _ticket_name(ticket), ticket)
    return _tickets(directory, plan)


def _complete(directory: RunDirectory, plan: Plan) -> bool:
    return sum(len(t.circuits) for t in _ticket_files(directory, plan)) == plan.n_circuits


def _note_calibration(directory: RunDirectory, backend: Provider) -> None:
    """Keep the device's own description as it is now, if it is another than the last that was kept."""
    now, kept = backend.calibration(), directory.names("calibration")
    if now is None:
        return
    document = {"schema": "qthreshold/calibration/1", **now}
    if not kept or directory.read_json(kept[-1]) != document:
        name = f"calibration/{len(kept):04d}.json"
        directory.write_json(name, document)
        directory.append_event({"event": "calibration", "at": round(time.time(), 3), "file": name, "calibration_id": now.get("calibration_id")})


def _campaign(
    directory: RunDirectory, header: Mapping[str, Any], device: Device, plan: Plan, backend: Provider, tickets: Sequence[Ticket],
    watch: Watcher, patience: Patience | None,
) -> Campaign:  # fmt: skip
    def store(ticket: Ticket, counts: Counts) -> None:
        directory.discard_derived()
        _write(directory, _counts_name(ticket), counts)

    return Campaign(
        directory=directory, backend=backend, plan=plan, device=device, tickets=tickets, tag=header["tag"], watch=watch, store=store,
        before_sending=functools.partial(_note_calibration, directory, backend), patience=patience or Patience.usual(),
    )  # fmt: skip


def collect(directory: RunDirectory, backend: Backend, watch: Watcher = SILENT, patience: Patience | None = None) -> None:
    """Fetch the counts of every ticket that has none yet.

    Raises:
        BackendError: The device, provider or simulator failed, or jobs ended without a result; all other counts are stored.
    """
    with _working_on(directory):
        header, device, plan = _read(directory)
        if _is_offline(header):
            _expect_all(directory, header, plan)
            return
        tickets = _tickets(directory, plan)
        if is_provider(backend):
            started = time.monotonic()
            try:
                _campaign(directory, header, device, plan, backend, tickets, watch, patience).collect()
            finally:
                _took(directory, "collect", started, add=True)
            return
        if not is_simulator(backend):
            raise InputError(f"{backend.spec} runs nothing by itself")
        _same_state(directory, header, device, backend)
        left = [t for t in tickets if not directory.has(_counts_name(t))]
        units = {t.number: len(t.units(plan)) for t in tickets}
        watch.stage("collect", sum(units.values()), sum(units[t.number] for t in tickets if t not in left))
        for ticket in left:
            started = time.monotonic()
            counts = backend.collect(plan, ticket, watch.advance)
            directory.discard_derived()
            _write(directory, _counts_name(ticket), counts)
            _took(directory, "collect", started, add=True)


def run_preflight(backend: Backend, consent: Consent, say: Callable[[str], None], patience: Patience | None = None) -> str:
    """One small circuit with a known outcome on a backend; returns in words what came back.

    Args:
        backend: A provider, or a simulator.
        consent: What the user agrees to.
        say: Told the job's id as soon as there is one.
        patience: How long to wait.

    Raises:
        ConsentError: Nobody agreed to what it may cost.
        CorruptResultError: Something else than was prepared came back.
        BackendError: The provider failed.
    """
    device = backend.device
    if is_simulator(backend):
        plan = preflight_plan(device)
        ticket = Ticket(plan_id=plan.id, backend=backend.spec, number=0, circuits=np.zeros(1, dtype=np.int64))
        counts = backend.collect(plan, ticket, lambda _: None)
        if isinstance(counts, Counts):  # tallies have no order of bits that could be wrong
            check_preflight(plan, counts, device.name)
        return "as prepared"
    if not is_provider(backend):
        raise InputError(f"{backend.spec} runs nothing by itself, so there is nothing to check")
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory(Path(folder))
        campaign = Campaign(
            directory=directory, backend=backend, plan=preflight_plan(device), device=device, tickets=(), tag=f"qth-{secrets.token_hex(6)}",
            before_sending=lambda: None, store=lambda *_: None, watch=SILENT, patience=patience or Patience.usual(),
        )  # fmt: skip
        return campaign.preflight_alone(consent, say)


def cancel(directory: RunDirectory, backend: Backend, patience: Patience | None = None) -> list[tuple[Attempt, str]]:
    """Cancel every job of a run that has not ended; returns each with the state it is in now.

    Raises:
        BackendError: The provider failed.
    """
    with _working_on(directory):
        header, device, plan = _read(directory)
        if not is_provider(backend):
            return []
        return list(_campaign(directory, header, device, plan, backend, _ticket_files(directory, plan), SILENT, patience).cancel())


def _counts_name(ticket: Ticket) -> str:
    return f"counts/{ticket.number:04d}.npz"


def _ticket_name(ticket: Ticket) -> str:
    return f"tickets/{ticket.number:04d}.json"


def _ticket_files(directory: RunDirectory, plan: Plan) -> list[Ticket]:
    return [_child(directory, name, Ticket, plan_id=plan.id) for name in directory.names("tickets")]


def _tickets(directory: RunDirectory, plan: Plan) -> list[Ticket]:
    tickets = _ticket_files(directory, plan)
    held = np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *(t.circuits for t in tickets)]))
    if not np.array_equal(held, np.arange(plan.n_circuits)):
        raise StoreError(f"{directory.path}: not all circuits were submitted; run 'qthreshold submit {directory.path}'")
    return tickets


def _counts(directory: RunDirectory, plan: Plan, ticket: Ticket) -> Counts | Tallies:
    counts = _child(directory, _counts_name(ticket), Counts, Tallies, plan_id=ticket.plan_id)
    assert isinstance(counts, (Counts, Tallies))
    if not np.isin(counts.circuit if isinstance(counts, Counts) else plan.unit_circuit[counts.units], ticket.circuits).all():
        raise StoreError(
            f"{directory.path / _counts_name(ticket)} holds circuits of another ticket; delete it and run 'qthreshold resume {directory.path}'"
        )
    return counts


def _same_state(directory: RunDirectory, header: Mapping[str, Any], planned: Device, backend: Backend) -> None:
    if planned.id != backend.device.id or header["backend_state"] != backend.state:
        raise InputError(f"{directory.path} was planned for another state of {planned.name!r} than {backend.spec} has now; start a new run")


def analyse(directory: RunDirectory, *, partial: bool = False, pool: Pool | None = None) -> None:
    """Counts, or a decay table, to decays, fits, metrics and frontier. Offline, and the same every time.

    Args:
        directory: The run.
        partial: Take what counts there are; what is missing is named in the summary.
        pool: Who does the work; by default this process.

    Raises:
        StoreError: Counts are missing, or the table was changed.
    """
    started = time.monotonic()
    with _working_on(directory):  # from reading counts to writing what follows from them
        header, device, plan = _read(directory)
        if _is_offline(header) and not (partial and directory.names("tickets")):
            _expect_all(directory, header, plan)
        decays = _table_decays(directory, header, plan) if _is_table(header) else _counted_decays(directory, device, plan, partial)
        fits = make_fits(decays, header["confidence"])
        metrics, frontier = _device_metrics(header, device, plan, decays, fits, plan.parsed_recipe().criteria, pool)
        _derive(directory, {"decays.npz": decays, "fits.npz": fits, "metrics.json": metrics, "frontier.npz": frontier})
        _took(directory, "analyse", started)


def _device_metrics(
    header: Mapping[str, Any], device: Device, plan: Plan, decays: DecayTable, fits: FittedErrors, criteria: Criteria,
    pool: Pool | None = None,
) -> tuple[DeviceMetrics, Frontier]:  # fmt: skip
    metrics = make_metrics(device, fits, criteria, seed_rng(plan.seed, _METRICS_STREAM), connected=header.get("connected"))
    run = inline if pool is None else functools.partial(pool.run, small=len(plan.edges) < _MANY_PAIRS)
    return metrics, make_frontier(device, decays, fits, metrics, criteria, seed_rng(plan.seed, _FRONTIER_STREAM), run)


def _table_decays(directory: RunDirectory, header: Mapping[str, Any], plan: Plan) -> DecayTable:
    path, data = directory.path / "decays.csv", directory.read_file("decays.csv")
    if hashlib.sha256(data).hexdigest() != header["backend_state"]:
        raise StoreError(f"{path} was changed: it is not the table that the run was made from; put back the original, or start a new run")
    return survival_decays(_parse_table(data, str(path)), plan)


def _counted_decays(directory: RunDirectory, device: Device, plan: Plan, partial: bool) -> DecayTable:
    tickets = _ticket_files(directory, plan) if partial else _tickets(directory, plan)
    held = [t for t in tickets if directory.has(_counts_name(t))]
    if len(held) < len(tickets) and not (partial and held):
        raise StoreError(
            f"{directory.path}: counts of {len(tickets) - len(held)} of {len(tickets)} tickets are missing; run 'qthreshold collect {directory.path}'"
        )
    return make_decays(plan, device, (_counts(directory, plan, t) for t in held))


def _missing(directory: RunDirectory, header: Mapping[str, Any], plan: Plan) -> tuple[str, ...]:
    """Names of the circuits without counts."""
    if _is_table(header):
        return ()
    lacking = np.ones(plan.n_circuits, dtype=bool)
    for ticket in _ticket_files(directory, plan):
        lacking[ticket.circuits] &= not directory.has(_counts_name(ticket))
    return tuple(circuit_name(plan, c) for c in np.flatnonzero(lacking).tolist())


def judge_run(directory: RunDirectory) -> Assessment:
    """Judge a run by the rules, the day and the confidence of its start, and write the verdicts to the directory.

    Raises:
        StoreError: The run has not been analysed.
    """
    started = time.monotonic()
    result = assess_run(directory)
    with _working_on(directory):
        _derive(directory, {"verdict.json": result.verdicts})
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
    instruments = _instruments(directory, header, rules, None if rules is None else rules_dir)
    level = checked_confidence(header["confidence"] if confidence is None else confidence)
    default = Interpretation(context=plan.context, gate=plan.block, estimate=metrics.estimate, connected=metrics.connected)
    return assess(
        instruments, run_evidence(metrics, frontier, default, level), as_of or datetime.date.fromisoformat(header["as_of"]),
        metrics=metrics, frontier=frontier, executions=int(plan.circuit_shots.sum()) or None,
    )  # fmt: skip


def _analysed(directory: RunDirectory, plan: Plan) -> tuple[DecayTable, FittedErrors, DeviceMetrics, Frontier]:
    decays = _child(directory, "decays.npz", DecayTable, plan_id=plan.id)
    fits = _child(directory, "fits.npz", FittedErrors, decays_id=decays.id)
    metrics = _child(directory, "metrics.json", DeviceMetrics, fits_id=fits.id)
    return decays, fits, metrics, _child(directory, "frontier.npz", Frontier, metrics_id=metrics.id)


def report(
    directory: RunDirectory, forms: Sequence[str] = ("html",), *, pairs: str = "", also: Sequence[str] = (), out: Path | None = None,
    drift: Callable[[str], DeviceDrift | None] | None = None,
) -> RunResult:  # fmt: skip
    """Write ``summary.json`` and the report, and return everything that a report shows.

    Args:
        directory: The run.
        forms: Forms of the report, of :data:`.report.export.FORM_NAMES`.
        pairs: Pairs whose decays are shown, such as ``3-4,7-8``, or ``all``; the worst, median and best by default.
        also: Further points of the staircase: run directories, or ``LABEL=QUBITS,ERROR``.
        out: Folder for the files of the report, in place of the run directory.
        drift: Finds what the history says of a device, by its name, if anything; not asked by default.

    Raises:
        InputError: A form, pair or point does not exist, or a package that draws it is not installed.
        StoreError: A stage is missing, or a file cannot be read or written.
    """
    check_forms(forms)

    def files(result: RunResult) -> Iterable[tuple[str, bytes]]:
        runs, points = _compared(also)
        labels = run_labels([result, *runs])[1:]
        others, found = list(zip(labels, runs, strict=True)), drift(result.device.name) if drift is not None else None
        return report_files(result, forms, pairs=pairs, others=others, points=points, drift=found)

    if out is not None:  # the run itself is only read
        result = _loaded(directory, lambda page: write_folder(out, [("report.html", page)]) if "html" in forms else None)
        write_folder(out, list(files(result)))
        return result
    started = time.monotonic()
    with _working_on(directory):
        result = _loaded(directory, lambda page: directory.write_file("report.html", page) if "html" in forms else None)
        made = list(files(result))
        _took(directory, "report", started)
        result = dataclasses.replace(result, seconds=_seconds(directory))
        directory.write_json("summary.json", result.summary())
        names = {name for name, _ in made}
        drawn = {f".{form}" for form in ("svg", "png")} & {Path(n).suffix for n in names}
        directory.discard(*(n for n in directory.names("figures") if Path(n).suffix in drawn and n not in names))
        directory.write_files((name, data) for name, data in made if name != "summary.json")
    return result


def _loaded(directory: RunDirectory, pending: Callable[[bytes], object]) -> RunResult:
    """The result of a run; where there is none yet, a page that says so, for whoever has a link to it, and the error."""
    try:
        return load_result(directory)
    except StoreError as error:
        if directory.has("verdict.json"):
            raise
        header, device, plan = _read(directory)
        tickets, counts = len(directory.names("tickets")), len(directory.names("counts"))
        sent = f"{counts:,} of {tickets:,} tickets have counts" if tickets else "nothing was sent"
        done = "it was analysed, but not judged" if directory.has("fits.npz") else "nothing was analysed"
        pending(render_pending(device, plan, header, f"The run is planned, {sent}, and {done}.").encode())
        raise StoreError(f"{error}; the page says that there is nothing to report yet") from error


def _compared(also: Sequence[str]) -> tuple[list[RunResult], list[Point]]:
    """Further points of a staircase: runs, and devices of which numbers are stated."""
    paths = [text for text in also if "=" not in text or RunDirectory(Path(text)).has("run.json")]
    return [load_result(RunDirectory.open(Path(p))) for p in paths], [stated_point(text) for text in also if text not in paths]


def load_result(directory: RunDirectory) -> RunResult:
    """All records of a finished run.

    Raises:
        StoreError: A stage is missing, or a file is damaged or not the one that was written.
    """
    header, device, plan = _read(directory)
    decays, fits, metrics, frontier = _analysed(directory, plan)
    journal = read_journal(directory)
    result = RunResult(
        directory=directory.path, header=header, device=device, plan=plan, decays=decays, fits=fits, metrics=metrics, frontier=frontier,
        verdicts=_child(directory, "verdict.json", Verdicts, metrics_id=metrics.id), instruments=tuple(_instruments(directory, header, on_file=True)),
        truth=directory.read_record("truth.json", Truth) if directory.has("truth.json") else None,
        seconds=_seconds(directory),
        missing=_missing(directory, header, plan), jobs=len(directory.names("tickets")) if "limits" in header else None,
        job_ids=tuple(a.job_id for a in journal.attempts.values() if a.job_id is not None), charged=journal.charged,
        calibrations=tuple(_stated_calibration(directory, name) for name in directory.names("calibration")),
    )  # fmt: skip
    directory.require_sound()  # after reading, since records know better what is wrong with them
    return result


def _instruments(
    directory: RunDirectory, header: Mapping[str, Any], rules: Sequence[str] | None = None, own: Path | None = None, *, on_file: bool = False
) -> list[rulebook.Instrument]:  # fmt: skip
    """The run's instruments, or those named; rule files of the user's own are those kept in the run, where none are given.

    Args:
        directory: The run.
        header: Its header.
        rules: Ids in place of the run's.
        own: Where rule files of the user's own are.
        on_file: Leave out those that an other version shipped and this one does not.
    """
    folder = own or (directory.path / "rules" if directory.has("rules") else None)
    wanted = list(rules if rules is not None else header["rules"])
    known = set(rulebook.rule_ids(folder)) if on_file else set(wanted)
    return rulebook.load_instruments([r for r in wanted if r in known], folder)


def _stated_calibration(directory: RunDirectory, name: str) -> dict[str, str | None]:
    """Time and id of a calibration, as far as the provider states them."""
    document = directory.read_json(name)
    stated = {"at": document.get("last_update_date"), "id": document.get("calibration_id")}
    return {k: None if v is None else str(v) for k, v in stated.items()}


def resume(
    directory: RunDirectory, *, workers: int | None = None, dask: str | None = None, max_memory: int | str | None = None,
    watch: Watcher = SILENT, consent: Consent | None = None, retry: bool = False, resubmit: bool = False, patience: Patience | None = None,
) -> RunResult:  # fmt: skip
    """Finish whatever is left of a run; what an older version derived is derived again.

    Args:
        directory: The run.
        workers: Worker processes on this machine.
        dask: Address of a Dask scheduler, in place of these.
        max_memory: What all workers may use together.
        watch: Told about progress.
        consent: What the user agrees to, where jobs may cost money.
        retry: Send tickets again whose jobs ended without a result.
        resubmit: Send tickets again of which the provider cannot say whether they arrived.
        patience: How long to wait for a provider.
    """
    header, _, plan = _read(directory)
    with Pool(workers, dask, max_memory, say=watch.say) as pool:
        if _is_offline(header):
            _expect_all(directory, header, plan)
        elif not _is_table(header) and _missing(directory, header, plan):
            with open_backend(header["backend"], pool) as backend, _partly(directory, watch, pool):
                submit(directory, backend, consent=consent, retry=retry, resubmit=resubmit, watch=watch, patience=patience)
                collect(directory, backend, watch, patience)
        elif any(a.job_id is not None and a.charged is None for a in read_journal(directory).attempts.values()):
            with contextlib.suppress(BackendError, InputError), open_backend(header["backend"]) as backend:  # what jobs cost is told later
                collect(directory, backend, SILENT, patience)
        return finish(directory, watch, pool=pool)


def finish(directory: RunDirectory, watch: Watcher = SILENT, *, partial: bool = False, pool: Pool | None = None) -> RunResult:
    """Analyse, judge and report, as far as that is not done yet. Offline."""
    watch.stage("analyse", 0)
    stages: tuple[tuple[Callable[[RunDirectory], object], dict[str, type[Record]]], ...] = (
        (
            functools.partial(analyse, partial=partial, pool=pool),
            {"decays.npz": DecayTable, "fits.npz": FittedErrors, "metrics.json": DeviceMetrics, "frontier.npz": Frontier},
        ),
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
    criteria: Mapping[str, float] | None = None, workers: int | None = None, dask: str | None = None,
    max_memory: int | str | None = None, watch: Watcher = SILENT, planned: Callable[[Forecast], None] | None = None, prices: Prices | None = None,
    consent: Consent | None = None, patience: Patience | None = None,
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
        workers: Worker processes on this machine for simulation and analysis; one per core, at most 8, by default. Results do not
            depend on it.
        dask: Address of a Dask scheduler, such as ``"tcp://10.0.0.5:8786"``, whose workers do it in place of these.
        max_memory: Bytes, or a text such as ``"4GiB"``, that all workers may use together; by default half of what is available here,
            at most 4 GiB, and on a cluster half of what each worker has.
        watch: Told about progress.
        planned: Called once the plan is written, before anything runs.
        prices: What device time costs, for the forecast.
        consent: What the user agrees to, where jobs may cost money, e.g. ``Consent(cap=120)``.
        patience: How long to wait for a provider.

    Returns:
        All records; ``.summary()`` gives the JSON summary.

    Raises:
        InputError: A name, file or number cannot be used.
        StoreError: The run directory cannot be written.
        BackendError: The device or simulator fails; the run is resumable.
    """
    checked = load_recipe(recipe, criteria)
    with Pool(workers, dask, max_memory, say=watch.say) as pool:
        with open_backend(backend, pool) as opened:
            if is_simulator(opened):
                pool.connect()  # better now than after the plan
            directory = make_run(
                Path(out) if out is not None else default_directory(opened.spec), backend=opened, recipe=checked, seed=seed, confidence=confidence,
                rules=rules, as_of=as_of, rules_dir=rules_dir,
            )  # fmt: skip
            if planned is not None:
                planned(forecast(directory, prices))
            with _partly(directory, watch, pool):
                submit(directory, opened, consent=consent, watch=watch, patience=patience)
                collect(directory, opened, watch, patience)
        return finish(directory, watch, pool=pool)


@contextlib.contextmanager
def _partly(directory: RunDirectory, watch: Watcher, pool: Pool) -> Iterator[None]:
    """Analyse what other jobs gave where some ended without a result; the error carries it on."""
    try:
        yield
    except JobFailedError as error:
        if directory.names("counts"):
            error.partial = finish(directory, watch, partial=True, pool=pool)
        raise


def load_prices(path: Path) -> Prices:
    """A user's file of prices.

    Raises:
        InputError: It cannot be read or is not valid.
    """
    return load_toml(path, Prices, "price")


def forecast(directory: RunDirectory, prices: Prices | None = None) -> Forecast:
    """What a run's plan will take, job by job where it goes to a provider."""
    header, device, plan = _read(directory)
    tickets = planned_tickets(header, device, plan) if "limits" in header else []
    jobs = []
    for t in tickets:
        seconds, executions = estimate(plan, device, t, header["limits"]["job_overhead"]), int(plan.circuit_shots[t.circuits].sum())
        jobs.append(JobForecast(
            number=t.number, circuits=len(t.circuits), shots=int(plan.circuit_shots[t.circuits[0]]), executions=executions, seconds=round(seconds, 3),
            money=prices.cost(seconds=seconds, executions=executions, jobs=1) if prices is not None else None,
        ))  # fmt: skip
    return Forecast(
        directory=directory.path, plan_id=plan.id, qubits=len(plan.qubits), pairs=len(plan.edges), jobs=tuple(jobs),
        cost=plan_cost(plan, device, len(tickets) if "limits" in header else None), currency=prices.currency if prices is not None else None,
    )  # fmt: skip


def _usable_component(device: Device) -> npt.NDArray[np.bool_]:
    """Members of the largest part of a device that hangs together by usable pairs, ``(n,)``."""
    up = np.zeros((1, device.n_qubits), dtype=bool)
    up[0, device.usable_qubits] = True
    alive = np.zeros((1, len(device.edges)), dtype=bool)
    alive[0, device.usable_edges] = True
    return largest_components(device.n_qubits, device.edges, up, alive)[0]
