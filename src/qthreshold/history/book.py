"""A history: runs go in whole, come out whole or number by number over time."""

import datetime
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Select, delete, func, insert, select, text, update

from qthreshold.errors import InputError, StoreError
from qthreshold.history import OUTCOMES
from qthreshold.history.database import Database, damaged
from qthreshold.history.location import Location
from qthreshold.history.tables import points, runs, series
from qthreshold.identity import canonical_json
from qthreshold.measurements import Measurements
from qthreshold.numerics.intervals import student_t
from qthreshold.series import LeftOut, Series, left_out, what_counts
from qthreshold.suggest import near_matches

__all__ = ["History", "RunEntry", "seconds"]

Real = npt.NDArray[np.float64]

_NUMBERS = ("best", "low", "high", "dof")
_DAMAGE = (ValueError, TypeError, KeyError, AttributeError, OverflowError)  # what content that nobody wrote can raise
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_NAMED = 8  # things that a message names


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry:
    """A run in the history, without its numbers.

    Attributes:
        run_id, device, taken_at, calibrated_at, calibration_id, missing, level: As in :class:`.measurements.Measurements`.
        outcome: What the gate said: ``passed``, ``failed``, ``undetermined``, ``error``; empty where it was not asked.
        content: Id of the measurements.
        added_at: When the run came into the history, RFC 3339.
    """

    run_id: str
    device: str
    taken_at: str
    calibrated_at: str
    calibration_id: str
    missing: int
    level: float
    outcome: str
    content: str
    added_at: str

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


_ENTRY = [runs.c[f.name] for f in fields(RunEntry)]


def seconds(moment: str) -> float | None:
    """Seconds since 1970 (UTC) of a time in RFC 3339, UTC where it does not say; None where it cannot be read.

    Example:
        >>> seconds("1970-01-02T01:00:00+01:00")
        86400.0
    """
    try:
        read = datetime.datetime.fromisoformat(moment.upper())
    except ValueError:
        return None
    return ((read if read.tzinfo else read.replace(tzinfo=datetime.UTC)) - _EPOCH).total_seconds()


