"""``qthreshold history``: results over time."""

import datetime
import itertools
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qthreshold.cli.common import Json, Quiet, counted, guarded, reader_may_leave, show, show_json, shown, without_passwords

if TYPE_CHECKING:
    from rich.table import Table

    from qthreshold.drift import Drift
    from qthreshold.errors import QThresholdError
    from qthreshold.history import History, RunEntry
    from qthreshold.measurements import Measurements
    from qthreshold.series import Series

__all__ = ["app"]

app = typer.Typer(help="Results over time, in a file or on a PostgreSQL server (docs/history.md).", no_args_is_help=True, rich_markup_mode=None)

Where = Annotated[
    str,
    typer.Option(
        "--history", metavar="FILE|URL", envvar="QTHRESHOLD_HISTORY", show_envvar=True, show_default=False,
        help="A file (./qthreshold-history.db by default), or postgresql://USER@HOST/DATABASE.",
    ),
]  # fmt: skip
Device = Annotated[str | None, typer.Option("--device", "-d", metavar="NAME", help="Only this device.")]
Last = Annotated[int | None, typer.Option("--last", metavar="N", min=1, help="Only the newest N runs.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or how it begins.")]

_FILE = "qthreshold-history.db"
_SHOWN = 10  # runs of a trend, unless more are asked for
_WINDOW = 200  # runs in which drift is looked for, unless more are asked for
_COLUMNS = ("run_id", "device", "taken_at", "gate", "metric", "target", "best", "low", "high", "level", "dof", "status")


def _open(where: str, *, create: bool = False) -> "History":
    from qthreshold.history import open_history

    return open_history(where, create=create)


def _table(*columns: str, right: Iterable[int] = ()) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i in set(right) else "left", overflow="fold", no_wrap=i == 0)
    return table


def _empty(history: "History") -> str:
    return f"{history.name} holds no runs yet; add some: qthreshold history add RUN_DIR ..."


def _day(moment: str) -> str:
    return moment[:16].replace("T", " ")


# runs go in