class History:
    """An open history; see :func:`.open_history`.

    Every method may raise ``StoreError``: the database is damaged, locked, or cannot be reached, read or written.
    """

    def __init__(self, location: Location, *, create: bool) -> None:
        self._location = location
        self._database = Database(location, create=create)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @property
    def name(self) -> str:
        """Where it is, without a password."""
        return self._location.name

    # writing

    def add(self, measurements: Measurements, outcome: str = "", *, replace: bool = False) -> bool:
        """Add a run. When this returns, it is on the disk.

        Args:
            measurements: Of the run.
            outcome: What the gate said: of :data:`.OUTCOMES`. Of a run that is there already it is filled in where it was not known.
            replace: Take the place of a run of the same id; one that lacked data (outcome ``error``) gives way to other numbers anyway.

        Returns:
            Whether anything of the run was written; False if the history had all of its numbers.

        Raises:
            InputError: A run of the same id has other numbers, or a time or name cannot be kept.
        """
        if outcome not in OUTCOMES:
            raise ValueError(f"outcome {outcome!r} is none of {', '.join(OUTCOMES[1:])}")
        values = _values(measurements) | {"outcome": outcome, "added_at": _now()}
        rows = _point_rows(measurements)
        with self._database.writing() as connection:
            there = connection.execute(select(runs.c.id, runs.c.content, runs.c.outcome).where(runs.c.run_id == measurements.run_id)).one_or_none()
            completed = there is not None and there.outcome == "error" and there.content != measurements.id
            if there is not None and not (replace or completed):
                if there.content != measurements.id:
                    raise InputError(self._other_numbers(connection, measurements))
                if outcome and not there.outcome:
                    connection.execute(update(runs).where(runs.c.id == there.id).values(outcome=outcome))
                return False
            if there is not None:
                _remove(connection, [there.id])
            number = connection.execute(insert(runs).values(values)).inserted_primary_key[0]  # type: ignore[index]
            numbers = _series_numbers(connection, measurements)
            for row, key in zip(rows, zip(measurements.metric, measurements.target, strict=True), strict=True):
                row |= {"run": number, "series": numbers[key]}
            if rows:
                connection.execute(insert(points), sorted(rows, key=lambda row: row["series"]))
        return True

    def at_known_time(self, measurements: Measurements) -> Measurements:
        """The same, made when the history says that the run was made, which somebody may have stated; unchanged if it has no such run."""
        with self._database.reading() as connection:
            known = connection.execute(select(runs.c.taken_at).where(runs.c.run_id == measurements.run_id)).scalar_one_or_none()
        return measurements if known is None else measurements.replace(taken_at=known)

    def _other_numbers(self, connection: Connection, new: Measurements) -> str:
        old = self._read(connection, new.run_id)
        names = [f.name for f in fields(Measurements)]
        differ = [n for n in names if not np.array_equal(getattr(old, n), getattr(new, n), equal_nan=n in _NUMBERS)]
        return (
            f"run {new.run_id} of {old.device} is in {self.name} with other content ({', '.join(differ) or 'signs of zeros'});"
            f" if the new one is right, take it instead: qthreshold history add --replace RUN_DIR"
        )

    def remove(self, *chosen: str) -> None:
        """Take runs out, all of them or, if an exception comes, none.

        Args:
            *chosen: Id of each, or how it begins.

        Raises:
            InputError: There is no such run, or several.
        """
        with self._database.writing() as connection:
            run_ids = [self._find(connection, run) for run in chosen]
            _remove(connection, [connection.execute(select(runs.c.id).where(runs.c.run_id == run_id)).scalar_one() for run_id in run_ids])

    def prunable(self, keep: int | None = None, before: datetime.datetime | None = None, device: str | None = None) -> list[RunEntry]:
        """Runs that :meth:`prune` would remove."""
        with self._database.reading() as connection:
            return [self._entry(row) for row in connection.execute(self._old(connection, keep, before, device, *_ENTRY))]

    def prune(self, keep: int | None = None, before: datetime.datetime | None = None, device: str | None = None) -> int:
        """Remove old runs.

        Args:
            keep: How many of the newest runs of each device stay, whatever their age.
            before: Only runs made before this time go.
            device: Only runs of this device go.

        Returns:
            How many were removed.

        Raises:
            InputError: There is no such device.
        """
        with self._database.writing() as connection:
            old = list(connection.scalars(self._old(connection, keep, before, device, runs.c.id)))
            _remove(connection, old)
        return len(old)

    def _old(
        self, connection: Connection, keep: int | None, before: datetime.datetime | None, device: str | None, *columns: Any
    ) -> Select[Any]:  # fmt: skip
        if keep is None and before is None:
            raise ValueError("prune needs keep or before, or both")
        if keep is not None and keep < 0:
            raise ValueError(f"keep must be 0 or more, got {keep}")
        age = func.row_number().over(partition_by=runs.c.device, order_by=(runs.c.taken.desc(), runs.c.id.desc()))
        aged = select(runs.c.id, age.label("age")).subquery()
        query = select(*columns).join(aged, aged.c.id == runs.c.id).where(aged.c.age > (keep or 0)).order_by(runs.c.taken, runs.c.id)
        if before is not None:
            moment = before if before.tzinfo else before.replace(tzinfo=datetime.UTC)
            query = query.where(runs.c.taken < (moment - _EPOCH).total_seconds())
        if device is not None:
            self._known_device(connection, device)
            query = query.where(runs.c.device == device)
        return query

    # reading

    def runs(self, device: str | None = None, last: int | None = None) -> list[RunEntry]:
        """Runs in the order in which they were made.

        Args:
            device: Only of this one.
            last: Only so many, the newest.

        Raises:
            InputError: There is no such device.
        """
        with self._database.reading() as connection:
            if device is not None:
                self._known_device(connection, device)
            return [self._entry(row) for row in reversed(connection.execute(_newest(device, last, *_ENTRY)).all())]

    def devices(self) -> list[str]:
        """Names of the devices that have runs, sorted."""
        with self._database.reading() as connection:
            return sorted(connection.scalars(select(runs.c.device).distinct()))

    def measurements(self, run: str) -> Measurements:
        """All numbers of a run, checked against its content id.

        Args:
            run: Its id, or how it begins.

        Raises:
            InputError: There is no such run, or several.
        """
        with self._database.reading() as connection:
            return self._read(connection, self._find(connection, run))

    def entry(self, run: str) -> RunEntry:
        """A run without its numbers; arguments and errors as of :meth:`measurements`."""
        with self._database.reading() as connection:
            return self._entry(connection.execute(select(*_ENTRY).where(runs.c.run_id == self._find(connection, run))).one())

    def series(self, device: str, metric: str, target: str = "", last: int | None = None) -> Series:
        """One number of a device over time.

        Args:
            device: Its name.
            metric: Of :data:`.measurements.METRICS`.
            target: Pair (``3-4`` or ``4-3``) or qubit (``5``), where the metric is of one.
            last: Only from the newest so many runs of the device.

        Returns:
            With intervals at the level of the newest run. Those of runs at another level are widened or narrowed by quantiles of Student's t,
            which leaves the standard errors as they are. Runs that were measured or counted otherwise than the newest are left out, as it says.

        Raises:
            InputError: There is no such device, metric or target.
        """
        with self._database.reading() as connection:
            found = self._series(connection, device, metric, last, target) or self._series(connection, device, metric, last, _turned(target))
            if not found:
                raise InputError(self._no_series(connection, device, metric, target, last))
            return found[0]

    def all_series(self, device: str, metric: str, last: int | None = 200) -> list[Series]:
        """A number of every target of a device over time: pairs or qubits in their order; arguments as of :meth:`series`.

        Returns:
            Empty if the metric has no number in the newest so many runs that were measured and counted as the newest.

        Raises:
            InputError: There is no such device or metric.
        """
        with self._database.reading() as connection:
            found = self._series(connection, device, metric, last)
            if not found and connection.execute(select(series.c.id).where(series.c.device == device, series.c.metric == metric)).first() is None:
                raise InputError(self._no_series(connection, device, metric, "", last))
            return found

    def metrics(self, device: str) -> dict[str, int]:
        """How many series of each metric a device has: one of the whole device, one of each pair or qubit."""
        with self._database.reading() as connection:
            query = select(series.c.metric, func.count().label("number")).where(series.c.device == device).group_by(series.c.metric)
            return {row.metric: row.number for row in connection.execute(query)}

    def targets(self, device: str, metric: str) -> list[str]:
        """Targets of which a device has a metric, in their order."""
        with self._database.reading() as connection:
            query = select(series.c.target).where(series.c.device == device, series.c.metric == metric)
            return sorted(connection.scalars(query), key=_in_order)

    def baseline(self, device: str, which: str, before: str) -> list[Measurements]:
        """Earlier runs to compare a run with.

        Args:
            device: Its name.
            which: ``last-good``: the newest run that passed the gate; ``last:N``: the N newest, or as many as there are,
                but none that lacked data.
            before: Id of the run that is compared: it is left out, and if it is in the history, so is everything made after it.

        Returns:
            In the order in which they were made; at least one.

        Raises:
            InputError: ``which`` is something else, or there is no such run.
        """
        count = re.fullmatch(r"last:([1-9]\d{0,5})", which)
        if which != "last-good" and count is None:
            raise InputError(f"baseline {which!r} is neither last-good nor last:N, for example last:5")
        with self._database.reading() as connection:
            self._known_device(connection, device)
            query = _newest(device, None, runs.c.run_id).where(runs.c.run_id != before)
            itself = connection.execute(select(runs.c.id, runs.c.taken).where(runs.c.run_id == before)).one_or_none()
            if itself is not None:
                query = query.where((runs.c.taken < itself.taken) | ((runs.c.taken == itself.taken) & (runs.c.id < itself.id)))
            usable = query.where(runs.c.outcome != "error")  # what lacks data is no measure of what does not
            chosen = usable.limit(int(count[1])) if count is not None else query.where(runs.c.outcome == "passed").limit(1)
            found = list(connection.scalars(chosen))
            if not found:
                raise InputError(self._no_baseline(connection, device, query.with_only_columns(runs.c.run_id, runs.c.outcome)))
            return [self._read(connection, run_id) for run_id in reversed(found)]

    def verify(self) -> list[str]:
        """What is wrong with the database, one line each; empty when all is well. Reads everything, which takes a while."""
        found: list[str] = []
        with self._database.reading() as connection:
            if self._location.path is not None:
                said = connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars().all()
                found += [str(line) for line in said if line != "ok"]
            for row in connection.execute(select(*_ENTRY, runs.c.taken, runs.c.calibrated).order_by(runs.c.id)).all():
                found += self._faults(connection, row)
            lost = (
                select(func.count()).select_from(points).where(points.c.run.not_in(select(runs.c.id)) | points.c.series.not_in(select(series.c.id)))
            )
            if count := connection.execute(lost).scalar_one():
                found.append(f"{count:,} points belong to no run")
        return found

    def _faults(self, connection: Connection, row: Any) -> list[str]:
        try:
            entry = self._entry(row)
            if row.taken != seconds(entry.taken_at) or row.calibrated != seconds(entry.calibrated_at):
                return [f"run {entry.run_id}: its times do not agree"]
            self._read(connection, entry.run_id)
        except StoreError as error:
            return [str(error)]
        return []

    # helpers

    def _find(self, connection: Connection, run: str) -> str:
        """The whole id of a run."""
        if connection.execute(select(runs.c.id).where(runs.c.run_id == run)).first() is not None:
            return run
        # not LIKE, which has wildcards and ignores case; not a range, whose order depends on the server's language
        found = list(connection.scalars(select(runs.c.run_id).where(func.substr(runs.c.run_id, 1, len(run)) == run))) if run else []
        if len(found) == 1:
            return str(found[0])
        if found:
            raise InputError(f"{len(found)} runs in {self.name} begin with {run!r}: {_some(sorted(found))}; write more of it")
        known = list(connection.scalars(_newest(None, None, runs.c.run_id)))
        raise InputError(f"{self.name} has no run {run!r}; {near_matches(run, known, most=_NAMED)}" if known else self._empty())

    def _empty(self) -> str:
        return f"{self.name} holds no runs yet; add some: qthreshold history add RUN_DIR ..."

    def _known_device(self, connection: Connection, device: str) -> None:
        if connection.execute(select(runs.c.id).where(runs.c.device == device).limit(1)).first() is None:
            known = list(connection.scalars(select(runs.c.device).distinct()))
            raise InputError(f"{self.name} has no device {device!r}; {near_matches(device, known, most=_NAMED)}" if known else self._empty())

    def _no_series(self, connection: Connection, device: str, metric: str, target: str, last: int | None) -> str:
        self._known_device(connection, device)
        metrics = list(connection.scalars(select(series.c.metric).where(series.c.device == device).distinct()))
        if metric not in metrics:
            return f"{device} has no metric {metric!r} in {self.name}; {near_matches(metric, metrics)}"
        known = list(connection.scalars(select(series.c.target).where(series.c.device == device, series.c.metric == metric)))
        if target in known or _turned(target) in known:
            which = "the runs" if last is None else f"the last {last} runs"
            return f"{which} of {device} that were measured as its newest have no {metric} {target}".rstrip()
        if known == [""]:
            return f"{metric} is of the whole device; leave the target {target!r} out"
        if not target:
            return f"{metric} is of single pairs or qubits; name one as target: {_some(sorted(known, key=_in_order))}"
        return f"{device} has no {metric} of {target!r} in {self.name}; {near_matches(target, known, most=_NAMED)}"

    def _no_baseline(self, connection: Connection, device: str, earlier: Select[Any]) -> str:
        found = connection.execute(earlier).all()
        if not found:
            return f"{self.name} has no other run of {device} to compare with; add one: qthreshold history add RUN_DIR"
        said = [f"{row.run_id} ({row.outcome or 'gate not asked'})" for row in found]
        return f"no earlier run of {device} in {self.name} passed the gate; there is {_some(said)}; name one of the last instead: last:N"

    def _entry(self, row: Any) -> RunEntry:
        found = RunEntry(**{name: getattr(row, name) for name in (f.name for f in fields(RunEntry))})
        words = (found.run_id, found.device, found.taken_at, found.calibrated_at, found.calibration_id, found.content, found.added_at)
        if not all(isinstance(w, str) for w in words) or found.outcome not in OUTCOMES or not isinstance(found.missing, int):
            raise damaged(self._location, f"run {found.run_id} is not as it was written")
        return found

    def _read(self, connection: Connection, run_id: str) -> Measurements:
        """A run by its whole id."""
        head = connection.execute(select(runs).where(runs.c.run_id == run_id)).one_or_none()
        if head is None:  # somebody found it a moment ago
            raise damaged(self._location, f"run {run_id} is not as it was written")
        query = select(series.c.metric, series.c.target, points.c.place, *(points.c[n] for n in _NUMBERS), points.c.status)
        rows = connection.execute(
            query.join(points, points.c.series == series.c.id).where(series.c.device == head.device, points.c.run == head.id)
        ).all()
        try:
            rows = sorted(rows, key=lambda row: row.place)
            found = Measurements(
                run_id=head.run_id, device=head.device, taken_at=head.taken_at, calibrated_at=head.calibrated_at, calibration_id=head.calibration_id,
                context=json.loads(head.context), origin=json.loads(head.origin), missing=head.missing, level=head.level,
                metric=tuple(row.metric for row in rows), target=tuple(row.target for row in rows), status=tuple(row.status for row in rows),
                **{name: np.array([getattr(row, name) for row in rows], dtype=float) for name in _NUMBERS},
            )  # fmt: skip
            sound = found.id == head.content
        except _DAMAGE:
            sound = False
        if not sound:
            raise damaged(self._location, f"run {run_id} is not as it was written")
        return found

    def _series(self, connection: Connection, device: str, metric: str, last: int | None, target: str | None = None) -> list[Series]:
        if last is not None and last < 1:
            raise ValueError(f"last must be at least 1, got {last}")
        chosen = select(series.c.id, series.c.target).where(series.c.device == device, series.c.metric == metric)
        if target is not None:
            chosen = chosen.where(series.c.target == target)
        targets = {row.id: row.target for row in connection.execute(chosen)}
        if not targets:
            return []
        head = runs.c.id, runs.c.run_id, runs.c.taken, runs.c.calibrated, runs.c.level
        texts, lacking = self._alike(connection, device, metric, last)
        alike = runs.c.context.in_(texts)
        order = {row.id: row for row in reversed(connection.execute(_newest(device, last, *head).where(alike)).all())}
        query = select(points.c.series, points.c.run, *(points.c[n] for n in _NUMBERS), points.c.status)
        if last is not None:
            query = query.where(points.c.run.in_(_newest(device, last, runs.c.id).where(alike).scalar_subquery()))
        query = query.where(
            points.c.series == next(iter(targets)) if target is not None else points.c.series.in_(chosen.with_only_columns(series.c.id))
        )
        by_series: dict[int, dict[int, Any]] = {}
        for row in connection.execute(query):
            by_series.setdefault(row[0], {})[row[1]] = row
        try:
            made = [
                _make_series(device, metric, targets[number], [(order[run], by_run[run]) for run in order if run in by_run], lacking)
                for number, by_run in by_series.items()
                if not by_run.keys().isdisjoint(order)
            ]
        except _DAMAGE as error:
            raise damaged(self._location, f"the runs of {device} are not as they were written: {error}") from None
        return sorted(made, key=lambda s: _in_order(s.target))

    def _alike(self, connection: Connection, device: str, metric: str, last: int | None) -> tuple[list[str], LeftOut]:
        """Contexts in which a metric means what it means in the newest run, as they are stored; and what of the newest runs has others."""
        looked_at = _newest(device, last, runs.c.context).subquery()
        counts = connection.execute(select(looked_at.c.context, func.count()).group_by(looked_at.c.context)).all()
        current = connection.scalar(_newest(device, 1, runs.c.context))
        if current is None:  # somebody removed the runs a moment ago
            return [], LeftOut()
        try:
            newest = json.loads(current)
            stored = {text: json.loads(text) for text in connection.scalars(select(runs.c.context).where(runs.c.device == device).distinct())}
            here = what_counts(metric, newest)
            alike = [text for text, context in stored.items() if what_counts(metric, context) == here]
            return alike, left_out(metric, newest, [(stored[text], number) for text, number in counts])
        except _DAMAGE as error:
            raise damaged(self._location, f"the runs of {device} are not as they were written: {error}") from None


def _make_series(device: str, metric: str, target: str, rows: Sequence[tuple[Any, Any]], lacking: LeftOut) -> Series:
    heads, found = zip(*rows, strict=True)
    if not all(type(row[6]) is str for row in found):
        raise ValueError("a status is no text")
    best, low, high, dof = np.array([row[2:6] for row in found], dtype=float).T
    levels, level = np.array([h.level for h in heads], dtype=float), float(heads[-1].level)
    if (levels != level).any():
        low, high = _at_level(best, low, dof, levels, level), _at_level(best, high, dof, levels, level)
    return Series(
        device=device, metric=metric, target=target, level=level, run_ids=tuple(h.run_id for h in heads),
        taken_at=np.array([h.taken for h in heads], dtype=float), calibrated_at=np.array([h.calibrated for h in heads], dtype=float),
        best=best, low=low, high=high, dof=dof, status=tuple(row[6] for row in found), left_out=lacking,
    )  # fmt: skip


def _at_level(best: Real, end: Real, dof: Real, levels: Real, level: float) -> Real:
    """Ends of intervals, moved to another confidence level; the standard error stays."""
    moved = end.copy()
    for other in set(levels.tolist()) - {level}:
        rows, t = levels == other, np.minimum(dof, 1e9)
        moved[rows] = (best + (end - best) * student_t(t, level) / student_t(t, other))[rows]
    return moved