@app.command("add")
def add(
    directories: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run directories, analysed and judged.")],
    where: Where = _FILE,
    taken_at: Annotated[
        str | None, typer.Option("--taken-at", metavar="RFC3339", help="When the run was made, where its directory says something else.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of a run of the same id that has other numbers.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Add finished runs, and what the gate said. A run that is there already is left alone; the gate's word is in its directory's check.json.

    Of several, what cannot be added is named and left out; the exit code is then the gravest of theirs (2 or 4), after all others were added.

    \b
    Examples:
      qthreshold history add runs/tonight
      qthreshold history add runs/* --history /data/history.db
      qthreshold history add old --taken-at 2026-03-01T04:00:00Z
    """  # noqa: D301
    with guarded():
        from qthreshold.errors import InputError, QThresholdError

        moment = _moment(taken_at) if taken_at is not None else None
        if moment is not None and len(directories) > 1:
            raise InputError("--taken-at goes with one run directory only")
        left_out: dict[Path, QThresholdError] = {}
        found = _read_runs(directories, moment, left_out)
        first = next(found, None)  # where nothing can be read, no empty history is left behind
        said: list[dict[str, Any]] = []
        if first is not None:
            with _open(where, create=True) as history:
                for directory, measurements, outcome in itertools.chain([first], found):
                    known = measurements if moment is not None or replace else history.at_known_time(measurements)
                    try:
                        added = history.add(known, outcome, replace=replace)
                    except InputError as error:  # of this run; what is wrong with the history itself ends it all
                        _leave_out(directory, error, left_out, alone=len(directories) == 1)
                        continue
                    kept = history.entry(measurements.run_id).outcome
                    said.append({"directory": str(directory), "run_id": measurements.run_id, "added": added, "gate": kept})
                    if not (json or quiet):
                        show(f"{directory}: run {measurements.run_id} {'added' if added else 'was there already'}; gate: {kept or 'not asked'}.")
                    if outcome and kept != outcome:
                        print(f"qthreshold: {directory}: the gate now says {outcome}; kept: {kept}; --replace takes the new one", file=sys.stderr)
        if json:
            show_json([*said, *({"directory": str(d), "run_id": None, "added": False, "gate": "", "why": str(e)} for d, e in left_out.items())])
        elif not quiet and len(directories) > 1:
            new = sum(s["added"] for s in said)
            there = f", {len(said) - new:,} there already" if len(said) > new else ""
            show(f"{new:,} added{there}, {len(left_out):,} left out.")
        if left_out:
            raise typer.Exit(max(error.exit_code for error in left_out.values()))


def _read_runs(
    directories: Sequence[Path], taken_at: str | None, left_out: "dict[Path, QThresholdError]"
) -> "Iterator[tuple[Path, Measurements, str]]":  # fmt: skip
    """Runs that can be read, one after the other; the others are left out. One that is alone raises its error."""
    from qthreshold.errors import QThresholdError, StoreError

    for directory in directories:
        try:
            yield directory, *_read_run(directory, taken_at)
        except QThresholdError as error:
            _leave_out(directory, error, left_out, alone=len(directories) == 1)
        except OSError as error:
            unreadable = StoreError(f"{error.strerror or error}: {error.filename or directory}")
            _leave_out(directory, unreadable, left_out, alone=len(directories) == 1)


def _leave_out(directory: Path, error: "QThresholdError", left_out: "dict[Path, QThresholdError]", *, alone: bool) -> None:
    if alone:
        raise error
    left_out[directory] = error
    print(f"qthreshold: {shown(directory)} is left out: {without_passwords(' '.join(str(error).split()))}", file=sys.stderr)


def _moment(text: str) -> str:
    from qthreshold.errors import InputError

    try:
        if datetime.datetime.fromisoformat(text.upper()).tzinfo is not None:
            return text
    except ValueError:
        pass
    raise InputError(f"--taken-at {text!r} is no time with a time zone; write it as 2026-03-01T04:00:00Z or 2026-03-01T05:00:00+01:00")


def _read_run(directory: Path, taken_at: str | None) -> "tuple[Measurements, str]":
    """Numbers of a run directory, and what the gate said."""
    from qthreshold.ci import measured
    from qthreshold.store import RunDirectory

    measurements = measured(directory)
    outcome = _gate_outcome(RunDirectory.open(directory), measurements.run_id)
    return (measurements.replace(taken_at=taken_at) if taken_at is not None else measurements), outcome


def _gate_outcome(run: Any, run_id: str) -> str:
    from qthreshold.check import CheckResult
    from qthreshold.errors import StoreError

    if not run.has("check.json"):
        return ""
    try:
        said = CheckResult.from_dict(run.read_json("check.json"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(f"{run.path / 'check.json'} is damaged ({error}); run 'qthreshold check' again") from None
    if said.run_id != run_id:
        raise StoreError(f"{run.path / 'check.json'} is of run {said.run_id!r}, not of this one ({run_id}); run 'qthreshold check' again")
    return said.outcome


# runs come out


@app.command("list")
def list_(where: Where = _FILE, device: Device = None, last: Last = None, json: Json = False) -> None:
    """Runs, oldest first."""
    with guarded(), _open(where) as history:
        found = history.runs(device, last)
        if json:
            show_json([e.as_dict() for e in found])
            return
        if not found:
            show(_empty(history))
            return
        table = _table("run", "device", "made (UTC)", "gate", "missing circuits", right=[4])
        for e in found:
            table.add_row(e.run_id, _plain(e.device), _utc(e), e.outcome or "-", f"{e.missing:,}" if e.missing else "-")
        show(table)
        show(f"{counted(len(found), 'run')} in {history.name}. More: qthreshold history show RUN, qthreshold history trend")


def _utc(entry: "RunEntry") -> str:
    from qthreshold.history.book import seconds

    moment = seconds(entry.taken_at)
    return entry.taken_at if moment is None else _day(_iso(moment))


def _iso(moment: float) -> str:
    """Seconds since 1970 as a text; any year that a time can have."""
    day = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=moment)
    return day.isoformat().replace("+00:00", "Z")


def _plain(name: str) -> str:
    from qthreshold.report.words import shown_name

    return shown_name(name)


@app.command("show")
def show_(
    run: Run,
    where: Where = _FILE,
    everything: Annotated[bool, typer.Option("--all", help="Every pair and qubit too.")] = False,
    json: Json = False,
) -> None:
    """A run's numbers."""
    with guarded(), _open(where) as history:
        m, entry = history.measurements(run), history.entry(run)
        if json:
            show_json(m.as_dict() | {"gate": entry.outcome, "added_at": entry.added_at})
            return
        from qthreshold.report.trendtext import value_words
        from qthreshold.report.words import printable

        show(f"Run {m.run_id} of {_plain(m.device)}, made {m.taken_at}; gate: {entry.outcome or 'not asked'}.")
        if m.calibrated_at or m.calibration_id:
            show(f"Calibrated {m.calibrated_at or 'at a time not stated'}{f' ({printable(m.calibration_id)})' if m.calibration_id else ''}.")
        rows = [r for r in m.rows() if everything or not r.target]
        table = _table("metric", "of", f"value ({100 * m.level:g} %)", "status")
        for r in rows:
            status = "" if r.status == "ok" else printable(r.status)
            table.add_row(r.metric, printable(r.target) or "device", value_words(r.metric, r.estimate), status)
        show(table)
        show(", ".join(f"{printable(k)}: {printable(v) or '-'}" for k, v in m.context.items()) + ".")
        if len(rows) < len(m.metric):
            show(f"And {counted(len(m.metric) - len(rows), 'number')} of pairs and qubits: --all, or --json.")


@app.command("trend")
def trend(
    where: Where = _FILE,
    device: Annotated[str | None, typer.Option("--device", "-d", metavar="NAME", help="Of which device; not needed where there is one.")] = None,
    metric: Annotated[
        str, typer.Option("--metric", "-m", metavar="NAME", help="For example cnot_error.mean, or cnot_error of a pair.")
    ] = "cnot_error.mean",
    target: Annotated[str, typer.Option("--target", "-t", metavar="A-B|Q", help="Pair or qubit, where the metric is of one.")] = "",
    last: Last = None,
    json: Json = False,
) -> None:
    """What drifts: a number of a device over its runs, with trend, steps and alarms.

    Without --target, a metric of pairs or qubits is shown for all of them, those with an alarm first. The chance of a false alarm is 5 % in
    30 runs at most, for all numbers of the device together. Looked at are the newest 200 runs, or --last N.

    \b
    Examples:
      qthreshold history trend
      qthreshold history trend -d chip -m cnot_error
      qthreshold history trend -d chip -m cnot_error -t 3-4 --last 50
    """  # noqa: D301
    with guarded(), _open(where) as history:
        from qthreshold.drift import charts_of, find_drift
        from qthreshold.errors import InputError
        from qthreshold.measurements import PER_TARGET

        name = device or _only_device(history)
        many = metric in PER_TARGET and not target
        newest = last or _WINDOW
        found = history.all_series(name, metric, newest) if many else [history.series(name, metric, target, newest)]
        if not found:
            raise InputError(f"the newest {newest} runs of {name} that were measured as its newest have no {metric}")
        having = history.metrics(name)
        drifts = find_drift(found, among=having)
        if json:
            show_json([_trend_dict(s, d) for s, d in zip(found, drifts, strict=True)] if many else _trend_dict(found[0], drifts[0]))
        elif many:
            _show_drifts(found, drifts, charts_of(having))
        else:
            _show_trend(found[0], drifts[0], charts_of(having), last or _SHOWN)


def _only_device(history: "History") -> str:
    from qthreshold.errors import InputError

    devices = history.devices()
    if len(devices) == 1:
        return devices[0]
    raise InputError(f"--device: which of {', '.join(map(repr, devices))}?" if devices else _empty(history))


def _trend_dict(found: "Series", drift: "Drift") -> dict[str, Any]:
    return {
        "schema": "qthreshold/trend/1", "device": found.device, "metric": found.metric, "target": found.target, "level": found.level,
        "left_out": found.left_out.as_dict(), "drift": drift.as_dict(), "points": _points(found),
    }  # fmt: skip


def _points(found: "Series", last: int = 0) -> list[dict[str, Any]]:
    """The newest points of a series, or all of them."""
    start = max(len(found.run_ids) - last, 0) if last else 0
    columns = (getattr(found, n)[start:].tolist() for n in ("taken_at", "calibrated_at", "low", "best", "high", "dof"))
    return [
        {
            "run_id": run_id, "taken_at": _iso(taken), "calibrated_at": _iso(calibrated) if calibrated == calibrated else None,
            "low": _known(low), "best": _known(best), "high": _known(high), "dof": _known(dof), "status": status,
        }
        for run_id, taken, calibrated, low, best, high, dof, status in zip(found.run_ids[start:], *columns, found.status[start:], strict=True)
    ]  # fmt: skip


def _known(value: float) -> float | None:
    return value if value - value == 0 else None  # neither NaN nor infinite


def _show_trend(found: "Series", drift: "Drift", charts: int, most: int) -> None:
    from qthreshold.identity import Interval
    from qthreshold.report.trendtext import left_out_words, trend_text, value_words
    from qthreshold.report.words import printable

    hours = drift.hours_since_calibration
    calibrated = f" Last calibrated {hours:.1f} hours before the last run." if hours == hours else ""
    show(f"{_plain(found.device)}, {counted(len(found.run_ids), 'run')}, intervals at {100 * found.level:g} %.{calibrated}")
    if said := left_out_words(found.left_out):
        show(said)
    show(trend_text(found, drift))
    _show_chance([drift], charts)
    table = _table("run", "made (UTC)", "value", "status")
    spans = zip(*(getattr(found, end)[-most:].tolist() for end in ("low", "best", "high")), strict=True)
    for p, (low, best, high) in zip(_points(found, most), spans, strict=True):
        value = value_words(found.metric, Interval(low=low, best=best, high=high, level=found.level))
        table.add_row(p["run_id"], _day(p["taken_at"]), value, "" if p["status"] == "ok" else printable(p["status"]))
    show(table)
    if len(found.run_ids) > most:
        show(f"These are the newest {most} of the {counted(len(found.run_ids), 'run')} looked at; --last N shows more, --json all.")


def _show_drifts(found: "Sequence[Series]", drifts: "Sequence[Drift]", charts: int) -> None:
    """All pairs or qubits: those with an alarm first."""
    from qthreshold.measurements import METRICS
    from qthreshold.report.trendtext import alarm_words, left_out_words, trend_words, value_words

    alarmed = [d for d in drifts if d.alarm is not None]
    lasting = sum(d.alarmed for d in drifts)
    last = f"{lasting:,} of them last" if alarmed else "none lasts"
    show(f"{_plain(found[0].device)}, {METRICS[found[0].metric]}: {counted(len(alarmed), 'alarm')} among {len(drifts):,} series, {last}.")
    if said := left_out_words(found[0].left_out):
        show(said)
    table = _table("of", "last", "trend", "alarm")
    for d in sorted(drifts, key=lambda d: (d.alarm is None, not d.alarmed)):
        said = alarm_words(d) if d.alarm is not None else d.state
        table.add_row(d.target, value_words(d.metric, d.last), trend_words(d) or "-", said)
    show(table)
    _show_chance(drifts, charts)


def _show_chance(drifts: "Sequence[Drift]", charts: int) -> None:
    """How often an alarm is false, where there are charts."""
    if any(d.threshold == d.threshold for d in drifts):
        show(f"The chance of any false alarm is at most 5 % in 30 runs, for the {counted(charts, 'error rate')} of the device together.")


@app.command("site")
def site(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the pages.")],
    where: Where = _FILE,
    device: Device = None,
    last: Last = None,
    quiet: Quiet = False,
) -> None:
    """Write static pages of all devices, for a web server or a file share: index.html, and a page for each device.

    \b
    Example:
      qthreshold history site --out public --history lab.db
    """  # noqa: D301
    with guarded(), _open(where) as history:
        from qthreshold.ci import drift_of
        from qthreshold.report.site import site_files
        from qthreshold.store import write_folder

        names = [device] if device is not None else history.devices()
        fleet = [drift_of(history, name, last or _WINDOW) for name in names]
        write_folder(out, site_files(fleet, now=time.time()))
        if not quiet:
            show(f"{counted(len(names), 'device')}: {shown(out / 'index.html')}")


@app.command("export")
def export(
    where: Where = _FILE,
    device: Device = None,
    metric: Annotated[str | None, typer.Option("--metric", "-m", metavar="NAME", help="Only this one.")] = None,
    last: Last = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to write; else stdout.")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON lines instead of CSV.")] = False,
) -> None:
    """Every number of every run. CSV that is safe to open in a spreadsheet, or JSON lines with all digits."""
    with guarded(), _open(where) as history:
        from qthreshold.errors import InputError
        from qthreshold.measurements import METRICS
        from qthreshold.suggest import near_matches

        if metric is not None and metric not in METRICS:
            raise InputError(f"--metric: no metric {metric!r}; {near_matches(metric, METRICS)}")
        entries = history.runs(device, last)
        if not entries:
            raise InputError(_empty(history))
        texts = _export(history, entries, metric, json=json)
        if out is None:
            with reader_may_leave():
                sys.stdout.writelines(texts)
            return
        with out.open("w", encoding="utf-8", newline="") as file:
            file.writelines(texts)
        show(f"{counted(len(entries), 'run')} written to {out}.")


def _export(history: "History", entries: "list[RunEntry]", metric: str | None, *, json: bool) -> Iterator[str]:
    """Lines of one run after the other, so that no more than a run is in memory."""
    import json as encoder

    from qthreshold.report.tables import to_csv

    for number, e in enumerate(entries):
        rows = [
            (e.run_id, e.device, e.taken_at, e.outcome, r.metric, r.target, *map(_known, (r.estimate.best, r.estimate.low, r.estimate.high)),
             e.level, _known(r.dof), r.status)
            for r in history.measurements(e.run_id).rows() if metric in (None, r.metric)
        ]  # fmt: skip
        if json:
            yield from (encoder.dumps(dict(zip(_COLUMNS, row, strict=True)), allow_nan=False) + "\n" for row in rows)
        else:
            text = to_csv(_COLUMNS, rows)
            yield text if number == 0 else text.partition("\n")[2]


# housekeeping


@app.command("prune")
def prune(
    where: Where = _FILE,
    keep: Annotated[int | None, typer.Option("--keep", metavar="N", min=0, help="The newest N runs of each device stay.")] = None,
    before: Annotated[str | None, typer.Option("--before", metavar="DATE", help="Only runs made before this day or time (UTC) go.")] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="This run goes, and nothing else.")] = None,
    device: Device = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Remove old runs from the history; run directories stay.

    \b
    Examples:
      qthreshold history prune --keep 1000
      qthreshold history prune --before 2025-01-01 --device chip --yes
      qthreshold history prune --run 0123abcd
    """  # noqa: D301
    with guarded():
        from qthreshold.errors import InputError

        if (run is None) == (keep is None and before is None):
            raise InputError("say what goes: --keep N, --before DATE or both; or --run RUN alone")
        if run is not None and device is not None:
            raise InputError("--device goes with --keep and --before")
        day = _day_before(before) if before is not None else None
        with _open(where) as history:
            old = [history.entry(run)] if run is not None else history.prunable(keep, day, device)
            if old and not yes and not _agreed(old, history.name):
                raise InputError("nothing was removed; --yes removes without a question")
            history.remove(*(entry.run_id for entry in old))  # those that were shown, whatever came in meanwhile
            if json:
                show_json({"removed": [e.run_id for e in old]})
            elif not quiet:
                show(f"{counted(len(old), 'run')} removed from {history.name}.")


def _day_before(text: str) -> datetime.datetime:
    from qthreshold.errors import InputError

    try:
        day = datetime.datetime.fromisoformat(text.upper())
    except ValueError:
        raise InputError(f"--before {text!r} is no day or time; write it as 2026-01-31 or 2026-01-31T12:00:00Z") from None
    return day if day.tzinfo is not None else day.replace(tzinfo=datetime.UTC)


def _agreed(old: "list[RunEntry]", name: str) -> bool:
    first = f"{old[0].run_id} of {_plain(old[0].device)}, {_utc(old[0])}"
    span = first if len(old) == 1 else f"{first}, to {old[-1].run_id} of {_plain(old[-1].device)}, {_utc(old[-1])}"
    question = f"Remove {counted(len(old), 'run')} from {name} ({span})?"
    return sys.stdin.isatty() and sys.stderr.isatty() and typer.confirm(question, err=True)


@app.command("verify")
def verify(where: Where = _FILE, json: Json = False, quiet: Quiet = False) -> None:
    """Check the whole database. Its structure, and every run against the id of its content; exit code 4 if anything is wrong."""
    with guarded(), _open(where) as history:
        from qthreshold.errors import StoreError

        faults = history.verify()
        if json:
            show_json({"sound": not faults, "faults": faults})
        if faults:
            more = f" (and {len(faults) - 3:,} more faults)" if len(faults) > 3 else ""
            raise StoreError(f"{history.name}: {'; '.join(faults[:3])}{more}")
        if not (json or quiet):
            show(f"{history.name} is sound: {counted(len(history.runs()), 'run')}.")