def _newest(device: str | None, last: int | None, *columns: Any) -> Select[Any]:
    """Runs, newest first."""
    query = select(*columns).order_by(runs.c.taken.desc(), runs.c.id.desc())
    if device is not None:
        query = query.where(runs.c.device == device)
    return query.limit(last) if last is not None else query


def _values(m: Measurements) -> dict[str, Any]:
    """A run's row, but for what is not the run's own."""
    taken = seconds(m.taken_at)
    if taken is None:
        raise InputError(f"run {m.run_id} says it was made at {m.taken_at!r}, which is no time; state it: qthreshold history add --taken-at RFC3339")
    words = {"run_id": m.run_id, "device": m.device, "calibrated_at": m.calibrated_at, "calibration_id": m.calibration_id}
    for name, word in (*words.items(), *(("target", t) for t in m.target), *(("status", s) for s in set(m.status))):
        if "\0" in word or not _is_text(word):
            raise InputError(f"run {m.run_id[:64]!r}: its {name} {word!r} is no text that a database can hold")
    return words | {
        "taken_at": m.taken_at, "taken": taken, "calibrated": seconds(m.calibrated_at), "context": canonical_json(m.context),
        "origin": canonical_json(m.origin), "missing": m.missing, "level": m.level, "content": m.id,
    }  # fmt: skip


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _point_rows(m: Measurements) -> list[dict[str, Any]]:
    """Rows of points without series and run."""
    columns = {name: [None if v != v else v for v in getattr(m, name).tolist()] for name in _NUMBERS}  # NaN is NULL
    return [{"place": i, "status": s, **{name: column[i] for name, column in columns.items()}} for i, s in enumerate(m.status)]


def _series_numbers(connection: Connection, m: Measurements) -> dict[tuple[str, str], int]:
    """Numbers of the series of a run's rows; new ones are made."""
    query = select(series.c.metric, series.c.target, series.c.id).where(series.c.device == m.device)
    known = {(row.metric, row.target): row.id for row in connection.execute(query)}
    if new := [key for key in zip(m.metric, m.target, strict=True) if key not in known]:
        connection.execute(insert(series), [{"device": m.device, "metric": metric, "target": target} for metric, target in new])
        known = {(row.metric, row.target): row.id for row in connection.execute(query)}
    return known


def _remove(connection: Connection, numbers: Sequence[int]) -> None:
    """Runs, their points, and series that have none left."""
    for start in range(0, len(numbers), 500):  # databases limit how many values a statement has
        some = numbers[start : start + 500]
        of_devices = select(series.c.id).where(series.c.device.in_(select(runs.c.device).where(runs.c.id.in_(some))))
        connection.execute(delete(points).where(points.c.series.in_(of_devices), points.c.run.in_(some)))
        connection.execute(delete(runs).where(runs.c.id.in_(some)))
    if numbers:
        connection.execute(delete(series).where(~select(text("1")).where(points.c.series == series.c.id).exists()))


def _turned(target: str) -> str:
    """A pair the other way round."""
    return "-".join(reversed(target.split("-")))


def _in_order(target: str) -> tuple[list[int], str]:
    """Pairs and qubits by number: 3-4 before 10-11."""
    return [int(n) for n in re.findall(r"[0-9]{1,18}", target)], target


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
